// The open thread: where it is scrolled to, what arrives in it, and older messages that move nothing.

import { showCopyButtons } from "./copy.js";
import { dropAt } from "./drop.js";
import { layOut, messageAbove } from "./layout.js";
import { localise } from "./times.js";
import { unreadOf } from "./unread.js";
import { counted } from "./words.js";

const NEAR_THE_END_PX = 100;
const MOST_READ_OUT = 3;
// From the edge of what is in view: the next page comes before the reader is there.
const PREFETCH_MARGIN = "600px 0px";

const get = (id) => document.getElementById(id);
let missed = 0;
// Whether the reader is at the end. Kept by scrolling only: a banner that takes room is no scrolling.
let follows = true;
// What arrived above the loaded messages. It comes with the older ones, unless it arrived since they were asked for.
let skipped = [];

export const conversation = () => document.querySelector("#thread-pane [name=conversation]")?.value;

export const isAtEnd = () => follows;

// A page that has newer messages to load; what arrives is then counted, and comes with them.
const endsEarly = () => get("arrival").disabled;

const toEnd = () => {
  const { scrollHeight, scrollTop, clientHeight } = get("thread-scroll");
  return scrollHeight - scrollTop - clientHeight;
};

function goToEnd() {
  get("thread-scroll").scrollTo(0, get("thread-scroll").scrollHeight);
  follows = true;
}

export function openThread() {
  wasClosed = isClosed();
  if (!get("messages")) return;
  const scroller = get("thread-scroll");
  missed = 0;
  skipped = [];
  layOut([...get("messages").querySelectorAll(".message")]);
  localise(get("thread-pane"));
  showCopyButtons(get("thread-pane"));
  watchEdges();
  showWhereNewBegin();
  const highlighted = document.querySelector(".message--highlighted");
  if (highlighted) highlighted.scrollIntoView({ block: "center" });
  else goToEnd();
  noteScroll();
  scroller.addEventListener("scroll", noteScroll);
  // Not where newer messages are still to be loaded: at their edge all of them would come.
  const follow = () => follows && scroller.isConnected && !endsEarly() && goToEnd();
  new ResizeObserver(follow).observe(scroller);
  get("pill").addEventListener("click", goToNewest);
  showPill(0);
  scroller.addEventListener("keydown", (event) => {
    if (event.key !== "End" || !endsEarly()) return;
    event.preventDefault();
    goToNewest();
  });
}

// How often the customer has written, refused texts included.
export const fromCustomer = () => Number(get("thread-state").dataset.fromCustomer);

// A line above the first message that this browser has not seen, as far as it is on the page.
function showWhereNewBegin() {
  const unread = unreadOf(conversation(), fromCustomer());
  if (!unread || endsEarly()) return;
  const received = [...get("thread").querySelectorAll(".message--received")];
  const first = received[Math.max(0, received.length - unread)];
  if (!first) return;
  const line = document.createElement("li");
  line.className = "new-line";
  line.textContent = get("messages").dataset.new;
  const before = first.previousElementSibling;
  (before?.matches(".day") ? before : first).before(line);
}

function noteScroll() {
  follows = toEnd() < NEAR_THE_END_PX;
  if (follows) hidePill();
}

// Only what is new: the work grows with a page, and not with what is loaded.
function dress(elements) {
  layOut(elements.filter((element) => element.matches(".message")));
  for (const element of elements) {
    localise(element);
    showCopyButtons(element);
  }
}

// By halves: they stand below one another.
function messageInView(scroller) {
  const { top } = scroller.getBoundingClientRect();
  const messages = scroller.getElementsByClassName("message");
  let [first, end] = [0, messages.length];
  while (first < end) {
    const middle = (first + end) >> 1;
    if (messages[middle].getBoundingClientRect().bottom > top) end = middle;
    else first = middle + 1;
  }
  return messages[first];
}

// The first message in view as its arrival number, and its distance from the top. None at the end.
export function placeInThread() {
  const scroller = get("thread-scroll");
  const message = scroller && !follows ? messageInView(scroller) : null;
  if (!message?.dataset.arrival) return null;
  return [Number(message.dataset.arrival), Math.round(distanceFromTop(message))];
}

const distanceFromTop = (message) =>
  message.getBoundingClientRect().top - get("thread-scroll").getBoundingClientRect().top;

// Says whether the message is loaded.
export function goToMessage(arrival, distance) {
  const message = document.querySelector(`#messages [data-arrival="${arrival}"]`);
  if (!message) return false;
  get("thread-scroll").scrollTop += distanceFromTop(message) - distance;
  noteScroll();
  return true;
}

// The first message in view, to stay where it is whatever changes above it.
function firstInView() {
  const scroller = get("thread-scroll");
  const message = messageInView(scroller);
  const before = message?.getBoundingClientRect().top;
  const restore = () => {
    if (message) scroller.scrollTop += message.getBoundingClientRect().top - before;
  };
  return { restore };
}

// What arrived

// The distance to the end before an answer changes the thread, and the refused texts that it brings.
let before = 0;
let texts = [];

export function beginNews() {
  before = get("thread-scroll") ? toEnd() : 0;
  texts = [];
}

// Before htmx puts the refused texts in their place.
export function noteTexts(fragment) {
  showCopyButtons(fragment);
  for (const { id } of document.querySelectorAll("#refused-texts .message:has(.message-rest[open])")) {
    fragment.querySelector(`#${id} .message-rest`)?.setAttribute("open", "");
  }
  texts = [...fragment.querySelectorAll(".message")].filter(({ id }) => !get(id));
}

