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
function localise(root = document) {
  for (const time of root.querySelectorAll("time[data-format][datetime]")) {
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

// layout.js
var TOGETHER_US = Number(document.documentElement.dataset.togetherSeconds) * 1e6;
function layOut(messages) {
  const changed = new Set(messages.flatMap((message) => [message, messageBelow(message)]));
  changed.delete(null);
  changed.forEach(place);
}
var messageAbove = (element) => messageBeside(element, "previousElementSibling");
var messageBelow = (element) => messageBeside(element, "nextElementSibling");
function messageBeside(element, side) {
  let other = element[side];
  while (other && !other.matches(".message")) other = other[side];
  return other;
}
function place(message) {
  const above = messageAbove(message);
  const isNewDay = above === null || dayOf(dateOf(above)) !== dayOf(dateOf(message));
  separate(message, isNewDay);
  message.classList.toggle("message--joined", !isNewDay && areTogether(above, message));
}
var dateOf = (message) => new Date(message.dataset.at);
var microseconds = ({ at }) => Date.parse(at) * 1e3 + Number(at.slice(-4, -1));
var areTogether = ({ dataset: one }, { dataset: other }) => one.direction === other.direction && microseconds(other) - microseconds(one) <= TOGETHER_US;
function separate(message, isNewDay) {
  const before = message.previousElementSibling;
  const separator = before?.matches(".day") ? before : null;
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

// print.js
layOut([...document.querySelectorAll(".messages .message")]);
localise();
var button = document.getElementById("print");
button.hidden = false;
button.addEventListener("click", () => window.print());
