// The inbox: starts its parts, and starts them again for each pane from htmx.

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
const wanted = {}; // the request of the reader's last click, by target

const get = (id) => document.getElementById(id);
const main = get("main"); // the poller stands beside main, so these listeners hear no poll
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

// After a search, the first hit gets the focus, and screen readers hear the number of hits.
function tellHits() {
  if (shown || hasComeBack() || !new URL(location).searchParams.get("q")) return;
  const hits = get("hits");
  hits?.querySelector(".row").focus({ preventScroll: true });
  const hint = document.querySelector("#list > .hint:not([role])");
  get("announcer").textContent = hits ? counted(hits, Number(hits.dataset.count)) : (hint?.textContent ?? "");
}

// The new piece takes the focus of its "read more" link. htmx fires again for the removed link.
function takePiece(link) {
  if (!link.isConnected) return;
  const piece = link.nextElementSibling;
  link.remove();
  piece.tabIndex = -1;
  piece.focus({ preventScroll: true });
}

// htmx:afterSwap fires for each new element. This event fires once, after htmx has set the title.
main.addEventListener("htmx:afterOnLoad", ({ detail }) => {
  if (!detail.successful) return;
  opened[detail.target.id]?.(detail);
  if (detail.target.matches(".message-rest")) takePiece(detail.requestConfig.elt);
  showRead();
});

// A failure or a login never becomes a part of this page. Neither does a late answer, because the reader has
// asked for something else since.
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

// The clicked link is marked at once, and not only when its answer comes.
function markAsked(link) {
  if (!link.matches(".row, .filter")) return;
  for (const other of document.querySelectorAll(`.${link.classList[0]}[aria-current]`)) {
    other.removeAttribute("aria-current");
  }
  link.setAttribute("aria-current", link.matches(".row") ? "page" : "true");
}

// The answer never came, so the marks return to the pane and the list on the page.
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

// The link stays, and tries again on a click or when scrolled into view.
function showFailure({ detail }) {
  const { elt } = detail.requestConfig;
  get("notice-gone").hidden = false;
  unmarkAsked();
  if (elt.dataset.retry) elt.textContent = elt.dataset.retry;
}

// Past MOST_ROWS, "load more" opens a page, because polls update no more rows. The listener is on the link,
// because the link may be gone from the document when the answer comes.
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

// Before another list or, on a phone, a thread takes the pane, and before the page goes.
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
// After htmx's own listener of this event, so that htmx knows the links.
addEventListener("DOMContentLoaded", returnToPlace);
addEventListener("DOMContentLoaded", tellHits);
