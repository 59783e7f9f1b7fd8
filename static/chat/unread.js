// What this reader has not seen yet of what customers wrote: numbers by conversation, no text. They are in
// the browser's own storage; with a login the server keeps them too, for the reader's other browsers. Of all conversations: the polls tell of each one in which a customer wrote, and of what was seen elsewhere.

import { keep, read } from "./storage.js";
import { counted } from "./words.js";

const form = document.getElementById("seen");
const ofReader = form ? `.${form.dataset.reader}` : "";
const SEEN_KEY = `realmate.seen-of-customers${ofReader}`; // how much of each conversation has been seen
const UNREAD_KEY = `realmate.unread${ofReader}`; // how much there is, where it is more
const AFTER_KEY = `realmate.after${ofReader}`; // the cursor of the changes that are known
const SEEN_AFTER_KEY = `realmate.seen-after${ofReader}`; // and of what was seen in any browser of the reader
const MOST_KEPT = 2000;
const SAVING_MS = 10_000; // at most

const saving = new Map(); // until when this page has saved the number of a conversation
let sent = Promise.resolve(); // one after the other, so that a mark as unread comes last
const unsaved = new Map(); // numbers that did not reach the server
const unmarked = new Map(); // how much there was of a conversation when it was marked as unread
let marked = 0; // messages that marks have made unread, which are no news
const begun = new Set(); // conversations of which the answers under way have told for the first time
let askedAt = 0;
let isToStore = false; // what rows have told
const icon = document.querySelector("link[rel=icon]");
const [readIcon, unreadIcon] = [icon?.getAttribute("href"), icon?.dataset.unread];

let seen = restored(SEEN_KEY);
let unread = restored(UNREAD_KEY);
// A page of a browser that knows nothing yet begins at what the page shows. With a login the server says
// where it begins.
let after = read(AFTER_KEY) || document.getElementById("heard").dataset.after;
keep(AFTER_KEY, after);
let seenAfter = read(SEEN_AFTER_KEY) ?? "";
// A browser that keeps nothing would ask for all of it on each page.
const isShared = form !== null && read(AFTER_KEY) === after;

function restored(key) {
  try {
    return new Map(JSON.parse(read(key)) ?? []);
  } catch {
    return new Map();
  }
}

// What a poll asks for.
export function cursors() {
  askedAt = performance.now();
  return isShared ? { after, seen: seenAfter } : { after };
}

const isNew = () => isShared && seenAfter === "";
export const isBehind = () => isNew() || after !== document.getElementById("heard").dataset.after;

// How many of this conversation have not been seen. One that is not known was there before.
export const unreadOf = (id, count) => Math.max(0, count - (seen.get(id) ?? count));

const unreadMessages = () => [...unread].reduce((sum, [id, count]) => sum + unreadOf(id, count), 0);

export const isAnyUnread = () => unread.size > 0;

export const firstUnread = () => unread.keys().next().value;

export function markSeen(id, count) {
  if (seen.get(id) >= count || unmarked.get(id) >= count) return;
  setSeen(id, count);
  note(id, count);
  store();
  save(id, count);
}

export function markUnread(id, count) {
  noteMark(id, count, count - 1);
  setSeen(id, count - 1);
  note(id, count);
  store();
  save(id, count - 1, { unread: "yes" });
}

function noteMark(id, count, seenSoFar) {
  unmarked.set(id, count);
  marked += count - seenSoFar - unreadOf(id, count);
}

// The reader has opened it: what was marked as unread is read now.
export const openAgain = (id) => unmarked.delete(id);

// What the server does not take is sent again when the server tells of another number.
async function save(id, count, more = {}) {
  if (!form) return;
  saving.set(id, Number.POSITIVE_INFINITY);
  unsaved.delete(id);
  const body = new URLSearchParams(new FormData(form));
  for (const [name, value] of Object.entries({ conversation: id, count, ...more })) body.set(name, value);
  const signal = () => AbortSignal.timeout(SAVING_MS);
  const send = () =>
    fetch(form.action, { method: "POST", body, keepalive: true, signal: signal() }).then(
      ({ ok, status }) => ok || Promise.reject(status),
    );
  sent = sent.then(send).catch(() => unsaved.set(id, [count, more]));
  await sent;
  saving.set(id, performance.now());
}

// Rows tell of conversations that this browser does not know. Of the others the polls tell. The first answer
// to a new browser empties what is known, so the rows keep their numbers until then.
function adoptRows() {
  for (const row of document.querySelectorAll(".row-item[data-seen]")) {
    const id = row.id.slice("row-".length);
    if (!seen.has(id)) setSeen(id, Number(row.dataset.seen));
    if (!isNew()) delete row.dataset.seen;
  }
}

function setSeen(id, count) {
  begun.delete(id);
  seen.delete(id); // and in again at the end: the oldest are forgotten first
  seen.set(id, count);
}

// How much there is now. A row may show less than was heard, because a list at rest or a hidden tab waits.
function note(id, count) {
  const before = unread.get(id);
  const most = Math.max(count, unread.get(id) ?? 0);
  if (unreadOf(id, most)) unread.set(id, most);
  else unread.delete(id);
  isToStore ||= unread.get(id) !== before;
}

