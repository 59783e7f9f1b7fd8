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
function unitOfAge(at) {
  const minutes = minutesSince(at);
  if (minutes < 1) return "now";
  if (minutes < 60) return "minutes";
  return minutes < 1440 ? "hours" : "days";
}
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
var unreadOf = (id, count) => Math.max(0, count - (seen.get(id) ?? count));
var unreadMessages = () => [...unread].reduce((sum, [id, count]) => sum + unreadOf(id, count), 0);
var isAnyUnread = () => unread.size > 0;
function noteMark(id, count, seenSoFar) {
  unmarked.set(id, count);
  marked += count - seenSoFar - unreadOf(id, count);
}
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
  const before = unread.get(id);
  const most = Math.max(count, unread.get(id) ?? 0);
  if (unreadOf(id, most)) unread.set(id, most);
  else unread.delete(id);
  isToStore ||= unread.get(id) !== before;
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
var numbersOf = (part) => part.split(":").map((text, place) => place ? Number(text) : text);
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
  const wanted = conversations ? unreadIcon : readIcon;
  if (icon && icon.getAttribute("href") !== wanted) icon.href = wanted;
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
  TONES_HZ.forEach((frequency, place) => {
    const from = context.currentTime + place * 0.16;
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
  const wanted = !isOn2() && await Notification.requestPermission() === "granted";
  keep(KEY2, wanted ? "on" : "off");
  show2();
}
function tell(text) {
  try {
    new Notification(text, { tag: "realmate" });
  } catch {
    button2.hidden = true;
  }
}
function notify({ conversations, messages, marked: marked2 }) {
  const told = Number(read(TOLD_KEY));
  if (messages !== told) keep(TOLD_KEY, messages);
  if (messages <= told + marked2) return;
  chime();
  if (document.hidden && "Notification" in window && isOn2()) tell(`${button2.dataset.title}: ${conversations}`);
}
if ("Notification" in window) {
  button2.hidden = false;
  button2.addEventListener("click", toggle2);
  show2();
}

// watch.js
var PAUSE_KEY = "realmate.pause";
var poller = document.getElementById("poller");
var isPaused = readInTab(PAUSE_KEY) === "on";
function show3() {
  showUnread();
  notify(takeNumbers());
}
var askNow = () => htmx.trigger(poller, "poll");
poller.addEventListener("htmx:configRequest", ({ detail }) => {
  Object.assign(detail.parameters, cursors());
  detail.parameters.rows = 0;
});
poller.addEventListener("htmx:beforeRequest", (event) => isPaused && event.preventDefault());
document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  if (detail.target.id !== "heard") return;
  const { dataset: dataset2 } = detail.fragment.firstElementChild;
  detail.shouldSwap = false;
  hear(dataset2);
  show3();
  if ("more" in dataset2) setTimeout(askNow);
});
show3();
