// What this reader has not seen yet of what customers wrote: numbers by conversation, no text. They are in
// the browser's own storage; with a login the server keeps them too, for the reader's other browsers. Of all conversations: the polls tell of each one in which a customer wrote.

import { keep, read } from "./storage.js";
import { counted } from "./words.js";

const SEEN_KEY = "realmate.seen-of-customers"; // how much of each conversation has been seen
const UNREAD_KEY = "realmate.unread"; // how much there is, where it is more
const AFTER_KEY = "realmate.after"; // the cursor of the changes that are known
const MOST_KEPT = 2000;
// An answer from before what this page has just saved would undo it.
const SAVING_MS = 10_000;

const form = document.getElementById("seen");
const savedAt = new Map();
let isToStore = false; // what rows have told
const icon = document.querySelector("link[rel=icon]");
const [readIcon, unreadIcon] = [icon?.getAttribute("href"), icon?.dataset.unread];

let seen = restored(SEEN_KEY);
let unread = restored(UNREAD_KEY);
// A page of a browser that knows nothing yet begins at what the page shows.
let after = read(AFTER_KEY) || document.getElementById("heard").dataset.after;
keep(AFTER_KEY, after);

function restored(key) {
  try {
    return new Map(JSON.parse(read(key)) ?? []);
  } catch {
    return new Map();
  }
}

export const cursor = () => after;
export const isBehind = () => after !== document.getElementById("heard").dataset.after;

// How many of this conversation have not been seen. One that is not known was there before.
export const unreadOf = (id, count) => Math.max(0, count - (seen.get(id) ?? count));

const unreadMessages = () =>
  [...unread].reduce((sum, [id, count]) => sum + unreadOf(id, count), 0);

export const isAnyUnread = () => unread.size > 0;

export const firstUnread = () => unread.keys().next().value;

export function markSeen(id, count) {
  if (seen.get(id) >= count) return;
  setSeen(id, count);
  note(id, count);
  store();
  save(id, count);
}

export function markUnread(id, count) {
  setSeen(id, count - 1);
  note(id, count);
  store();
  save(id, count - 1, { unread: "yes" });
}

// What the server did not take is sent with the next number of this conversation.
function save(id, count, more = {}) {
  if (!form) return;
  savedAt.set(id, performance.now());
  const body = new URLSearchParams(new FormData(form));
  for (const [name, value] of Object.entries({ conversation: id, count, ...more })) body.set(name, value);
  fetch(form.action, { method: "POST", body, keepalive: true }).catch(() => {});
}

// What the reader has seen in any browser.
function adopt(id, count) {
  if (performance.now() - savedAt.get(id) < SAVING_MS) return;
  if (seen.get(id) !== count) setSeen(id, count);
}

// Once for each row that comes, because this page goes on counting.
function adoptRows() {
  for (const row of document.querySelectorAll(".row-item[data-seen]")) {
    adopt(row.id.slice("row-".length), Number(row.dataset.seen));
    delete row.dataset.seen;
  }
}

function setSeen(id, count) {
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

// What customers wrote since the cursor. Each part is `conversation:count:new`, and with a
// login `:seen`. After a restore of the
// database the numbers begin again.
export function hear({ after: now, heard }) {
  if (now.split("-")[0] !== after.split("-")[0]) [seen, unread] = [new Map(), new Map()];
  for (const part of heard.split(" ").filter(Boolean)) {
    const [id, count, news, seenSoFar] = part.split(":").map((text, place) => (place ? Number(text) : text));
    if (seenSoFar !== undefined) adopt(id, seenSoFar);
    if (!seen.has(id)) setSeen(id, count - news);
    unread.delete(id); // an erasure lowers the count
    note(id, count);
  }
  after = now;
  keep(AFTER_KEY, after);
  store();
}

// The rows' numbers; and in the title and the icon, how many conversations have one. Returns how many
// conversations and messages are unread. A hidden tab shows no more than its title and its icon.
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
  return { conversations: unread.size, messages: unreadMessages() };
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
  if (key === AFTER_KEY) after = read(AFTER_KEY) || after;
  if (key !== SEEN_KEY && key !== UNREAD_KEY) return;
  [seen, unread] = [restored(SEEN_KEY), restored(UNREAD_KEY)];
  showUnread();
});

adoptRows();