// A page that does not reach the end of its thread is only told how much has come since.
export function takeNews(messages) {
  const [now, atFirst] = [get("thread-state"), get("arrival")].map(({ dataset }) => Number(dataset.count));
  if (endsEarly()) return showPill(Math.max(0, now - atFirst));
  const wasAtEnd = follows;
  const shown = [...add(messages), ...texts];
  if (shown.length) readOut(shown);
  if (!wasAtEnd) showPill(missed + shown.length);
  else if (toEnd() > before) goToEnd();
}

// Those that the page did not have, and now has. What is in view stays there.
function add(messages) {
  const place = firstInView();
  const shown = [...messages].filter(({ id }) => !get(id)).filter(insert);
  dress(shown);
  place.restore();
  return shown;
}

// At its own time. Says whether it has a place among the loaded messages.
function insert(message) {
  const list = get("messages");
  let above = messageAbove({ previousElementSibling: list.lastElementChild });
  while (above && !isBefore(above.dataset, message.dataset)) above = messageAbove(above);
  if (!above && list.querySelector(".edge--older")) {
    skipped.push(message);
    return false;
  }
  message.classList.add("message--new");
  (above ?? list.querySelector(".opened-line")).after(message);
  return true;
}

const isBefore = (one, other) =>
  one.at === other.at ? Number(one.arrival) < Number(other.arrival) : one.at < other.at;

function readOut(messages) {
  const announcer = get("announcer");
  announcer.textContent =
    messages.length > MOST_READ_OUT ? counted(announcer, messages.length) : messages.map(spoken).join("\n");
}

// Its closing is read out once, after the messages that came with it.
let wasClosed = false;
const isClosed = () => get("closed-banner")?.hidden === false;

document.addEventListener("htmx:oobAfterSwap", () => {
  if (isClosed() && !wasClosed) queueMicrotask(() => get("announcer").append("\n", get("closed-banner").textContent));
  wasClosed = isClosed();
});

const spoken = (message) =>
  ["visually-hidden", "message-text"].map((name) => message.querySelector(`.${name}`).textContent).join(" ");

// The pill: it counts what was missed, and leads to the newest message where that is not in the page.

function showPill(number) {
  missed = number;
  const pill = get("pill");
  pill.toggleAttribute("hidden", number === 0 && !endsEarly());
  pill.textContent = number ? counted(pill, number) : pill.dataset.end;
}

const hidePill = () => endsEarly() || showPill(0);

function goToNewest() {
  if (endsEarly()) return location.assign(newestAddress());
  goToEnd();
  hidePill();
  get("thread-scroll").focus({ preventScroll: true });
}

// The thread at its newest message, beside the same list.
function newestAddress() {
  const address = new URL(location);
  for (const name of ["message", "before", "after"]) address.searchParams.delete(name);
  return address;
}

// Beside the list as it is now: another may have been chosen since the link was brought.
function keepWhatStandsBeside({ target }) {
  const link = target.closest?.(".message-link");
  if (!link) return;
  const address = newestAddress();
  address.searchParams.set("message", new URL(link.href).searchParams.get("message"));
  link.href = address;
}
for (const event of ["pointerdown", "click"]) document.addEventListener(event, keepWhatStandsBeside);

// Older and newer pages, which htmx brings: it swaps between these two events, and tells the second
// of each element that it brought.

let anchor = null;
const isEdge = ({ detail }) => Boolean(detail.target.matches?.(".edge"));

document.addEventListener("htmx:beforeSwap", (event) => {
  if (!isEdge(event)) return;
  const edge = event.detail.target;
  anchor = firstInView();
  anchor.hadFocus = edge.contains(document.activeElement);
  anchor.above = edge.previousElementSibling;
  anchor.below = edge.nextElementSibling;
  dropAtOtherEnd(edge);
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (!isEdge(event) || anchor === null || !get("messages")) return;
  const { restore, hadFocus, above, below } = anchor;
  anchor = null;
  dress(between(above, below));
  watchEdges();
  restore();
  add(skipped.splice(0));
  if (hadFocus) get("thread-scroll").focus({ preventScroll: true });
  if (endsEarly() && !document.querySelector(".edge--newer")) follow();
});

// Before the swap, so that the browser lays the thread out once for both.
function dropAtOtherEnd(edge) {
  const end = edge.id === "edge-older" ? "newer" : "older";
  if (dropAt(end) && end === "newer") stopFollowing();
}

// As if the page had been opened at an older message: what the reader has missed stays counted.
function stopFollowing() {
  get("arrival").disabled = true;
  get("arrival").dataset.count = Number(get("thread-state").dataset.count) - missed;
  showPill(missed);
}

function between(above, below) {
  const elements = [];
  let element = above ? above.nextElementSibling : get("messages").firstElementChild;
  for (; element && element !== below; element = element.nextElementSibling) elements.push(element);
  return elements;
}

// Not htmx's own trigger: it has no margin, and an observer for each link for as long as the page is open. A page
// that has failed is asked for again by a click, or when its link is in view.
let observers = [];
function watchEdges() {
  for (const observer of observers) observer.disconnect();
  observers = [PREFETCH_MARGIN, "0px"].map(
    (rootMargin) => new IntersectionObserver(askForNear, { root: get("thread-scroll"), rootMargin }),
  );
  for (const link of get("messages").querySelectorAll(":scope > .edge a")) {
    for (const observer of observers) observer.observe(link);
  }
}

function askForNear(entries) {
  for (const { target, isIntersecting } of entries) if (isIntersecting) htmx.trigger(target, "near");
}

// The end is reached: from now on the page shows what arrives, beginning with what it may have missed.
function follow() {
  get("arrival").disabled = false;
  get("stamp").value = "";
  noteScroll();
}
