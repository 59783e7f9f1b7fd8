// Times in the reader's zone and language. What stands in a <time> before is the server's zone.

const { lang } = document.documentElement;
const MINUTE_MS = 60_000;

const clock = new Intl.DateTimeFormat(lang, { timeStyle: "short" });
const weekday = new Intl.DateTimeFormat(lang, { weekday: "short" });
const date = new Intl.DateTimeFormat(lang, { day: "2-digit", month: "2-digit", year: "numeric" });
const longDate = new Intl.DateTimeFormat(lang, { dateStyle: "full" });
const exact = new Intl.DateTimeFormat(lang, { dateStyle: "full", timeStyle: "long" });
const nearDay = new Intl.RelativeTimeFormat(lang, { numeric: "auto" });
const units = ["minute", "hour", "day"].map(
  (unit) => new Intl.NumberFormat(lang, { style: "unit", unit, unitDisplay: "short" }),
);

const midnight = (at) => new Date(at.getFullYear(), at.getMonth(), at.getDate());
const daysAgo = (at) => Math.round((midnight(new Date()) - midnight(at)) / (1440 * MINUTE_MS));

// A day of the reader's calendar, as a key.
export const dayOf = (at) => midnight(at).getTime();

const formats = {
  clock: (at) => clock.format(at),
  full: (at) => `${date.format(at)}, ${clock.format(at)}`,
  brief(at) {
    const days = daysAgo(at);
    if (days === 0) return clock.format(at);
    if (days === 1) return nearDay.format(-1, "day");
    return days > 1 && days < 7 ? weekday.format(at) : date.format(at);
  },
  day(at) {
    const days = daysAgo(at);
    return sentence(days === 0 || days === 1 ? nearDay.format(-days, "day") : longDate.format(at));
  },
  // As the template filter `age`: in the largest unit, never negative.
  age(at) {
    const minutes = Math.max(0, Math.floor((Date.now() - at) / MINUTE_MS));
    const [amount, unit] =
      minutes < 60 ? [minutes, 0] : minutes < 1440 ? [minutes / 60, 1] : [minutes / 1440, 2];
    return units[unit].format(Math.floor(amount));
  },
};

const sentence = (text) => text[0].toLocaleUpperCase(lang) + text.slice(1);

function write(time) {
  const at = new Date(time.dateTime);
  const text = formats[time.dataset.format](at);
  if (time.textContent !== text) time.textContent = text;
}

export function localise(root = document) {
  for (const time of root.querySelectorAll("time[data-format][datetime]")) {
    write(time);
    if (!time.title) time.title = exact.format(new Date(time.dateTime));
  }
}

// Ages grow; and past midnight, today is yesterday.
setInterval(() => document.querySelectorAll("time[data-format][datetime]").forEach(write), MINUTE_MS);
