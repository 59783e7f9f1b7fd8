// Where the reader is in a list and in a thread, for the page that Back or a reload brings anew. Numbers only, no text.

import { isFull, listScroller } from "./list.js";
import { keepInTab, readInTab } from "./storage.js";
import { conversation, goToMessage, placeInThread } from "./thread.js";

const KEY = "realmate.places";
const THREADS_KEY = "realmate.thread-places";
const MOST_PAGES = 40;
const MOST_KEPT = 20;
const LISTED_BY = [
  "filter",
  "sort",
  "cursor",
  "q",
  "hits_cursor",
  "from",
  "to",
  "direction",
  "state",
  "conversation",
  "exact",
];

let list; // the one that is shown, as a number
let awaited = null; // its place, until as many rows are there

const rowsShown = () => document.querySelectorAll(".row-item").length;
const read = (key = KEY) => JSON.parse(readInTab(key)) ?? [];
const numberOf = (text) => [...text].reduce((sum, letter) => (31 * sum + letter.codePointAt(0)) % 2 ** 32, 0);

// Again for each list that is shown.
export function knowList() {
  const { searchParams } = new URL(location);
  list = numberOf(JSON.stringify(LISTED_BY.map((name) => searchParams.get(name))));
  awaited = null;
}

// A list that is not shown, on a phone, is at no place.
export function keepPlace() {
  const scroller = listScroller();
  if (isReturning() || !scroller.checkVisibility()) return;
  const others = read().filter(([other]) => other !== list);
  const places = [...others, [list, rowsShown(), scroller.scrollTop]];
  keepInTab(KEY, JSON.stringify(places.slice(-MOST_KEPT)));
}

const navigation = () => performance.getEntriesByType("navigation")[0]?.type;
export const hasComeBack = () => ["reload", "back_forward"].includes(navigation());

export function returnToPlace() {
  if (hasComeBack()) {
    awaited = read().find(([known]) => known === list);
    sought = read(THREADS_KEY).find(([known]) => known === thread);
  }
  goOn();
  goOnInThread();
}

export const isReturning = () => Boolean(awaited);

// Loads the rows that the list had, page by page; then it is where it was.
export function goOn() {
  if (!awaited) return;
  const [, rows, top] = awaited;
  const more = document.querySelector("#more a");
  if (more && rowsShown() < rows && !isFull()) return more.click();
  listScroller().scrollTop = top;
  awaited = null;
}

// Threads: the message that was first in view. None is kept of a thread that was left at its end.

let thread = null; // the one that is shown, as a number
let sought = null; // its place, until the message is loaded
let pages = MOST_PAGES;

export function knowThread() {
  const { pathname, searchParams } = new URL(location);
  const at = ["message", "before", "after"].map((name) => searchParams.get(name));
  thread = conversation() ? numberOf(JSON.stringify([pathname, ...at])) : null;
  sought = null;
}

export function keepThreadPlace() {
  if (thread === null || sought) return;
  const places = read(THREADS_KEY).filter(([known]) => known !== thread);
  const place = placeInThread();
  if (place) places.push([thread, ...place]);
  keepInTab(THREADS_KEY, JSON.stringify(places.slice(-MOST_KEPT)));
}

// Loads older pages until the message is there.
export function goOnInThread() {
  if (!sought) return;
  const [, arrival, distance] = sought;
  const older = document.querySelector("#messages > .edge--older a");
  if (!goToMessage(arrival, distance) && older && pages-- > 0) older.click();
  else sought = null;
}
