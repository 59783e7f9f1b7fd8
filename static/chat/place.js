// Keeps the reader's place in lists and threads, for Back and reloads. Numbers only, no text.

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

let list; // the shown list, as a number
let awaited = null; // the place in the list, until its rows are loaded

const rowsShown = () => document.querySelectorAll(".row-item").length;
const read = (key = KEY) => JSON.parse(readInTab(key)) ?? [];
const numberOf = (text) => [...text].reduce((sum, letter) => (31 * sum + letter.codePointAt(0)) % 2 ** 32, 0);

// Runs for each shown list.
export function knowList() {
  const { searchParams } = new URL(location);
  list = numberOf(JSON.stringify(LISTED_BY.map((name) => searchParams.get(name))));
  awaited = null;
}

// On a phone an open thread hides the list, and a hidden list has no place.
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

// Loads as many rows as the list had, page by page, and then scrolls back.
export function goOn() {
  if (!awaited) return;
  const [, rows, top] = awaited;
  const more = document.querySelector("#more a");
  if (more && rowsShown() < rows && !isFull()) return more.click();
  listScroller().scrollTop = top;
  awaited = null;
}

// Threads: the place is the first message in view. A thread left at its end has no place.

let thread = null; // the shown thread, as a number
let sought = null; // the place in the thread, until the message is loaded
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

// Loads older pages until the message is loaded.
export function goOnInThread() {
  if (!sought) return;
  const [, arrival, distance] = sought;
  const older = document.querySelector("#messages > .edge--older a");
  if (!goToMessage(arrival, distance) && older && pages-- > 0) older.click();
  else sought = null;
}
