// Times in the reader's zone and language. Until then, each <time> shows the server's zone.

const { lang, dataset } = document.documentElement;
const MINUTE_MS = 60_000;
const NEAR_MS = Number(dataset.nearSeconds) * 1_000;

const clock = new Intl.DateTimeFormat(lang, { timeStyle: "short" });
const weekday = new Intl.DateTimeFormat(lang, { weekday: "short" });
const date = new Intl.DateTimeFormat(lang, { day: "2-digit", month: "2-digit", year: "numeric" });
const longDate = new Intl.DateTimeFormat(lang, { dateStyle: "full" });
const exact = new Intl.DateTimeFormat(lang, { dateStyle: "full", timeStyle: "long" });
const near = new Intl.RelativeTimeFormat(lang, { numeric: "auto" });
const narrow = new Intl.RelativeTimeFormat(lang, { numeric: "auto", style: "narrow" });
const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
const inUnit = (unit) => {
  const format = new Intl.NumberFormat(lang, { style: "unit", unit, unitDisplay: "short" });
  return (minutes) => format.format(Math.floor(minutes));
};
const [inMinutes, inHours, inDays] = ["minute", "hour", "day"].map(inUnit);

// On paper "today" soon means another day, so days are dates. The print page has dates on screen too.
let isPrinting = document.body.matches(".print");

const midnight = (at) => new Date(at.getFullYear(), at.getMonth(), at.getDate());
const daysAgo = (at) => Math.round((midnight(new Date()) - midnight(at)) / (1440 * MINUTE_MS));

const isNear = (at) => at <= Date.now() && Date.now() - at < NEAR_MS;
const minutesSince = (at) => Math.max(0, Math.floor((Date.now() - at) / MINUTE_MS));

export const timeOfDay = (at) => clock.format(at);

// Counts seconds up to a minute, and then minutes.
export function ago(at) {
  const seconds = Math.max(0, Math.floor((Date.now() - at) / 1000));
  return seconds < 60 ? narrow.format(-seconds, "second") : narrow.format(-Math.floor(seconds / 60), "minute");
}

// inbox.css makes longer waits bolder by this unit.
function unitOfAge(at) {
  const minutes = minutesSince(at);
  if (minutes < 1) return "now";
  if (minutes < 60) return "minutes";
  return minutes < 1440 ? "hours" : "days";
}

// A day of the reader's calendar, as a key.
export const dayOf = (at) => midnight(at).getTime();

const formats = {
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
  zoned: (at) => `${formats.full(at)} (${zone})`,
};

const sentence = (text) => text[0].toLocaleUpperCase(lang) + text.slice(1);

function write(time) {
  const at = new Date(time.dateTime);
  const text = formats[time.dataset.format](at);
  if (time.textContent !== text) time.textContent = text;
  if (time.dataset.age) time.dataset.age = unitOfAge(at);
}

export function localise(root = document) {
  for (const time of root.querySelectorAll("time[data-format][datetime]")) {
    write(time);
    if (!time.title) time.title = exact.format(new Date(time.dateTime));
  }
}

// Ages grow, and at midnight today becomes yesterday.
const writeAll = () => document.querySelectorAll("time[data-format][datetime]").forEach(write);
setInterval(writeAll, MINUTE_MS);

addEventListener("beforeprint", () => {
  isPrinting = true;
  for (const time of document.querySelectorAll("time[data-printed]")) time.dateTime = new Date().toISOString();
  writeAll();
});
addEventListener("afterprint", () => {
  isPrinting = document.body.matches(".print");
  writeAll();
});
