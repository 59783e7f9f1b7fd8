// times.js
var { lang, dataset } = document.documentElement;
var MINUTE_MS = 6e4;
var NEAR_MS = Number(dataset.nearSeconds) * 1e3;
var clock = new Intl.DateTimeFormat(lang, { timeStyle: "short" });
var weekday = new Intl.DateTimeFormat(lang, { weekday: "short" });
var date = new Intl.DateTimeFormat(lang, { day: "2-digit", month: "2-digit", year: "numeric" });
var longDate = new Intl.DateTimeFormat(lang, { dateStyle: "full" });
var exact = new Intl.DateTimeFormat(lang, { dateStyle: "full", timeStyle: "long" });
var near = new Intl.RelativeTimeFormat(lang, { numeric: "auto" });
var narrow = new Intl.RelativeTimeFormat(lang, { numeric: "auto", style: "narrow" });
var zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
var inUnit = (unit) => {
  const format = new Intl.NumberFormat(lang, { style: "unit", unit, unitDisplay: "short" });
  return (minutes) => format.format(Math.floor(minutes));
};
var [inMinutes, inHours, inDays] = ["minute", "hour", "day"].map(inUnit);
var isPrinting = document.body.matches(".print");
var midnight = (at) => new Date(at.getFullYear(), at.getMonth(), at.getDate());
var daysAgo = (at) => Math.round((midnight(/* @__PURE__ */ new Date()) - midnight(at)) / (1440 * MINUTE_MS));
var isNear = (at) => at <= Date.now() && Date.now() - at < NEAR_MS;
var minutesSince = (at) => Math.max(0, Math.floor((Date.now() - at) / MINUTE_MS));
var timeOfDay = (at) => clock.format(at);
function ago(at) {
  const seconds = Math.max(0, Math.floor((Date.now() - at) / 1e3));
  return seconds < 60 ? narrow.format(-seconds, "second") : narrow.format(-Math.floor(seconds / 60), "minute");
}
function unitOfAge(at) {
  const minutes = minutesSince(at);
  if (minutes < 1) return "now";
  if (minutes < 60) return "minutes";
  return minutes < 1440 ? "hours" : "days";
}
var dayOf = (at) => midnight(at).getTime();
var formats = {
  clock: (at) => clock.format(at),
  full: (at) => `${date.format(at)}, ${clock.format(at)}`,
  brief(at) {
    const days = daysAgo(at);
    if (days === 0 || isNear(at)) return clock.format(at);
    if (days === 1) return near.format(-1, "day");
    return days > 1 && days < 7 ? weekday.format(at) : date.format(at);
  },
  day(at) {
    const days = isPrinting ? null : daysAgo(at);
    return sentence(days === 0 || days === 1 ? near.format(-days, "day") : longDate.format(at));
  },
  // As `age` of the template tags: in the largest unit, never negative.
  age(at) {
    const minutes = minutesSince(at);
    if (minutes < 1) return near.format(0, "second");
    if (minutes < 60) return inMinutes(minutes);
    return minutes < 1440 ? inHours(minutes / 60) : inDays(minutes / 1440);
  },
  zoned: (at) => `${formats.full(at)} (${zone})`
};
var sentence = (text) => text[0].toLocaleUpperCase(lang) + text.slice(1);
function write(time) {
  const at = new Date(time.dateTime);
  const text = formats[time.dataset.format](at);
  if (time.textContent !== text) time.textContent = text;
  if (time.dataset.age) time.dataset.age = unitOfAge(at);
}
function localise(root2 = document) {
  for (const time of root2.querySelectorAll("time[data-format][datetime]")) {
    write(time);
    if (!time.title) time.title = exact.format(new Date(time.dateTime));
  }
}
var writeAll = () => document.querySelectorAll("time[data-format][datetime]").forEach(write);
setInterval(writeAll, MINUTE_MS);
addEventListener("beforeprint", () => {
  isPrinting = true;
  for (const time of document.querySelectorAll("time[data-printed]")) time.dateTime = (/* @__PURE__ */ new Date()).toISOString();
  writeAll();
});
addEventListener("afterprint", () => {
  isPrinting = document.body.matches(".print");
  writeAll();
});

// storage.js
var orNull = (act) => {
  try {
    return act();
  } catch {
    return null;
  }
};
var read = (key) => orNull(() => localStorage.getItem(key));
var keep = (key, value) => orNull(() => localStorage.setItem(key, value));
var readInTab = (key) => orNull(() => sessionStorage.getItem(key));
var keepInTab = (key, value) => orNull(() => sessionStorage.setItem(key, value));

// words.js
var plural = new Intl.PluralRules(document.documentElement.lang);
function counted(element, number) {
  const form2 = plural.select(number) === "one" ? "one" : "other";
  return element.dataset[form2].replace("%s", number);
}

