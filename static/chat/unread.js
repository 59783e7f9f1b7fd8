// Counts the customers' messages that this reader has not seen, by conversation. Numbers only, no text. The browser's
// own storage keeps the numbers; with a login the server keeps them too, for the reader's other browsers. The numbers
// cover all conversations, because polls tell of each new message of a customer, and of messages seen elsewhere.

import { keep, read } from "./storage.js";
import { counted } from "./words.js";

const form = document.getElementById("seen");
const ofReader = form ? `.${form.dataset.reader}` : "";
const SEEN_KEY = `realmate.seen-of-customers${ofReader}`; // the number of seen messages, by conversation
const UNREAD_KEY = `realmate.unread${ofReader}`; // the number of all the customer's messages, if larger
const AFTER_KEY = `realmate.after${ofReader}`; // the cursor of the known changes
const SEEN_AFTER_KEY = `realmate.seen-after${ofReader}`; // and of the reader's reads in any browser
const MOST_KEPT = 2000;
const SAVING_MS = 10_000; // the timeout of a save

const saving = new Map(); // when this page saved the number of a conversation; infinity while under way
let sent = Promise.resolve(); // the last save; saves wait for one another, so that a mark as unread comes last
const unsaved = new Map(); // numbers that did not reach the server
const unmarked = new Map(); // the count of a conversation at its mark as unread
let marked = 0; // messages made unread by marks, and therefore no news
const begun = new Set(); // conversations first told of in the series of answers under way
let askedAt = 0;
let isToStore = false; // rows have changed the numbers
const icon = document.querySelector("link[rel=icon]");
const [readIcon, unreadIcon] = [icon?.getAttribute("href"), icon?.dataset.unread];

let seen = restored(SEEN_KEY);
let unread = restored(UNREAD_KEY);
// A browser without a cursor begins at the state of its first page. With a login the server chooses the
// beginning.
let after = read(AFTER_KEY) || document.getElementById("heard").dataset.after;
keep(AFTER_KEY, after);
let seenAfter = read(SEEN_AFTER_KEY) ?? "";
// A browser without storage would ask for all the reader's reads on each page.
const isShared = form !== null && read(AFTER_KEY) === after;

function restored(key) {
  try {
    return new Map(JSON.parse(read(key)) ?? []);
  } catch {
    return new Map();
  }
}

// The parameters of a poll.
export function cursors() {
  askedAt = performance.now();
  return isShared ? { after, seen: seenAfter } : { after };
}

const isNew = () => isShared && seenAfter === "";
export const isBehind = () => isNew() || after !== document.getElementById("heard").dataset.after;

// Returns the number of unseen messages: 0 for an unknown conversation, which is older than the cursor.
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

// The reader has opened the conversation, so a mark as unread ends.
export const openAgain = (id) => unmarked.delete(id);

// A failed save is sent again when the server next tells of the conversation.
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

// Rows bring the numbers of conversations unknown to this browser. Polls bring the others. The first answer to
// a new browser clears all numbers, so the rows keep theirs until then.
function adoptRows() {
  for (const row of document.querySelectorAll(".row-item[data-seen]")) {
    const id = row.id.slice("row-".length);
    if (!seen.has(id)) setSeen(id, Number(row.dataset.seen));
    if (!isNew()) delete row.dataset.seen;
  }
}

function setSeen(id, count) {
  begun.delete(id);
  seen.delete(id); // then set again, at the end of the map, because the first entries are forgotten first
  seen.set(id, count);
}

// A row may show a lower count than the last poll, because a frozen list and a hidden tab wait.
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

// Unread conversations are kept before read ones.
function forgetTheOlderHalf() {
  unread = new Map([...unread].slice(-MOST_KEPT / 2));
  const isUnread = ([id]) => unread.has(id);
  const others = [...seen].filter((entry) => !isUnread(entry));
  const room = Math.min(MOST_KEPT / 2 - unread.size, others.length);
  seen = new Map([...others.slice(others.length - room), ...[...seen].filter(isUnread)]);
}

const partsOf = (text) => text.split(" ").filter(Boolean);
const numbersOf = (part) => part.split(":").map((text, place) => (place ? Number(text) : text));

// Takes the changes since the cursors. After a restore of the database the numbers begin again.
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

// The reader's reads and marks as unread in any browser: `conversation:count:seen`. An answer older than a save
// of this page would undo the save, so the next poll asks for the reads again.
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

// Shows each row's number, and the number of unread conversations in the title and the icon. A hidden tab
// changes only its title and its icon.
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

// Returns the numbers of unread conversations and messages, and of messages marked since the last call.
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

// Takes over the numbers of another tab.
addEventListener("storage", ({ key }) => {
  if (key === AFTER_KEY) {
    after = read(AFTER_KEY) || after;
    begun.clear(); // the answers under way may repeat the other tab's news
  }
  if (key === SEEN_AFTER_KEY) seenAfter = read(SEEN_AFTER_KEY) ?? seenAfter;
  if (key !== SEEN_KEY && key !== UNREAD_KEY) return;
  [seen, unread] = [restored(SEEN_KEY), restored(UNREAD_KEY)];
  showUnread();
});

adoptRows();
