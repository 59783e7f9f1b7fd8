// The inbox: starts its parts, and again for a pane that htmx has brought.

import "./dealing.js";
import "./frame.js";
import "./keyboard.js";
import { focusRow, isFull, lengthenList, markSelected, openList } from "./list.js";
import { offerMark } from "./marking.js";
import {
  goOn,
  goOnInThread,
  hasComeBack,
  isReturning,
  keepPlace,
  keepThreadPlace,
  knowList,
  knowThread,
  returnToPlace,
} from "./place.js";
import { pollAfresh, showRead, startPolling } from "./poll.js";
import { conversation, openThread } from "./thread.js";
import { localise } from "./times.js";
import { openAgain } from "./unread.js";
import { counted } from "./words.js";

let shown; // the conversation
let last; // the row before "load more"
const wanted = {}; // by target, the request of the reader's last click

const get = (id) => document.getElementById(id);
const main = get("main"); // the polls are sent from beside it
const hasNoFocus = () => document.activeElement === document.body;

// The row of filters may be wider than its pane.
const showFilter = () =>
  document.querySelector(".filter[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });

function openPane() {
  openThread();
  shown = conversation();
  openAgain(shown);
  knowThread();
  markSelected(shown);
  offerMark();
  get("thread-scroll")?.addEventListener("scrollend", showRead);
}

const opened = {
  "thread-pane"() {
    const left = shown;
    openPane();
    if (!shown && focusRow(left)) return;
    (get("thread-scroll") ?? get("thread-pane")).focus({ preventScroll: true });
  },
  "list-pane"({ requestConfig }) {
    openList();
    knowList();
    localise(get("list-pane"));
    markSelected(shown);
    showFilter();
    if (hasNoFocus() && requestConfig.elt.closest(".sorts")) get("sorts").focus();
    pollAfresh();
  },
  more() {
    lengthenList(last, { takesFocus: !isReturning() });
    markSelected(shown);
    pollAfresh();
    goOn();
    document.dispatchEvent(new Event("rows-added"));
  },
  "edge-older": goOnInThread,
};

// A search was made: the first hit has the focus, and the number of hits is read out.
function tellHits() {
  if (shown || hasComeBack() || !new URL(location).searchParams.get("q")) return;
  const hits = get("hits");
  hits?.querySelector(".row").focus({ preventScroll: true });
  const hint = document.querySelector("#list > .hint:not([role])");
  get("announcer").textContent = hits ? counted(hits, Number(hits.dataset.count)) : (hint?.textContent ?? "");
}

// "Read more" goes, and its focus is on the piece that it has brought. htmx tells again, because it is gone.
function takePiece(link) {
  if (!link.isConnected) return;
  const piece = link.nextElementSibling;
  link.remove();
  piece.tabIndex = -1;
  piece.focus({ preventScroll: true });
}

// Once for all that an answer has brought: htmx tells of each element. It has set the title by then.
main.addEventListener("htmx:afterOnLoad", ({ detail }) => {
  if (!detail.successful) return;
  opened[detail.target.id]?.(detail);
  if (detail.target.matches(".message-rest")) takePiece(detail.requestConfig.elt);
  showRead();
});

// A failure, or a login, is a page of its own and never a part of this one; nor is an answer that comes
// after the reader has asked for something else.
function judge(event) {
  const { xhr, requestConfig, target } = event.detail;
  if (target.id && xhr !== wanted[target.id]) return event.preventDefault();
  if (target.id === "more") last = target.previousElementSibling;
  const answered = new URL(xhr.responseURL).pathname;
  const asked = new URL(requestConfig.path, location).pathname;
  if (xhr.status < 400 && answered === asked) return;
  event.preventDefault();
  if (xhr.status >= 500) showFailure(event);
  else location.assign(requestConfig.elt.href);
}
main.addEventListener("htmx:sendError", showFailure);

// What was clicked is marked at once, and not when its answer comes.
function markAsked(link) {
  if (!link.matches(".row, .filter")) return;
  for (const other of document.querySelectorAll(`.${link.classList[0]}[aria-current]`)) {
    other.removeAttribute("aria-current");
  }
  link.setAttribute("aria-current", link.matches(".row") ? "page" : "true");
}

// What stands beside an answer that never came is marked again.
function unmarkAsked() {
  markSelected(shown);
  markFilter(document.querySelector("#list-pane [name=filter]")?.value);
}

function markFilter(chosen) {
  for (const link of document.querySelectorAll(".filter")) {
    link.toggleAttribute("aria-current", false);
    if (link.id === `filter-${chosen}`) link.setAttribute("aria-current", "true");
  }
}

// The link that failed may be followed again: by a click, or when it comes into view again.
function showFailure({ detail }) {
  const { elt } = detail.requestConfig;
  get("notice-gone").hidden = false;
  unmarkAsked();
  if (elt.dataset.retry) elt.textContent = elt.dataset.retry;
}

// A list that is as long as a poll brings up to date goes on on a page of its own. The link itself is
// listened to, because it may be gone from the document when its answer comes.
main.addEventListener("htmx:beforeRequest", (event) => {
  const { xhr, target, requestConfig } = event.detail;
  if (requestConfig.verb !== "get") return;
  wanted[target.id] = xhr;
  markAsked(requestConfig.elt);
  requestConfig.elt.addEventListener("htmx:beforeOnLoad", judge, { once: true });
  if (target.id !== "more" || !isFull()) return;
  event.preventDefault();
  location.assign(requestConfig.elt.href);
});

// Before another list or, on a phone, a thread takes its place, and before the page goes.
for (const keep of [keepPlace, keepThreadPlace]) {
  main.addEventListener("htmx:beforeSwap", keep);
  addEventListener("pagehide", keep);
}

openList();
knowList();
showFilter();
openPane();
showRead();
startPolling();
// Not before htmx knows the links, which it is told by the same event.
addEventListener("DOMContentLoaded", returnToPlace);
addEventListener("DOMContentLoaded", tellHits);