// unread.js
var form = document.getElementById("seen");
var ofReader = form ? `.${form.dataset.reader}` : "";
var SEEN_KEY = `realmate.seen-of-customers${ofReader}`;
var UNREAD_KEY = `realmate.unread${ofReader}`;
var AFTER_KEY = `realmate.after${ofReader}`;
var SEEN_AFTER_KEY = `realmate.seen-after${ofReader}`;
var MOST_KEPT = 2e3;
var SAVING_MS = 1e4;
var saving = /* @__PURE__ */ new Map();
var sent = Promise.resolve();
var unsaved = /* @__PURE__ */ new Map();
var unmarked = /* @__PURE__ */ new Map();
var marked = 0;
var begun = /* @__PURE__ */ new Set();
var askedAt = 0;
var isToStore = false;
var icon = document.querySelector("link[rel=icon]");
var [readIcon, unreadIcon] = [icon?.getAttribute("href"), icon?.dataset.unread];
var seen = restored(SEEN_KEY);
var unread = restored(UNREAD_KEY);
var after = read(AFTER_KEY) || document.getElementById("heard").dataset.after;
keep(AFTER_KEY, after);
var seenAfter = read(SEEN_AFTER_KEY) ?? "";
var isShared = form !== null && read(AFTER_KEY) === after;
function restored(key) {
  try {
    return new Map(JSON.parse(read(key)) ?? []);
  } catch {
    return /* @__PURE__ */ new Map();
  }
}
function cursors() {
  askedAt = performance.now();
  return isShared ? { after, seen: seenAfter } : { after };
}
var isNew = () => isShared && seenAfter === "";
var isBehind = () => isNew() || after !== document.getElementById("heard").dataset.after;
var unreadOf = (id, count) => Math.max(0, count - (seen.get(id) ?? count));
var unreadMessages = () => [...unread].reduce((sum, [id, count]) => sum + unreadOf(id, count), 0);
var isAnyUnread = () => unread.size > 0;
var firstUnread = () => unread.keys().next().value;
function markSeen(id, count) {
  if (seen.get(id) >= count || unmarked.get(id) >= count) return;
  setSeen(id, count);
  note(id, count);
  store();
  save(id, count);
}
function markUnread(id, count) {
  noteMark(id, count, count - 1);
  setSeen(id, count - 1);
  note(id, count);
  store();
  save(id, count - 1, { unread: "yes" });
}
function noteMark(id, count, seenSoFar) {
  unmarked.set(id, count);
  marked += count - seenSoFar - unreadOf(id, count);
}
var openAgain = (id) => unmarked.delete(id);
async function save(id, count, more = {}) {
  if (!form) return;
  saving.set(id, Number.POSITIVE_INFINITY);
  unsaved.delete(id);
  const body = new URLSearchParams(new FormData(form));
  for (const [name, value] of Object.entries({ conversation: id, count, ...more })) body.set(name, value);
  const signal = () => AbortSignal.timeout(SAVING_MS);
  const send = () => fetch(form.action, { method: "POST", body, keepalive: true, signal: signal() }).then(
    ({ ok, status }) => ok || Promise.reject(status)
  );
  sent = sent.then(send).catch(() => unsaved.set(id, [count, more]));
  await sent;
  saving.set(id, performance.now());
}
function adoptRows() {
  for (const row of document.querySelectorAll(".row-item[data-seen]")) {
    const id = row.id.slice("row-".length);
    if (!seen.has(id)) setSeen(id, Number(row.dataset.seen));
    if (!isNew()) delete row.dataset.seen;
  }
}
function setSeen(id, count) {
  begun.delete(id);
  seen.delete(id);
  seen.set(id, count);
}
function note(id, count) {
  const before2 = unread.get(id);
  const most = Math.max(count, unread.get(id) ?? 0);
  if (unreadOf(id, most)) unread.set(id, most);
  else unread.delete(id);
  isToStore ||= unread.get(id) !== before2;
}
function store() {
  isToStore = false;
  if (seen.size > MOST_KEPT) forgetTheOlderHalf();
  keep(SEEN_KEY, JSON.stringify([...seen]));
  keep(UNREAD_KEY, JSON.stringify([...unread]));
}
function forgetTheOlderHalf() {
  unread = new Map([...unread].slice(-MOST_KEPT / 2));
  const isUnread = ([id]) => unread.has(id);
  const others = [...seen].filter((entry) => !isUnread(entry));
  const room = Math.min(MOST_KEPT / 2 - unread.size, others.length);
  seen = new Map([...others.slice(others.length - room), ...[...seen].filter(isUnread)]);
}
var partsOf = (text) => text.split(" ").filter(Boolean);
var numbersOf = (part) => part.split(":").map((text, place3) => place3 ? Number(text) : text);
function hear({ after: now, heard, afresh, more, ...elsewhere }) {
  if (now.split("-")[0] !== after.split("-")[0] || afresh !== void 0) {
    [seen, unread] = [/* @__PURE__ */ new Map(), /* @__PURE__ */ new Map()];
  }
  partsOf(heard).forEach(hearOfCustomer);
  if (more === void 0) begun.clear();
  after = now;
  keep(AFTER_KEY, after);
  if (elsewhere.seen !== void 0) hearOfReader(elsewhere);
  store();
}
function hearOfCustomer(part) {
  const [id, count, news, seenSoFar] = numbersOf(part);
  if (begun.has(id)) begin(id, seen.get(id) - news);
  else if (!seen.has(id)) begin(id, seenSoFar ?? count - news, seenSoFar === void 0);
  unread.delete(id);
  note(id, count);
}
function begin(id, count, mayGoOn = true) {
  setSeen(id, count);
  if (mayGoOn) begun.add(id);
}
function hearOfReader({ seen: told, seenAfter: now }) {
  let isAllKnown = true;
  for (const [id, count, seenSoFar] of partsOf(told).map(numbersOf)) {
    if (unsaved.has(id)) save(id, ...unsaved.get(id));
    if (saving.get(id) > askedAt) isAllKnown = false;
    else adopt(id, count, seenSoFar);
  }
  if (!isAllKnown) return;
  seenAfter = now;
  keep(SEEN_AFTER_KEY, seenAfter);
}
function adopt(id, count, seenSoFar) {
  if (seenSoFar < seen.get(id)) noteMark(id, count, seenSoFar);
  if (seen.get(id) !== seenSoFar) setSeen(id, seenSoFar);
  note(id, count);
}
function showUnread() {
  if (!document.hidden) adoptRows();
  for (const row of document.hidden ? [] : document.querySelectorAll(".row-item")) {
    const [id, count] = [row.id.slice("row-".length), Number(row.dataset.count)];
    note(id, count);
    showOn(row.querySelector(".unread"), unreadOf(id, unread.get(id) ?? count));
  }
  if (isToStore) store();
  showInTitle(unread.size);
  showInIcon(unread.size);
}
function takeNumbers() {
  const numbers = { conversations: unread.size, messages: unreadMessages(), marked };
  marked = 0;
  return numbers;
}
function showOn(badge, number) {
  if (badge.hidden === (number === 0) && badge.textContent === String(number || "")) return;
  badge.hidden = number === 0;
  badge.textContent = number || "";
  badge.setAttribute("role", "img");
  badge.setAttribute("aria-label", counted(badge.closest(".rows"), number));
}
function showInTitle(conversations) {
  const bare = document.title.replace(/^\(\d+\) /, "");
  const title2 = conversations ? `(${conversations}) ${bare}` : bare;
  if (document.title !== title2) document.title = title2;
}
function showInIcon(conversations) {
  const wanted2 = conversations ? unreadIcon : readIcon;
  if (icon && icon.getAttribute("href") !== wanted2) icon.href = wanted2;
}
addEventListener("storage", ({ key }) => {
  if (key === AFTER_KEY) {
    after = read(AFTER_KEY) || after;
    begun.clear();
  }
  if (key === SEEN_AFTER_KEY) seenAfter = read(SEEN_AFTER_KEY) ?? seenAfter;
  if (key !== SEEN_KEY && key !== UNREAD_KEY) return;
  [seen, unread] = [restored(SEEN_KEY), restored(UNREAD_KEY)];
  showUnread();
});
adoptRows();

