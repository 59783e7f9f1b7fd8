// What this browser has not seen yet of what customers wrote: numbers by conversation, in its own
// storage, no text.

import { keep, read } from "./storage.js";
import { counted } from "./words.js";

const KEY = "realmate.seen-of-customers";
const SINCE_KEY = "realmate.since";
const MOST_KEPT = 2000;

// The server's clock, which also dates what arrives; the browser's may be set wrong.
const openedAt = Number(document.getElementById("main").dataset.now) * 1000;
const now = () => openedAt + performance.now();

let seen = new Map(readSeen());
// What was there before this browser began to look is not unread.
let since = Number(read(SINCE_KEY)) || begin();

function readSeen() {
  try {
    return JSON.parse(read(KEY)) ?? [];
  } catch {
    return [];
  }
}

function begin() {
  const start = now();
  keep(SINCE_KEY, start);
  return start;
}

export function markSeen(id, count) {
  if (seen.get(id) >= count) return;
  seen.delete(id); // and in again at the end: the oldest are forgotten first
  seen.set(id, count);
  if (seen.size > MOST_KEPT) forgetTheOlderHalf();
  keep(KEY, JSON.stringify([...seen]));
}

// A conversation that was forgotten is not unread again: it counts as one from before.
function forgetTheOlderHalf() {
  seen = new Map([...seen].slice(-MOST_KEPT / 2));
  since = begin();
}

function unreadOf({ id, dataset }) {
  const conversation = id.slice("row-".length);
  const count = Number(dataset.count);
  if (!seen.has(conversation)) markSeen(conversation, atFirstSight(dataset));
  return Math.max(0, count - (seen.get(conversation) ?? 0));
}

// How many of a customer's messages count as seen when the row is listed for the first time here. What
// is delivered late bears an old time, and is known by the poll that brought it.
function atFirstSight({ count, opened, activity, isNews, endsWithCustomer }) {
  if (new Date(opened) > since) return 0;
  const isNew = endsWithCustomer !== undefined && (isNews || new Date(activity) > since);
  return isNew ? Math.max(0, count - 1) : Number(count);
}

// The rows' numbers, and in the title how many conversations have one. Returns that.
export function showUnread(root = document) {
  let conversations = 0;
  for (const row of root.querySelectorAll(".row-item")) {
    const number = unreadOf(row);
    if (number) conversations += 1;
    showOn(row.querySelector(".unread"), number);
  }
  showInTitle(conversations);
  return conversations;
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

// What another tab has seen is seen here too.
addEventListener("storage", ({ key }) => {
  if (key !== KEY) return;
  seen = new Map(readSeen());
  showUnread();
});
