// storage.js
var orNull = (act) => {
  try {
    return act();
  } catch {
    return null;
  }
};
var keep = (key, value) => orNull(() => localStorage.setItem(key, value));

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