// list.js
var MOST_ROWS = Number(document.documentElement.dataset.mostRows);
var get = (id) => document.getElementById(id);
var rowsOf = (list2) => [...list2.querySelectorAll(".row-item")];
var linkOf = (id) => get(`row-${id}`)?.querySelector(".row");
var waiting = null;
var isOrderWanted = false;
var updated = /* @__PURE__ */ new Set();
var place = -1;
var marked2;
var isEnlarged = () => getComputedStyle(get("list-scroll")).overflowY === "visible";
var listScroller = () => get(isEnlarged() ? "list-pane" : "list-scroll");
var isFrozen = () => {
  const scroller = get("list-scroll");
  return listScroller().scrollTop > 0 || [scroller, get("updated")].some((part) => part.matches(":hover, :focus-within")) || scroller.querySelector("#more .htmx-request") !== null;
};
var isFull = () => rowsOf(document).length >= MOST_ROWS;
function takeList(swap) {
  if (!get("rows")) return forgetUpdated();
  swap.shouldSwap = false;
  const fresh = swap.fragment.firstElementChild;
  const rows = rowsOf(fresh).map(bringUpToDate);
  waiting = { list: fresh, rows, more: fresh.querySelector("#more") };
  if (!waiting.more) rowsGone().forEach(({ id }) => updated.add(id));
  if (isFrozen() && !isOrderWanted) showUpdated();
  else putInOrder();
}
function wantOrder() {
  isOrderWanted = true;
}
var rowsGone = () => rowsOf(get("rows")).filter((row) => !waiting.rows.includes(row));
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
function bringFormUpToDate(row, fresh) {
  const form2 = row.querySelector(".row-dealing");
  if (form2 && fresh) form2.elements.seen.value = fresh.elements.seen.value;
  else if (form2) form2.remove();
  else if (fresh) row.append(fresh);
  if (fresh?.isConnected) htmx.process(fresh);
}
function showUpdated() {
  const button3 = get("updated");
  button3.hidden = updated.size === 0;
  if (updated.size) button3.textContent = counted(button3, updated.size);
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
function moveRows({ rows, more }) {
  notePlace();
  const list2 = get("rows");
  const focused = document.activeElement;
  const row = focused.closest(".row-item");
  const follower = rowsGone().includes(row) && rowsAfter(row).find((each) => rows.includes(each));
  rowsGone().forEach((row2) => row2.remove());
  let next = list2.firstElementChild;
  for (const row2 of rows) {
    if (row2 === next) next = next.nextElementSibling;
    else list2.insertBefore(row2, next);
  }
  get("more")?.remove();
  if (more) list2.append(more);
  if (follower) follower.querySelector("a").focus({ preventScroll: true });
  else if (focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
}
function rowsAfter(row) {
  const rows = rowsOf(get("rows"));
  const place3 = rows.indexOf(row);
  return [...rows.slice(place3 + 1), ...rows.slice(0, place3).reverse()];
}
var putInOrderIfNobodyIsAtIt = () => isFrozen() || putInOrder();
function openList() {
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
function lengthenList(last2, { takesFocus }) {
  waiting = null;
  const rows = rowsOf(get("rows"));
  const isRepeated = (row) => get(row.id) !== row;
  rows.filter(isRepeated).forEach((row) => row.remove());
  const asked2 = get("rows-asked");
  asked2.value = Math.min(Math.max(asked2.value, rows.length), MOST_ROWS);
  localise(get("list"));
  if (takesFocus && document.activeElement === document.body) last2.nextElementSibling?.querySelector("a").focus();
}
function markSelected(id) {
  const message = new URL(location).searchParams.get("message");
  for (const link of document.querySelectorAll("#list .row")) {
    const { pathname, searchParams } = new URL(link.href);
    const isHere = id && pathname.includes(id);
    if (isHere && (link === linkOf(id) || searchParams.get("message") === message)) {
      link.setAttribute("aria-current", "page");
    } else link.removeAttribute("aria-current");
  }
  if (id !== marked2) place = -1;
  marked2 = id;
  notePlace();
}
var rowLinks = () => [...document.querySelectorAll("#list .row")];
var isMarked = (link) => link.hasAttribute("aria-current");
function notePlace() {
  const current = rowLinks().findIndex(isMarked);
  if (current >= 0) place = current;
}
function rowBeside(step) {
  const links = rowLinks();
  const current = links.findIndex(isMarked);
  if (current >= 0) return links[current + step];
  if (place < 0) return links.at(step > 0 ? 0 : -1);
  return links[step > 0 ? place : place - 1];
}
function focusRow(id) {
  linkOf(id)?.focus();
  return document.activeElement === linkOf(id);
}

// sound.js
var KEY = "realmate.sound";
var REPEAT_KEY = "realmate.repeat-sound";
var PLAYED_KEY = "realmate.sound-played";
var REPEAT_MS = 3e4;
var AT_MOST_EVERY_MS = 5e3;
var TONES_HZ = [660, 880];
var button = document.getElementById("sound");
var repeat = document.getElementById("repeat-sound");
var context = null;
var isOn = () => read(KEY) === "on";
var show = () => button.setAttribute("aria-pressed", isOn());
var allow = () => isOn() && (context ??= new AudioContext()).resume();
function play() {
  TONES_HZ.forEach((frequency, place3) => {
    const from = context.currentTime + place3 * 0.16;
    const tone = new OscillatorNode(context, { frequency });
    const volume = new GainNode(context, { gain: 0 });
    volume.gain.setValueAtTime(0.15, from);
    volume.gain.exponentialRampToValueAtTime(1e-3, from + 0.3);
    tone.connect(volume).connect(context.destination);
    tone.start(from);
    tone.stop(from + 0.3);
  });
}
function chime() {
  if (!isOn() || Date.now() - Number(read(PLAYED_KEY)) < AT_MOST_EVERY_MS) return;
  allow();
  if (context.state !== "running") return;
  keep(PLAYED_KEY, Date.now());
  play();
}
function toggle() {
  keep(KEY, isOn() ? "off" : "on");
  show();
  chime();
}
if ("AudioContext" in window) {
  button.hidden = false;
  button.addEventListener("click", toggle);
  for (const event of ["pointerdown", "keydown"]) addEventListener(event, allow, { once: true });
  show();
}
if (repeat) {
  repeat.checked = read(REPEAT_KEY) === "on";
  repeat.addEventListener("change", () => keep(REPEAT_KEY, repeat.checked ? "on" : "off"));
}
setInterval(() => read(REPEAT_KEY) === "on" && isAnyUnread() && chime(), REPEAT_MS);

// notify.js
var KEY2 = "realmate.notify";
var button2 = document.getElementById("notify");
var TOLD_KEY = "realmate.told";
var isOn2 = () => read(KEY2) === "on" && Notification.permission === "granted";
var { title } = button2;
function show2() {
  const isRefused = Notification.permission === "denied";
  button2.setAttribute("aria-pressed", isOn2());
  button2.title = isRefused ? button2.dataset.refused : title;
  if (isRefused) button2.setAttribute("aria-label", button2.dataset.refused);
  else button2.removeAttribute("aria-label");
}
async function toggle2() {
  const wanted2 = !isOn2() && await Notification.requestPermission() === "granted";
  keep(KEY2, wanted2 ? "on" : "off");
  show2();
}
function tell(text) {
  try {
    new Notification(text, { tag: "realmate" });
  } catch {
    button2.hidden = true;
  }
}
function notify({ conversations, messages, marked: marked3 }) {
  const told = Number(read(TOLD_KEY));
  if (messages !== told) keep(TOLD_KEY, messages);
  if (messages <= told + marked3) return;
  chime();
  if (document.hidden && "Notification" in window && isOn2()) tell(`${button2.dataset.title}: ${conversations}`);
}
if ("Notification" in window) {
  button2.hidden = false;
  button2.addEventListener("click", toggle2);
  show2();
}

// copy.js
var DONE_MS = 1200;
var BUTTONS = "[data-copy], [data-copy-message], [data-copy-link]";
function showCopyButtons(root2) {
  if (!navigator.clipboard) return;
  for (const part of root2.querySelectorAll(`.message-menu, ${BUTTONS}`)) part.hidden = false;
  for (const button3 of root2.querySelectorAll(".message-menu-button")) button3.tabIndex = -1;
}
async function written(address) {
  const response = await fetch(address);
  if (!response.ok || response.redirected) throw new Error(`no text: ${response.status}`);
  return new Blob([await response.arrayBuffer()], { type: "text/plain" });
}
var copyMessage = (address) => navigator.clipboard.write([new ClipboardItem({ "text/plain": written(address) })]);
function linkOf2(button3) {
  const { href } = button3.closest(".message").querySelector(".message-link");
  const { origin, pathname, searchParams } = new URL(href);
  return `${origin}${pathname}?message=${searchParams.get("message")}`;
}
function copy(button3) {
  const { copy: text, copyMessage: address } = button3.dataset;
  if (address) return copyMessage(address);
  return navigator.clipboard.writeText(text ?? linkOf2(button3));
}
function showCopied(button3, isDone) {
  const announcer = document.getElementById("announcer");
  button3.classList.toggle("is-done", isDone);
  announcer.textContent = isDone ? announcer.dataset.copied : "";
}
document.addEventListener("click", async ({ target }) => {
  const button3 = target.closest?.(BUTTONS);
  if (!button3) return;
  try {
    await copy(button3);
  } catch {
    document.getElementById("notice-gone").hidden = false;
    return;
  }
  showCopied(button3, true);
  setTimeout(() => showCopied(button3, false), DONE_MS);
});

// layout.js
var TOGETHER_US = Number(document.documentElement.dataset.togetherSeconds) * 1e6;
function layOut(messages) {
  const changed = new Set(messages.flatMap((message) => [message, messageBelow(message)]));
  changed.delete(null);
  changed.forEach(place2);
}
var messageAbove = (element) => messageBeside(element, "previousElementSibling");
var messageBelow = (element) => messageBeside(element, "nextElementSibling");
function messageBeside(element, side) {
  let other = element[side];
  while (other && !other.matches(".message")) other = other[side];
  return other;
}
function place2(message) {
  const above = messageAbove(message);
  const isNewDay = above === null || dayOf(dateOf(above)) !== dayOf(dateOf(message));
  separate(message, isNewDay);
  message.classList.toggle("message--joined", !isNewDay && areTogether(above, message));
}
var dateOf = (message) => new Date(message.dataset.at);
var microseconds = ({ at }) => Date.parse(at) * 1e3 + Number(at.slice(-4, -1));
var areTogether = ({ dataset: one }, { dataset: other }) => one.direction === other.direction && microseconds(other) - microseconds(one) <= TOGETHER_US;
function separate(message, isNewDay) {
  const before2 = message.previousElementSibling;
  const separator = before2?.matches(".day") ? before2 : null;
  if (!isNewDay) separator?.remove();
  else if (separator === null) message.before(separatorFor(message));
}
function separatorFor(message) {
  const separator = document.createElement("li");
  separator.className = "day";
  const time = document.createElement("time");
  time.dateTime = message.dataset.at;
  time.dataset.format = "day";
  separator.append(time);
  localise(separator);
  return separator;
}

// drop.js
var MOST_SHOWN = 500;
var FAR_PX = 1200;
var get2 = (id) => document.getElementById(id);
function dropAt(end) {
  const messages = get2("messages").getElementsByClassName("message");
  const excess = messages.length - MOST_SHOWN;
  if (excess <= 0) return false;
  const last2 = end === "older" ? messages[excess] : messages[MOST_SHOWN - 1];
  const dropped = beyond(last2, end === "older" ? "previousSibling" : "nextSibling");
  if (distanceFromView(last2, end) < FAR_PX || dropped.some(isInUse)) return false;
  if (dropped.some(hasFocus)) get2("thread-scroll").focus({ preventScroll: true });
  for (const node of dropped) node.remove();
  showEdge(end, last2);
  return true;
}
function beyond(message, side) {
  const nodes = [];
  for (let node = message[side]; node; node = node[side]) nodes.push(node);
  return nodes;
}
function distanceFromView(message, end) {
  const [box, view] = [message, get2("thread-scroll")].map((element) => element.getBoundingClientRect());
  return end === "older" ? view.top - box.bottom : box.top - view.bottom;
}
function isInUse(node) {
  const selection = getSelection();
  const isSelected = !selection.isCollapsed && selection.containsNode(node, true);
  return isSelected || Boolean(node.querySelector?.(".htmx-request"));
}
var hasFocus = (node) => node.contains(document.activeElement);
function showEdge(end, message) {
  const edge = document.importNode(get2("edges").content.querySelector(`.edge--${end}`), true);
  const link = edge.querySelector("a");
  for (const name of ["href", "hx-get"]) {
    link.setAttribute(name, link.getAttribute(name).replace(/=[^&]*/, message.id.replace("message-", "=")));
  }
  if (end === "older") message.before(edge);
  else message.after(edge);
  layOut([message]);
  htmx.process(edge);
}

// thread.js
var NEAR_THE_END_PX = 100;
var MOST_READ_OUT = 3;
var PREFETCH_MARGIN = "600px 0px";
var get3 = (id) => document.getElementById(id);
var missed = 0;
var follows = true;
var skipped = [];
var conversation = () => document.querySelector("#thread-pane [name=conversation]")?.value;
var isAtEnd = () => follows;
var endsEarly = () => get3("arrival").disabled;
var toEnd = () => {
  const { scrollHeight, scrollTop, clientHeight } = get3("thread-scroll");
  return scrollHeight - scrollTop - clientHeight;
};
function goToEnd() {
  get3("thread-scroll").scrollTo(0, get3("thread-scroll").scrollHeight);
  follows = true;
}
function openThread() {
  wasClosed = isClosed();
  if (!get3("messages")) return;
  const scroller = get3("thread-scroll");
  missed = 0;
  skipped = [];
  layOut([...get3("messages").querySelectorAll(".message")]);
  localise(get3("thread-pane"));
  showCopyButtons(get3("thread-pane"));
  watchEdges();
  showWhereNewBegin();
  const highlighted = document.querySelector(".message--highlighted");
  if (highlighted) highlighted.scrollIntoView({ block: "center" });
  else goToEnd();
  noteScroll();
  scroller.addEventListener("scroll", noteScroll);
  const follow2 = () => follows && scroller.isConnected && !endsEarly() && goToEnd();
  new ResizeObserver(follow2).observe(scroller);
  get3("pill").addEventListener("click", goToNewest);
  showPill(0);
  scroller.addEventListener("keydown", (event) => {
    if (event.key !== "End" || !endsEarly()) return;
    event.preventDefault();
    goToNewest();
  });
}
var fromCustomer = () => Number(get3("thread-state").dataset.fromCustomer);
function showWhereNewBegin() {
  const unread2 = unreadOf(conversation(), fromCustomer());
  if (!unread2 || endsEarly()) return;
  const received = [...get3("thread").querySelectorAll(".message--received")];
  const first = received[Math.max(0, received.length - unread2)];
  if (!first) return;
  const line = document.createElement("li");
  line.className = "new-line";
  line.textContent = get3("messages").dataset.new;
  const before2 = first.previousElementSibling;
  (before2?.matches(".day") ? before2 : first).before(line);
}
function noteScroll() {
  follows = toEnd() < NEAR_THE_END_PX;
  if (follows) hidePill();
}
function dress(elements) {
  layOut(elements.filter((element) => element.matches(".message")));
  for (const element of elements) {
    localise(element);
    showCopyButtons(element);
  }
}
function messageInView(scroller) {
  const { top } = scroller.getBoundingClientRect();
  const messages = scroller.getElementsByClassName("message");
  let [first, end] = [0, messages.length];
  while (first < end) {
    const middle = first + end >> 1;
    if (messages[middle].getBoundingClientRect().bottom > top) end = middle;
    else first = middle + 1;
  }
  return messages[first];
}
function placeInThread() {
  const scroller = get3("thread-scroll");
  const message = scroller && !follows ? messageInView(scroller) : null;
  if (!message?.dataset.arrival) return null;
  return [Number(message.dataset.arrival), Math.round(distanceFromTop(message))];
}
var distanceFromTop = (message) => message.getBoundingClientRect().top - get3("thread-scroll").getBoundingClientRect().top;
function goToMessage(arrival, distance) {
  const message = document.querySelector(`#messages [data-arrival="${arrival}"]`);
  if (!message) return false;
  get3("thread-scroll").scrollTop += distanceFromTop(message) - distance;
  noteScroll();
  return true;
}
function firstInView() {
  const scroller = get3("thread-scroll");
  const message = messageInView(scroller);
  const before2 = message?.getBoundingClientRect().top;
  const restore = () => {
    if (message) scroller.scrollTop += message.getBoundingClientRect().top - before2;
  };
  return { restore };
}
var before = 0;
var texts = [];
function beginNews() {
  before = get3("thread-scroll") ? toEnd() : 0;
  texts = [];
}
function noteTexts(fragment) {
  showCopyButtons(fragment);
  for (const { id } of document.querySelectorAll("#refused-texts .message:has(.message-rest[open])")) {
    fragment.querySelector(`#${id} .message-rest`)?.setAttribute("open", "");
  }
  texts = [...fragment.querySelectorAll(".message")].filter(({ id }) => !get3(id));
}
function takeNews(messages) {
  const [now, atFirst] = [get3("thread-state"), get3("arrival")].map(({ dataset: dataset2 }) => Number(dataset2.count));
  if (endsEarly()) return showPill(Math.max(0, now - atFirst));
  const wasAtEnd = follows;
  const shown3 = [...add(messages), ...texts];
  if (shown3.length) readOut(shown3);
  if (!wasAtEnd) showPill(missed + shown3.length);
  else if (toEnd() > before) goToEnd();
}
function add(messages) {
  const place3 = firstInView();
  const shown3 = [...messages].filter(({ id }) => !get3(id)).filter(insert);
  dress(shown3);
  place3.restore();
  return shown3;
}
function insert(message) {
  const list2 = get3("messages");
  let above = messageAbove({ previousElementSibling: list2.lastElementChild });
  while (above && !isBefore(above.dataset, message.dataset)) above = messageAbove(above);
  if (!above && list2.querySelector(".edge--older")) {
    skipped.push(message);
    return false;
  }
  message.classList.add("message--new");
  (above ?? list2.querySelector(".opened-line")).after(message);
  return true;
}
var isBefore = (one, other) => one.at === other.at ? Number(one.arrival) < Number(other.arrival) : one.at < other.at;
function readOut(messages) {
  const announcer = get3("announcer");
  announcer.textContent = messages.length > MOST_READ_OUT ? counted(announcer, messages.length) : messages.map(spoken).join("\n");
}
var wasClosed = false;
var isClosed = () => get3("closed-banner")?.hidden === false;
document.addEventListener("htmx:oobAfterSwap", () => {
  if (isClosed() && !wasClosed) queueMicrotask(() => get3("announcer").append("\n", get3("closed-banner").textContent));
  wasClosed = isClosed();
});
var spoken = (message) => ["visually-hidden", "message-text"].map((name) => message.querySelector(`.${name}`).textContent).join(" ");
function showPill(number) {
  missed = number;
  const pill = get3("pill");
  pill.toggleAttribute("hidden", number === 0 && !endsEarly());
  pill.textContent = number ? counted(pill, number) : pill.dataset.end;
}
var hidePill = () => endsEarly() || showPill(0);
function goToNewest() {
  if (endsEarly()) return location.assign(newestAddress());
  goToEnd();
  hidePill();
  get3("thread-scroll").focus({ preventScroll: true });
}
function newestAddress() {
  const address = new URL(location);
  for (const name of ["message", "before", "after"]) address.searchParams.delete(name);
  return address;
}
function keepWhatStandsBeside({ target }) {
  const link = target.closest?.(".message-link");
  if (!link) return;
  const address = newestAddress();
  address.searchParams.set("message", new URL(link.href).searchParams.get("message"));
  link.href = address;
}
for (const event of ["pointerdown", "click"]) document.addEventListener(event, keepWhatStandsBeside);
var anchor = null;
var isEdge = ({ detail }) => Boolean(detail.target.matches?.(".edge"));
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
  if (!isEdge(event) || anchor === null || !get3("messages")) return;
  const { restore, hadFocus, above, below } = anchor;
  anchor = null;
  dress(between(above, below));
  watchEdges();
  restore();
  add(skipped.splice(0));
  if (hadFocus) get3("thread-scroll").focus({ preventScroll: true });
  if (endsEarly() && !document.querySelector(".edge--newer")) follow();
});
function dropAtOtherEnd(edge) {
  const end = edge.id === "edge-older" ? "newer" : "older";
  if (dropAt(end) && end === "newer") stopFollowing();
}
function stopFollowing() {
  get3("arrival").disabled = true;
  get3("arrival").dataset.count = Number(get3("thread-state").dataset.count) - missed;
  showPill(missed);
}
function between(above, below) {
  const elements = [];
  let element = above ? above.nextElementSibling : get3("messages").firstElementChild;
  for (; element && element !== below; element = element.nextElementSibling) elements.push(element);
  return elements;
}
var observers = [];
function watchEdges() {
  for (const observer of observers) observer.disconnect();
  observers = [PREFETCH_MARGIN, "0px"].map(
    (rootMargin) => new IntersectionObserver(askForNear, { root: get3("thread-scroll"), rootMargin })
  );
  for (const link of get3("messages").querySelectorAll(":scope > .edge a")) {
    for (const observer of observers) observer.observe(link);
  }
}
function askForNear(entries) {
  for (const { target, isIntersecting } of entries) if (isIntersecting) htmx.trigger(target, "near");
}
function follow() {
  get3("arrival").disabled = false;
  get3("stamp").value = "";
  noteScroll();
}

// poll.js
var LONGEST_INTERVAL_MS = 3e4;
var COUNTS_INTERVAL_MS = 3e4;
var PAUSE_KEY = "realmate.pause";
var FAILURES_BEFORE_THE_NOTICE = 2;
var FRESHNESS_MS = 1e3;
var get4 = (id) => document.getElementById(id);
var poller = get4("poller");
var pause = get4("pause");
var interval = 1e3 * /every (\d+)s/.exec(poller.getAttribute("hx-trigger"))[1];
var failures = 0;
var isPaused = readInTab(PAUSE_KEY) === "on";
var isOver = false;
var isWanted = false;
var isTaking = false;
var asked;
var endedAt = performance.now();
var countsAskedAt = performance.now();
var freshAt = /* @__PURE__ */ new Date();
var shown = () => [...document.querySelectorAll("[data-poll]:enabled")].map(({ value }) => value).join();
var pauseBetween = () => document.hidden ? LONGEST_INTERVAL_MS : Math.min(interval * 2 ** failures, LONGEST_INTERVAL_MS);
var isDue = () => isWanted || performance.now() - endedAt > pauseBetween() - interval / 2;
poller.addEventListener("htmx:configRequest", ({ detail }) => {
  Object.assign(detail.parameters, cursors());
  const areDue = performance.now() - countsAskedAt > COUNTS_INTERVAL_MS;
  if (areDue && get4("counts")) detail.parameters.counts = get4("counts").value;
});
poller.addEventListener("htmx:beforeRequest", (event) => {
  if (isPaused || isOver || !isDue()) return event.preventDefault();
  isWanted = false;
  asked = shown();
});
function askNow() {
  isWanted = true;
  htmx.trigger(poller, "poll");
}
function showNow() {
  showRead();
  askNow();
}
function pollAfresh() {
  get4("stamp").value = "";
  askNow();
}
var isAnswer = ({ status, responseText }) => status === 204 || status === 200 && responseText.includes('id="stamp"');
poller.addEventListener("htmx:beforeOnLoad", (event) => {
  const { xhr, requestConfig } = event.detail;
  const { pathname } = new URL(xhr.responseURL);
  isOver = pathname === poller.dataset.login || xhr.status === 401 || xhr.status === 403;
  isTaking = pathname === requestConfig.path && isAnswer(xhr);
  if (isTaking) showSilence(xhr.getResponseHeader("X-Silent-Since"));
  if (!isTaking || isPaused || shown() !== asked) event.preventDefault();
  beginNews();
});
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
function showSilence(since) {
  const notice2 = get4("notice-silent");
  const time = notice2.querySelector("time");
  showIf(notice2, since !== null);
  if (since === null || time.getAttribute("datetime") === since) return;
  time.setAttribute("datetime", since);
  time.removeAttribute("title");
  localise(notice2);
}
function takeHeard(swap) {
  const { dataset: dataset2 } = swap.fragment.firstElementChild;
  swap.shouldSwap = false;
  hear(dataset2);
  isWanted ||= "more" in dataset2;
}
poller.addEventListener("htmx:afterSwap", showRead);
poller.addEventListener("htmx:afterRequest", ({ detail }) => {
  failures = isTaking || isOver ? 0 : failures + 1;
  if (isTaking && detail.requestConfig.formData.has("counts")) countsAskedAt = performance.now();
  if (isTaking) freshAt = /* @__PURE__ */ new Date();
  isTaking = false;
  endedAt = performance.now();
  showIf(get4("notice-gone"), isGone());
  showIf(get4("notice-session"), isOver);
  showFreshness();
  if (isWanted) queueMicrotask(askNow);
});
function showRead() {
  const id = conversation();
  if (id && !document.hidden && get4("arrival") && !get4("arrival").disabled && isAtEnd()) {
    markSeen(id, fromCustomer());
  }
  showUnread();
  notify(takeNumbers());
}
var isGone = () => failures >= FAILURES_BEFORE_THE_NOTICE;
function showFreshness() {
  const { live, paused, stale } = poller.dataset;
  let text = live.replace("%s", ago(freshAt));
  if (isPaused) text = paused.replace("%s", timeOfDay(freshAt));
  else if (isGone() || isOver) text = stale.replace("%s", timeOfDay(freshAt));
  if (poller.dataset.freshness !== text) poller.dataset.freshness = text;
}
var showIf = (notice2, wanted2) => notice2.hidden === !wanted2 || (notice2.hidden = !wanted2);
function showPause() {
  pause.setAttribute("aria-pressed", isPaused);
  showIf(get4("notice-paused"), isPaused);
  showFreshness();
}
function togglePause() {
  isPaused = !isPaused;
  keepInTab(PAUSE_KEY, isPaused ? "on" : "off");
  showPause();
  if (!isPaused) askNow();
}
var isPausedByReader = () => isPaused;
function startPolling() {
  pause.hidden = false;
  showPause();
  pause.addEventListener("click", togglePause);
  document.addEventListener("visibilitychange", () => document.hidden || showNow());
  addEventListener("online", askNow);
  get4("try-now").addEventListener("click", askNow);
  setInterval(() => document.hidden || showFreshness(), FRESHNESS_MS);
  if (isBehind()) askNow();
}

// dealing.js
var FORMS = ".dealing, .row-dealing";
var main = document.getElementById("main");
var notice = document.getElementById("notice-unmarked");
var wasPressed = false;
main.addEventListener("htmx:beforeRequest", (event) => {
  const { elt } = event.detail;
  if (!elt.matches(FORMS)) return;
  notice.hidden = true;
  if (!isPausedByReader()) return;
  event.preventDefault();
  elt.submit();
});
main.addEventListener("htmx:afterRequest", ({ detail: { elt, xhr, requestConfig } }) => {
  if (!elt.matches?.(FORMS) || !xhr.status) return;
  const isOurs = new URL(xhr.responseURL).pathname === requestConfig.path;
  if (xhr.status === 204) noteMark2(elt);
  else if (isOurs && xhr.status !== 401) notice.hidden = false;
  pollAfresh();
});
function noteMark2(form2) {
  wasPressed = form2.matches(".dealing") && form2.contains(document.activeElement);
  if (form2.matches(".row-dealing")) wantOrder();
}
document.getElementById("poller").addEventListener("htmx:afterSwap", () => {
  if (!wasPressed) return;
  wasPressed = false;
  document.querySelector(".dealing-line:not([hidden]) button")?.focus({ preventScroll: true });
});

// frame.js
var root = document.documentElement;
var dark = document.getElementById("dark");
var system = matchMedia("(prefers-color-scheme: dark)");
var isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
var showTheme = () => dark.setAttribute("aria-pressed", isDark());
function switchTheme() {
  root.dataset.theme = isDark() ? "light" : "dark";
  keep("realmate.theme", root.dataset.theme);
  showTheme();
}
function pointToThisPage({ currentTarget: link }) {
  const address = new URL(location);
  address.searchParams.set("lang", link.hreflang);
  link.href = address;
}
function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except) menu.open = false;
  }
}
document.addEventListener("click", ({ target }) => closeMenus(target.closest("details.menu")));
document.addEventListener("keyup", ({ key }) => {
  if (key === "Tab") closeMenus(document.activeElement.closest("details.menu"));
});
document.addEventListener(
  "toggle",
  ({ target }) => {
    if (target.matches(".message-menu[open]")) target.querySelector(".menu-items").scrollIntoView({ block: "nearest" });
  },
  { capture: true }
);
document.addEventListener("keydown", (event) => {
  const open = document.querySelector("details.menu[open]");
  if (event.key !== "Escape" || !open || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  closeMenus();
  open.querySelector("summary").focus();
});
for (const event of ["pointerdown", "focus", "click"]) {
  document.getElementById("language").addEventListener(event, pointToThisPage);
}
dark.hidden = false;
dark.addEventListener("click", switchTheme);
system.addEventListener("change", showTheme);
showTheme();
localise();

// marking.js
var get5 = (id) => document.getElementById(id);
var main2 = get5("main");
function offerMark() {
  const button3 = get5("mark-unread");
  if (button3) button3.hidden = fromCustomer() === 0;
}
function leaveUnread() {
  const id = conversation();
  if (!id || fromCustomer() === 0) return;
  markUnread(id, fromCustomer());
  get5("back").click();
}
function openNextUnread() {
  const rows = [...document.querySelectorAll("#list .row-item")];
  const current = rows.findIndex((row) => row.querySelector("[aria-current]"));
  const inOrder = [...rows.slice(current + 1), ...rows.slice(0, Math.max(0, current))];
  const next = inOrder.find((row) => row.querySelector(".unread:not([hidden])"));
  if (next) return next.querySelector("a").click();
  const id = firstUnread();
  if (id && id !== conversation()) location.assign(`${main2.dataset.inbox}${id}/`);
}
main2.addEventListener("click", ({ target }) => target.closest("#mark-unread") && leaveUnread());

// keyboard.js
var KEY3 = "realmate.single-keys";
var help = document.getElementById("help");
var singleKeys = document.getElementById("single-keys");
singleKeys.checked = read(KEY3) !== "off";
singleKeys.addEventListener("change", () => keep(KEY3, singleKeys.checked ? "on" : "off"));
var openHelp = document.getElementById("open-help");
openHelp.hidden = false;
openHelp.addEventListener("click", () => help.showModal());
var afterMoreRows = null;
document.addEventListener("rows-added", () => {
  const act = afterMoreRows;
  afterMoreRows = null;
  act?.();
});
document.addEventListener("click", ({ isTrusted }) => {
  if (isTrusted) afterMoreRows = null;
});
function walk(step) {
  const row = rowBeside(step);
  if (row) {
    row.click();
    row.scrollIntoView({ block: "nearest" });
  } else if (step > 0) loadMoreAnd(() => walk(step));
}
function loadMoreAnd(act) {
  const more = document.querySelector("#more a");
  if (!more) return;
  afterMoreRows = act;
  more.click();
}
var groups = [
  {
    of: () => document.getElementById("list"),
    stops: ".row, .more-link",
    steps: { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }
  },
  {
    of: (target) => target.closest(".message-meta"),
    stops: ".message-link, .message-menu:not([hidden]) > .message-menu-button",
    steps: { ArrowRight: 1, ArrowLeft: -1 }
  }
];
function moveFrom(target, key) {
  const group = groups.find(({ stops: stops2, steps }) => key in steps && target.matches(stops2));
  const stops = [...group?.of(target)?.querySelectorAll(group.stops) ?? []];
  if (!stops.includes(target)) return null;
  const wanted2 = stops.indexOf(target) + group.steps[key];
  return () => stops[Math.min(Math.max(wanted2, 0), stops.length - 1)].focus();
}
function goBack() {
  if (document.querySelector("#thread-pane[data-conversation]")) document.getElementById("back")?.click();
}
var altKeys = { KeyJ: () => walk(1), KeyK: () => walk(-1) };
var plainKeys = {
  "/": () => document.getElementById("search-box").focus(),
  "?": () => help.showModal(),
  n: openNextUnread,
  u: leaveUnread
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.defaultPrevented || help.open) return;
  const isWriting = event.target.matches("input:not([type=checkbox]), textarea, select");
  let act;
  if (event.altKey) act = altKeys[event.code];
  else if (event.key === "Escape") act = isWriting ? () => event.target.blur() : goBack;
  else if (!isWriting) act = moveFrom(event.target, event.key) ?? (singleKeys.checked && plainKeys[event.key]);
  if (!act) return;
  event.preventDefault();
  act();
});

