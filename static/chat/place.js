// Where the reader is in a list, for the page that Back or a reload brings anew. Numbers only, no text.

import { isFull, listScroller } from "./list.js";
import { keepInTab, readInTab } from "./storage.js";

const KEY = "realmate.places";
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
const read = () => JSON.parse(readInTab(KEY)) ?? [];
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

export function returnToPlace() {
  const type = performance.getEntriesByType("navigation")[0]?.type;
  if (type === "reload" || type === "back_forward") awaited = read().find(([known]) => known === list);
  goOn();
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
