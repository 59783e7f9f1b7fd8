// Polls update the content of rows at once, but their order only while the reader is not using the list.

import { localise } from "./times.js";
import { showUnread } from "./unread.js";
import { counted } from "./words.js";

const MOST_ROWS = Number(document.documentElement.dataset.mostRows);

const get = (id) => document.getElementById(id);
const rowsOf = (list) => [...list.querySelectorAll(".row-item")];
const linkOf = (id) => get(`row-${id}`)?.querySelector(".row");

// The newest list, while the order on the page is frozen, and the ids of its changed rows.
let waiting = null;
let isOrderWanted = false; // the next list is put in order even if frozen
const updated = new Set();

// Position of the open conversation's row, or the last one before the row left the list; -1 without one.
let place = -1;
let marked; // the open conversation

// On an enlarged page the whole pane scrolls: inbox.css decides.
const isEnlarged = () => getComputedStyle(get("list-scroll")).overflowY === "visible";
export const listScroller = () => get(isEnlarged() ? "list-pane" : "list-scroll");

const isFrozen = () => {
  const scroller = get("list-scroll");
  return (
    listScroller().scrollTop > 0 ||
    [scroller, get("updated")].some((part) => part.matches(":hover, :focus-within")) ||
    scroller.querySelector("#more .htmx-request") !== null
  );
};

export const isFull = () => rowsOf(document).length >= MOST_ROWS;

// Takes the list of a poll. htmx itself swaps a list without rows.
export function takeList(swap) {
  if (!get("rows")) return forgetUpdated();
  swap.shouldSwap = false;
  const fresh = swap.fragment.firstElementChild;
  const rows = rowsOf(fresh).map(bringUpToDate);
  waiting = { list: fresh, rows, more: fresh.querySelector("#more") };
  if (!waiting.more) rowsGone().forEach(({ id }) => updated.add(id));
  if (isFrozen() && !isOrderWanted) showUpdated();
  else putInOrder();
}

// The reader has taken a row off the list, and expects the row to go at once.
export function wantOrder() {
  isOrderWanted = true;
}

const rowsGone = () => rowsOf(get("rows")).filter((row) => !waiting.rows.includes(row));

// Returns the page's row with the fresh content, or the fresh row if the page has none.
function bringUpToDate(fresh) {
  const row = get(fresh.id);
  if (row?.dataset.revision === fresh.dataset.revision) return row;
  updated.add(fresh.id);
  if (!row) return fresh;
  row.querySelector("a").replaceChildren(...fresh.querySelector("a").childNodes);
  bringFormUpToDate(row, fresh.querySelector(".row-dealing"));
  Object.assign(row.dataset, fresh.dataset);
  return row;
}

// The form keeps its button, because the button may have the focus.
function bringFormUpToDate(row, fresh) {
  const form = row.querySelector(".row-dealing");
  if (form && fresh) form.elements.seen.value = fresh.elements.seen.value;
  else if (form) form.remove();
  else if (fresh) row.append(fresh);
  if (fresh?.isConnected) htmx.process(fresh);
}

function showUpdated() {
  const button = get("updated");
  button.hidden = updated.size === 0;
  if (updated.size) button.textContent = counted(button, updated.size);
}

function forgetUpdated() {
  waiting = null;
  isOrderWanted = false;
  updated.clear();
  showUpdated();
}

function putInOrder() {
  if (waiting === null) return;
  if (waiting.rows.length) moveRows(waiting);
  else get("list").replaceWith(waiting.list);
  htmx.process(get("list"));
  forgetUpdated();
  showUnread();
}

// Moves as few rows as possible, and keeps the focus.
function moveRows({ rows, more }) {
  notePlace();
  const list = get("rows");
  const focused = document.activeElement;
  const row = focused.closest(".row-item");
  const follower = rowsGone().includes(row) && rowsAfter(row).find((each) => rows.includes(each));
  rowsGone().forEach((row) => row.remove());
  let next = list.firstElementChild;
  for (const row of rows) {
    if (row === next) next = next.nextElementSibling;
    else list.insertBefore(row, next);
  }
  get("more")?.remove();
  if (more) list.append(more);
  if (follower) follower.querySelector("a").focus({ preventScroll: true });
  else if (focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
}

// Rows below, then rows above, the nearest first.
function rowsAfter(row) {
  const rows = rowsOf(get("rows"));
  const place = rows.indexOf(row);
  return [...rows.slice(place + 1), ...rows.slice(0, place).reverse()];
}

const putInOrderIfNobodyIsAtIt = () => isFrozen() || putInOrder();

// Runs for each list from htmx, and forgets the waiting order of the list before.
export function openList() {
  place = -1;
  for (const event of ["pointerleave", "focusout", "scroll"]) {
    for (const part of [get("list-pane"), get("list-scroll"), get("updated")]) {
      part.addEventListener(event, () => setTimeout(putInOrderIfNobodyIsAtIt));
    }
  }
  get("updated").addEventListener("click", () => {
    listScroller().scrollTo(0, 0);
    putInOrder();
    get("rows")?.querySelector(".row").focus();
  });
  forgetUpdated();
}

// After "load more" the waiting list lacks the new rows. The first new row may get the focus of the link.
export function lengthenList(last, { takesFocus }) {
  waiting = null;
  const rows = rowsOf(get("rows"));
  const isRepeated = (row) => get(row.id) !== row;
  rows.filter(isRepeated).forEach((row) => row.remove());
  const asked = get("rows-asked");
  asked.value = Math.min(Math.max(asked.value, rows.length), MOST_ROWS);
  localise(get("list"));
  if (takesFocus && document.activeElement === document.body) last.nextElementSibling?.querySelector("a").focus();
}

// A row leads to a conversation, a hit to one of its messages.
export function markSelected(id) {
  const message = new URL(location).searchParams.get("message");
  for (const link of document.querySelectorAll("#list .row")) {
    const { pathname, searchParams } = new URL(link.href);
    const isHere = id && pathname.includes(id);
    if (isHere && (link === linkOf(id) || searchParams.get("message") === message)) {
      link.setAttribute("aria-current", "page");
    } else link.removeAttribute("aria-current");
  }
  if (id !== marked) place = -1;
  marked = id;
  notePlace();
}

const rowLinks = () => [...document.querySelectorAll("#list .row")];
const isMarked = (link) => link.hasAttribute("aria-current");

function notePlace() {
  const current = rowLinks().findIndex(isMarked);
  if (current >= 0) place = current;
}

// Returns the row above (-1) or below (1) the open conversation, and none beyond the ends. If the conversation
// has left the list, the row now in its place is the row below.
export function rowBeside(step) {
  const links = rowLinks();
  const current = links.findIndex(isMarked);
  if (current >= 0) return links[current + step];
  if (place < 0) return links.at(step > 0 ? 0 : -1);
  return links[step > 0 ? place : place - 1];
}

export function focusRow(id) {
  linkOf(id)?.focus();
  return document.activeElement === linkOf(id);
}
