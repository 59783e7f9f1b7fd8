// The open thread: its scroll position, arriving messages, and older pages, loaded without a jump.

import { showCopyButtons } from "./copy.js";
import { dropAt } from "./drop.js";
import { layOut, messageAbove } from "./layout.js";
import { localise } from "./times.js";
import { unreadOf } from "./unread.js";
import { counted } from "./words.js";

const NEAR_THE_END_PX = 100;
const MOST_READ_OUT = 3;
// The next page loads at this distance, before the reader reaches the edge.
const PREFETCH_MARGIN = "600px 0px";

const get = (id) => document.getElementById(id);
let missed = 0;
// Whether the reader is at the end. Only scrolling changes this: a banner takes room, but the reader stays.
let follows = true;
// Messages that arrived above the loaded ones. The older page brings them, unless they arrived after its request.
let skipped = [];

export const conversation = () => document.querySelector("#thread-pane [name=conversation]")?.value;

export const isAtEnd = () => follows;

// Whether newer messages remain to load. Arriving messages are then only counted, and load with the newer ones.
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
  // Not while newer messages remain to load: at their edge, page after page would come.
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

// Draws a line above the first unseen message, or above the first loaded one if older ones are unseen.
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

// Only the new elements, so that the work does not grow with the loaded thread.
function dress(elements) {
  layOut(elements.filter((element) => element.matches(".message")));
  for (const element of elements) {
    localise(element);
    showCopyButtons(element);
  }
}

// A binary search, because messages are sorted by their height on the page.
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

// Returns the arrival number of the first message in view and its distance from the top, or null at the end.
export function placeInThread() {
  const scroller = get("thread-scroll");
  const message = scroller && !follows ? messageInView(scroller) : null;
  if (!message?.dataset.arrival) return null;
  return [Number(message.dataset.arrival), Math.round(distanceFromTop(message))];
}

const distanceFromTop = (message) =>
  message.getBoundingClientRect().top - get("thread-scroll").getBoundingClientRect().top;

// Returns whether the message is loaded.
export function goToMessage(arrival, distance) {
  const message = document.querySelector(`#messages [data-arrival="${arrival}"]`);
  if (!message) return false;
  get("thread-scroll").scrollTop += distanceFromTop(message) - distance;
  noteScroll();
  return true;
}

// Keeps the first message in view in its place: call `restore` after a change above.
function firstInView() {
  const scroller = get("thread-scroll");
  const message = messageInView(scroller);
  const before = message?.getBoundingClientRect().top;
  const restore = () => {
    if (message) scroller.scrollTop += message.getBoundingClientRect().top - before;
  };
  return { restore };
}

// Arriving messages

// The distance to the end before an answer changes the thread, and the new refused texts of the answer.
let before = 0;
let texts = [];

export function beginNews() {
  before = get("thread-scroll") ? toEnd() : 0;
  texts = [];
}

// Runs before htmx swaps the refused texts. Opened texts stay open.
export function noteTexts(fragment) {
  showCopyButtons(fragment);
  for (const { id } of document.querySelectorAll("#refused-texts .message:has(.message-rest[open])")) {
    fragment.querySelector(`#${id} .message-rest`)?.setAttribute("open", "");
  }
  texts = [...fragment.querySelectorAll(".message")].filter(({ id }) => !get(id));
}

// A page short of the end of its thread only counts the messages since.
export function takeNews(messages) {
  const [now, atFirst] = [get("thread-state"), get("arrival")].map(({ dataset }) => Number(dataset.count));
  if (endsEarly()) return showPill(Math.max(0, now - atFirst));
  const wasAtEnd = follows;
  const shown = [...add(messages), ...texts];
  if (shown.length) readOut(shown);
  if (!wasAtEnd) showPill(missed + shown.length);
  else if (toEnd() > before) goToEnd();
}

// Inserts and returns the messages missing on the page. Messages in view do not move.
function add(messages) {
  const place = firstInView();
  const shown = [...messages].filter(({ id }) => !get(id)).filter(insert);
  dress(shown);
  place.restore();
  return shown;
}

// Inserts a message by its timestamp. Returns false if its place is above the loaded messages.
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

// Screen readers hear of a closing once, after the messages of the same answer.
let wasClosed = false;
const isClosed = () => get("closed-banner")?.hidden === false;

document.addEventListener("htmx:oobAfterSwap", () => {
  if (isClosed() && !wasClosed) queueMicrotask(() => get("announcer").append("\n", get("closed-banner").textContent));
  wasClosed = isClosed();
});

const spoken = (message) =>
  ["visually-hidden", "message-text"].map((name) => message.querySelector(`.${name}`).textContent).join(" ");

// The pill counts missed messages, and leads to the newest message, on another page if need be.

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

// The list may have changed since the link was rendered, so the link takes the current one.
function keepWhatStandsBeside({ target }) {
  const link = target.closest?.(".message-link");
  if (!link) return;
  const address = newestAddress();
  address.searchParams.set("message", new URL(link.href).searchParams.get("message"));
  link.href = address;
}
for (const event of ["pointerdown", "click"]) document.addEventListener(event, keepWhatStandsBeside);

// Older and newer pages. htmx swaps between these two events, and fires the second for each new element.

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

// As if the page had been opened at an older message. Missed messages stay counted.
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

// Not htmx's own trigger, which has no margin, and keeps an observer for each link as long as the page is open.
// A failed page is asked for again on a click, or when its link comes into view.
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

// The end is loaded: from now on the page shows arriving messages. Without a stamp, the next poll brings any
// missed ones.
function follow() {
  get("arrival").disabled = false;
  get("stamp").value = "";
  noteScroll();
}