// place.js
var KEY4 = "realmate.places";
var THREADS_KEY = "realmate.thread-places";
var MOST_PAGES = 40;
var MOST_KEPT2 = 20;
var LISTED_BY = [
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
  "exact"
];
var list;
var awaited = null;
var rowsShown = () => document.querySelectorAll(".row-item").length;
var read2 = (key = KEY4) => JSON.parse(readInTab(key)) ?? [];
var numberOf = (text) => [...text].reduce((sum, letter) => (31 * sum + letter.codePointAt(0)) % 2 ** 32, 0);
function knowList() {
  const { searchParams } = new URL(location);
  list = numberOf(JSON.stringify(LISTED_BY.map((name) => searchParams.get(name))));
  awaited = null;
}
function keepPlace() {
  const scroller = listScroller();
  if (isReturning() || !scroller.checkVisibility()) return;
  const others = read2().filter(([other]) => other !== list);
  const places = [...others, [list, rowsShown(), scroller.scrollTop]];
  keepInTab(KEY4, JSON.stringify(places.slice(-MOST_KEPT2)));
}
var navigation = () => performance.getEntriesByType("navigation")[0]?.type;
var hasComeBack = () => ["reload", "back_forward"].includes(navigation());
function returnToPlace() {
  if (hasComeBack()) {
    awaited = read2().find(([known]) => known === list);
    sought = read2(THREADS_KEY).find(([known]) => known === thread);
  }
  goOn();
  goOnInThread();
}
var isReturning = () => Boolean(awaited);
function goOn() {
  if (!awaited) return;
  const [, rows, top] = awaited;
  const more = document.querySelector("#more a");
  if (more && rowsShown() < rows && !isFull()) return more.click();
  listScroller().scrollTop = top;
  awaited = null;
}
var thread = null;
var sought = null;
var pages = MOST_PAGES;
function knowThread() {
  const { pathname, searchParams } = new URL(location);
  const at = ["message", "before", "after"].map((name) => searchParams.get(name));
  thread = conversation() ? numberOf(JSON.stringify([pathname, ...at])) : null;
  sought = null;
}
function keepThreadPlace() {
  if (thread === null || sought) return;
  const places = read2(THREADS_KEY).filter(([known]) => known !== thread);
  const place3 = placeInThread();
  if (place3) places.push([thread, ...place3]);
  keepInTab(THREADS_KEY, JSON.stringify(places.slice(-MOST_KEPT2)));
}
function goOnInThread() {
  if (!sought) return;
  const [, arrival, distance] = sought;
  const older = document.querySelector("#messages > .edge--older a");
  if (!goToMessage(arrival, distance) && older && pages-- > 0) older.click();
  else sought = null;
}

