// Asks the server what has changed, one request at a time, and tells the reader when it cannot.

import { MOST_ROWS, markNews, showList } from "./list.js";
import { notify } from "./notify.js";
import { conversation, isAtEnd, showHeldBack, showNews } from "./thread.js";
import { localise } from "./times.js";
import { markSeen, showUnread } from "./unread.js";

const INTERVAL_MS = 3_000;
const HIDDEN_INTERVAL_MS = 30_000;
const LONGEST_INTERVAL_MS = 30_000;
const COUNTS_INTERVAL_MS = 30_000;
const TIMEOUT_MS = 10_000;
const FEWEST_ROWS = 50;
const FAILURES_BEFORE_THE_NOTICE = 2;

const get = (id) => document.getElementById(id);
const { pollUrl } = get("main").dataset;
const pause = get("pause");

let failures = 0;
let isPaused = false;
let isOver = false;
let isAsking = false;
let timer;
let countsAskedAt = Date.now();

// What the page shows, as the server needs to know it to say what is different.
function state() {
  const held = [...document.querySelectorAll("[data-poll]:not(:disabled)")];
  const asked = new URLSearchParams(held.map(({ name, value }) => [name, value]));
  const rows = document.querySelectorAll(".row-item").length;
  if (asked.has("filter")) asked.set("rows", Math.min(Math.max(rows, FEWEST_ROWS), MOST_ROWS));
  return asked;
}

// Whether the answer is still about this page: the reader may have gone on meanwhile.
const isSamePage = (asked) => {
  const now = state();
  return (
    ["filter", "sort", "cursor", "rows", "conversation"].every((name) => asked.get(name) === now.get(name)) &&
    asked.has("arrival") === now.has("arrival")
  );
};

async function ask() {
  const asked = state();
  const countsAreDue = Date.now() - countsAskedAt > COUNTS_INTERVAL_MS;
  if (countsAreDue && get("counts")) asked.set("counts", get("counts").value);
  const response = await fetch(`${pollUrl}?${asked}`, {
    redirect: "manual",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.type === "opaqueredirect" || response.status === 401 || response.status === 403) {
    return endSession();
  }
  if (response.status !== 200 && response.status !== 204) throw new Error("not an answer");
  if (countsAreDue) countsAskedAt = Date.now();
  if (response.status === 200) take(await response.text(), asked);
}

function take(html, asked) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  if (isPaused || !isSamePage(asked)) return;
  markNews(fresh);
  if (document.hidden) return notify(showUnreadOf(fresh));
  localise(fresh.body);
  sync(fresh);
  const list = fresh.getElementById("list");
  if (list) showList(list);
  const news = fresh.querySelectorAll("#news .message");
  if (news.length) showNews(news);
  showHeldBack();
  showRead();
}

function showUnreadOf(fresh) {
  return showUnread(fresh.getElementById("list") ? fresh : document);
}

function sync(fresh) {
  for (const element of fresh.querySelectorAll("[data-sync]")) {
    const old = get(element.id);
    if (old && !old.isEqualNode(element)) old.replaceWith(element);
  }
}

// What stands at the end of an open thread has been seen.
export function showRead() {
  const id = conversation();
  if (id && !document.hidden && get("arrival") && !get("arrival").disabled && isAtEnd()) {
    markSeen(id, Number(get("thread-state").dataset.fromCustomer));
  }
  notify(showUnread());
}

// When to ask

async function poll() {
  if (isAsking || isPaused || isOver) return;
  isAsking = true;
  try {
    await ask();
    failures = 0;
  } catch {
    failures += 1;
  }
  isAsking = false;
  showIf(get("notice-gone"), failures >= FAILURES_BEFORE_THE_NOTICE);
  schedule(interval());
}

const interval = () =>
  document.hidden
    ? HIDDEN_INTERVAL_MS
    : Math.min(INTERVAL_MS * 2 ** failures, LONGEST_INTERVAL_MS);

function schedule(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(poll, milliseconds);
}

function endSession() {
  isOver = true;
  get("notice-session").hidden = false;
}

// What a pane that was just loaded shows, the other one may not show yet: all of it is asked again.
export function pollAfresh() {
  get("stamp").value = "";
  schedule(0);
}

const showIf = (notice, wanted) => notice.hidden === !wanted || (notice.hidden = !wanted);

function togglePause() {
  isPaused = !isPaused;
  pause.setAttribute("aria-pressed", isPaused);
  showIf(get("notice-paused"), isPaused);
  if (!isPaused) schedule(0);
}

export function startPolling() {
  pause.hidden = false;
  pause.addEventListener("click", togglePause);
  document.addEventListener("visibilitychange", () => schedule(document.hidden ? interval() : 0));
  addEventListener("online", () => schedule(0));
  get("try-now").addEventListener("click", () => schedule(0));
  schedule(INTERVAL_MS);
}
