// htmx sends the polls, from #poller. This module decides when a poll is due, and shows the answer.

import { takeList } from "./list.js";
import { notify } from "./notify.js";
import { keepInTab, readInTab } from "./storage.js";
import { beginNews, conversation, fromCustomer, isAtEnd, noteTexts, takeNews } from "./thread.js";
import { ago, localise, timeOfDay } from "./times.js";
import { cursors, hear, isBehind, markSeen, showUnread, takeNumbers } from "./unread.js";

const LONGEST_INTERVAL_MS = 30_000; // also of a hidden tab
const COUNTS_INTERVAL_MS = 30_000;
const PAUSE_KEY = "realmate.pause";
const FAILURES_BEFORE_THE_NOTICE = 2;
const FRESHNESS_MS = 1_000;

const get = (id) => document.getElementById(id);
const poller = get("poller");
const pause = get("pause");
const interval = 1_000 * /every (\d+)s/.exec(poller.getAttribute("hx-trigger"))[1];

let failures = 0;
let isPaused = readInTab(PAUSE_KEY) === "on";
let isOver = false;
let isWanted = false; // a poll at once
let isTaking = false; // the answer is ours
let asked; // the [data-poll] values at the time of the request
let endedAt = performance.now();
let countsAskedAt = performance.now();
let freshAt = new Date(); // the last good answer, or the page itself

const shown = () => [...document.querySelectorAll("[data-poll]:enabled")].map(({ value }) => value).join();

// When to ask

const pauseBetween = () =>
  document.hidden ? LONGEST_INTERVAL_MS : Math.min(interval * 2 ** failures, LONGEST_INTERVAL_MS);

// Half an interval early, because htmx counts from the start of a poll and this module from its end.
const isDue = () => isWanted || performance.now() - endedAt > pauseBetween() - interval / 2;

poller.addEventListener("htmx:configRequest", ({ detail }) => {
  Object.assign(detail.parameters, cursors());
  const areDue = performance.now() - countsAskedAt > COUNTS_INTERVAL_MS;
  if (areDue && get("counts")) detail.parameters.counts = get("counts").value;
});

poller.addEventListener("htmx:beforeRequest", (event) => {
  if (isPaused || isOver || !isDue()) return event.preventDefault();
  isWanted = false;
  asked = shown();
});

// htmx drops a poll while another is under way. The end of the first then asks again.
function askNow() {
  isWanted = true;
  htmx.trigger(poller, "poll");
}

function showNow() {
  showRead();
  askNow();
}

// A pane just loaded may be newer than the other pane. Without a stamp, the answer brings both.
export function pollAfresh() {
  get("stamp").value = "";
  askNow();
}

// Answers

// A proxy may answer with a page of its own. Our answers have a stamp, or no content.
const isAnswer = ({ status, responseText }) =>
  status === 204 || (status === 200 && responseText.includes('id="stamp"'));

poller.addEventListener("htmx:beforeOnLoad", (event) => {
  const { xhr, requestConfig } = event.detail;
  const { pathname } = new URL(xhr.responseURL); // of the last redirect
  isOver = pathname === poller.dataset.login || xhr.status === 401 || xhr.status === 403;
  isTaking = pathname === requestConfig.path && isAnswer(xhr);
  if (isTaking) showSilence(xhr.getResponseHeader("X-Silent-Since"));
  if (!isTaking || isPaused || shown() !== asked) event.preventDefault();
  beginNews();
});

// htmx fires this before the swap of each part. A hidden tab changes only its title and its icon.
document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  if (!isTaking) return;
  const { target, fragment } = detail;
  localise(fragment);
  if (target.id === "heard") return takeHeard(detail);
  if (target.id === "refused-texts") noteTexts(fragment);
  if (document.hidden) detail.shouldSwap = false;
  else if (target.id === "list") takeList(detail);
  else if (target.id === "messages") takeNews(fragment.querySelectorAll(".message"));
  else detail.shouldSwap = !target.isEqualNode(fragment.firstElementChild);
});

// Shows how long the sender has been silent. The server tells only of unusual silence.
function showSilence(since) {
  const notice = get("notice-silent");
  const time = notice.querySelector("time");
  showIf(notice, since !== null);
  if (since === null || time.getAttribute("datetime") === since) return;
  time.setAttribute("datetime", since);
  time.removeAttribute("title");
  localise(notice);
}

// The first part of an answer, so that the unread numbers are there before the rows. The rest is asked for at once.
function takeHeard(swap) {
  const { dataset } = swap.fragment.firstElementChild;
  swap.shouldSwap = false;
  hear(dataset);
  isWanted ||= "more" in dataset;
}

// The whole answer is in place. Messages read at once count as seen before a notification.
poller.addEventListener("htmx:afterSwap", showRead);

poller.addEventListener("htmx:afterRequest", ({ detail }) => {
  failures = isTaking || isOver ? 0 : failures + 1;
  if (isTaking && detail.requestConfig.formData.has("counts")) countsAskedAt = performance.now();
  if (isTaking) freshAt = new Date();
  isTaking = false;
  endedAt = performance.now();
  showIf(get("notice-gone"), isGone());
  showIf(get("notice-session"), isOver);
  showFreshness();
  if (isWanted) queueMicrotask(askNow); // htmx has not finished this poll yet
});

// A reader at the end of an open thread has seen all its messages.
export function showRead() {
  const id = conversation();
  if (id && !document.hidden && get("arrival") && !get("arrival").disabled && isAtEnd()) {
    markSeen(id, fromCustomer());
  }
  showUnread();
  notify(takeNumbers());
}

const isGone = () => failures >= FAILURES_BEFORE_THE_NOTICE;

// A style shows this attribute of the polling element, so no other element changes.
function showFreshness() {
  const { live, paused, stale } = poller.dataset;
  let text = live.replace("%s", ago(freshAt));
  if (isPaused) text = paused.replace("%s", timeOfDay(freshAt));
  else if (isGone() || isOver) text = stale.replace("%s", timeOfDay(freshAt));
  if (poller.dataset.freshness !== text) poller.dataset.freshness = text;
}

const showIf = (notice, wanted) => notice.hidden === !wanted || (notice.hidden = !wanted);

function showPause() {
  pause.setAttribute("aria-pressed", isPaused);
  showIf(get("notice-paused"), isPaused);
  showFreshness();
}

function togglePause() {
  isPaused = !isPaused;
  keepInTab(PAUSE_KEY, isPaused ? "on" : "off");
  showPause();
  if (!isPaused) askNow();
}

export const isPausedByReader = () => isPaused;

export function startPolling() {
  pause.hidden = false;
  showPause();
  pause.addEventListener("click", togglePause);
  document.addEventListener("visibilitychange", () => document.hidden || showNow());
  addEventListener("online", askNow);
  get("try-now").addEventListener("click", askNow);
  setInterval(() => document.hidden || showFreshness(), FRESHNESS_MS);
  if (isBehind()) askNow();
}