// inbox.js
var shown2;
var last;
var wanted = {};
var get6 = (id) => document.getElementById(id);
var main3 = get6("main");
var hasNoFocus = () => document.activeElement === document.body;
var showFilter = () => document.querySelector(".filter[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
function openPane() {
  openThread();
  shown2 = conversation();
  openAgain(shown2);
  knowThread();
  markSelected(shown2);
  offerMark();
  get6("thread-scroll")?.addEventListener("scrollend", showRead);
}
var opened = {
  "thread-pane"() {
    const left = shown2;
    openPane();
    if (!shown2 && focusRow(left)) return;
    (get6("thread-scroll") ?? get6("thread-pane")).focus({ preventScroll: true });
  },
  "list-pane"({ requestConfig }) {
    openList();
    knowList();
    localise(get6("list-pane"));
    markSelected(shown2);
    showFilter();
    if (hasNoFocus() && requestConfig.elt.closest(".sorts")) get6("sorts").focus();
    pollAfresh();
  },
  more() {
    lengthenList(last, { takesFocus: !isReturning() });
    markSelected(shown2);
    pollAfresh();
    goOn();
    document.dispatchEvent(new Event("rows-added"));
  },
  "edge-older": goOnInThread
};
function tellHits() {
  if (shown2 || hasComeBack() || !new URL(location).searchParams.get("q")) return;
  const hits = get6("hits");
  hits?.querySelector(".row").focus({ preventScroll: true });
  const hint = document.querySelector("#list > .hint:not([role])");
  get6("announcer").textContent = hits ? counted(hits, Number(hits.dataset.count)) : hint?.textContent ?? "";
}
function takePiece(link) {
  if (!link.isConnected) return;
  const piece = link.nextElementSibling;
  link.remove();
  piece.tabIndex = -1;
  piece.focus({ preventScroll: true });
}
main3.addEventListener("htmx:afterOnLoad", ({ detail }) => {
  if (!detail.successful) return;
  opened[detail.target.id]?.(detail);
  if (detail.target.matches(".message-rest")) takePiece(detail.requestConfig.elt);
  showRead();
});
function judge(event) {
  const { xhr, requestConfig, target } = event.detail;
  if (target.id && xhr !== wanted[target.id]) return event.preventDefault();
  if (target.id === "more") last = target.previousElementSibling;
  const answered = new URL(xhr.responseURL).pathname;
  const asked2 = new URL(requestConfig.path, location).pathname;
  if (xhr.status < 400 && answered === asked2) return;
  event.preventDefault();
  if (xhr.status >= 500) showFailure(event);
  else location.assign(requestConfig.elt.href);
}
main3.addEventListener("htmx:sendError", showFailure);
function markAsked(link) {
  if (!link.matches(".row, .filter")) return;
  for (const other of document.querySelectorAll(`.${link.classList[0]}[aria-current]`)) {
    other.removeAttribute("aria-current");
  }
  link.setAttribute("aria-current", link.matches(".row") ? "page" : "true");
}
function unmarkAsked() {
  markSelected(shown2);
  markFilter(document.querySelector("#list-pane [name=filter]")?.value);
}
function markFilter(chosen) {
  for (const link of document.querySelectorAll(".filter")) {
    link.toggleAttribute("aria-current", false);
    if (link.id === `filter-${chosen}`) link.setAttribute("aria-current", "true");
  }
}
function showFailure({ detail }) {
  const { elt } = detail.requestConfig;
  get6("notice-gone").hidden = false;
  unmarkAsked();
  if (elt.dataset.retry) elt.textContent = elt.dataset.retry;
}
main3.addEventListener("htmx:beforeRequest", (event) => {
  const { xhr, target, requestConfig } = event.detail;
  if (requestConfig.verb !== "get") return;
  wanted[target.id] = xhr;
  markAsked(requestConfig.elt);
  requestConfig.elt.addEventListener("htmx:beforeOnLoad", judge, { once: true });
  if (target.id !== "more" || !isFull()) return;
  event.preventDefault();
  location.assign(requestConfig.elt.href);
});
for (const keep2 of [keepPlace, keepThreadPlace]) {
  main3.addEventListener("htmx:beforeSwap", keep2);
  addEventListener("pagehide", keep2);
}
openList();
knowList();
showFilter();
openPane();
showRead();
startPolling();
addEventListener("DOMContentLoaded", returnToPlace);
addEventListener("DOMContentLoaded", tellHits);