function store() {
  isToStore = false;
  if (seen.size > MOST_KEPT) forgetTheOlderHalf();
  keep(SEEN_KEY, JSON.stringify([...seen]));
  keep(UNREAD_KEY, JSON.stringify([...unread]));
}

// What is unread is kept before what is not.
function forgetTheOlderHalf() {
  unread = new Map([...unread].slice(-MOST_KEPT / 2));
  const isUnread = ([id]) => unread.has(id);
  const others = [...seen].filter((entry) => !isUnread(entry));
  const room = Math.min(MOST_KEPT / 2 - unread.size, others.length);
  seen = new Map([...others.slice(others.length - room), ...[...seen].filter(isUnread)]);
}

const partsOf = (text) => text.split(" ").filter(Boolean);
const numbersOf = (part) => part.split(":").map((text, place) => (place ? Number(text) : text));

// What is new since the cursors. After a restore of the database the numbers begin again.
export function hear({ after: now, heard, afresh, more, ...elsewhere }) {
  if (now.split("-")[0] !== after.split("-")[0] || afresh !== undefined) {
    [seen, unread] = [new Map(), new Map()];
  }
  partsOf(heard).forEach(hearOfCustomer);
  if (more === undefined) begun.clear();
  after = now;
  keep(AFTER_KEY, after);
  if (elsewhere.seen !== undefined) hearOfReader(elsewhere);
  store();
}

// A part is `conversation:count:new`, and with a login `:seen`. Several answers may tell of one conversation.
function hearOfCustomer(part) {
  const [id, count, news, seenSoFar] = numbersOf(part);
  if (begun.has(id)) begin(id, seen.get(id) - news);
  else if (!seen.has(id)) begin(id, seenSoFar ?? count - news, seenSoFar === undefined);
  unread.delete(id); // an erasure lowers the count
  note(id, count);
}

function begin(id, count, mayGoOn = true) {
  setSeen(id, count);
  if (mayGoOn) begun.add(id);
}

// What the reader has seen in any browser, or marked as unread: `conversation:count:seen`. An answer from
// before what this page has saved would undo it, so that part is asked for again.
function hearOfReader({ seen: told, seenAfter: now }) {
  let isAllKnown = true;
  for (const [id, count, seenSoFar] of partsOf(told).map(numbersOf)) {
    if (unsaved.has(id)) save(id, ...unsaved.get(id));
    if (saving.get(id) > askedAt) isAllKnown = false;
    else adopt(id, count, seenSoFar);
  }
  if (!isAllKnown) return;
  seenAfter = now;
  keep(SEEN_AFTER_KEY, seenAfter);
}

function adopt(id, count, seenSoFar) {
  if (seenSoFar < seen.get(id)) noteMark(id, count, seenSoFar);
  if (seen.get(id) !== seenSoFar) setSeen(id, seenSoFar);
  note(id, count);
}

// The rows' numbers; and in the title and the icon, how many conversations have one. A hidden tab shows no
// more than its title and its icon.
export function showUnread() {
  if (!document.hidden) adoptRows();
  for (const row of document.hidden ? [] : document.querySelectorAll(".row-item")) {
    const [id, count] = [row.id.slice("row-".length), Number(row.dataset.count)];
    note(id, count);
    showOn(row.querySelector(".unread"), unreadOf(id, unread.get(id) ?? count));
  }
  if (isToStore) store();
  showInTitle(unread.size);
  showInIcon(unread.size);
}

// How many conversations and messages are unread, and how many of these were marked since the last call.
export function takeNumbers() {
  const numbers = { conversations: unread.size, messages: unreadMessages(), marked };
  marked = 0;
  return numbers;
}

function showOn(badge, number) {
  if (badge.hidden === (number === 0) && badge.textContent === String(number || "")) return;
  badge.hidden = number === 0;
  badge.textContent = number || "";
  badge.setAttribute("role", "img");
  badge.setAttribute("aria-label", counted(badge.closest(".rows"), number));
}

function showInTitle(conversations) {
  const bare = document.title.replace(/^\(\d+\) /, "");
  const title = conversations ? `(${conversations}) ${bare}` : bare;
  if (document.title !== title) document.title = title;
}

function showInIcon(conversations) {
  const wanted = conversations ? unreadIcon : readIcon;
  if (icon && icon.getAttribute("href") !== wanted) icon.href = wanted;
}

// What another tab has seen, or heard of, holds here too.
addEventListener("storage", ({ key }) => {
  if (key === AFTER_KEY) {
    after = read(AFTER_KEY) || after;
    begun.clear(); // the answers under way may tell again what that tab has heard
  }
  if (key === SEEN_AFTER_KEY) seenAfter = read(SEEN_AFTER_KEY) ?? seenAfter;
  if (key !== SEEN_KEY && key !== UNREAD_KEY) return;
  [seen, unread] = [restored(SEEN_KEY), restored(UNREAD_KEY)];
  showUnread();
});

adoptRows();
