// Alt+J and Alt+K walk the list, arrows move in the list and in a message, Esc goes back. The reader can turn
// single keys off (WCAG 2.1.4).

import { rowBeside } from "./list.js";
import { leaveUnread, openNextUnread } from "./marking.js";
import { keep, read } from "./storage.js";

const KEY = "realmate.single-keys";
const help = document.getElementById("help");
const singleKeys = document.getElementById("single-keys");

singleKeys.checked = read(KEY) !== "off";
singleKeys.addEventListener("change", () => keep(KEY, singleKeys.checked ? "on" : "off"));

const openHelp = document.getElementById("open-help");
openHelp.hidden = false;
openHelp.addEventListener("click", () => help.showModal());

let afterMoreRows = null;
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

// Arrows move within the list, and between a message's link and its menu. Tab reaches only the link.
const groups = [
  {
    of: () => document.getElementById("list"),
    stops: ".row, .more-link",
    steps: { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity },
  },
  {
    of: (target) => target.closest(".message-meta"),
    stops: ".message-link, .message-menu:not([hidden]) > .message-menu-button",
    steps: { ArrowRight: 1, ArrowLeft: -1 },
  },
];

function moveFrom(target, key) {
  const group = groups.find(({ stops, steps }) => key in steps && target.matches(stops));
  const stops = [...(group?.of(target)?.querySelectorAll(group.stops) ?? [])];
  if (!stops.includes(target)) return null;
  const wanted = stops.indexOf(target) + group.steps[key];
  return () => stops[Math.min(Math.max(wanted, 0), stops.length - 1)].focus();
}

function goBack() {
  if (document.querySelector("#thread-pane[data-conversation]")) document.getElementById("back")?.click();
}

const altKeys = { KeyJ: () => walk(1), KeyK: () => walk(-1) };
const plainKeys = {
  "/": () => document.getElementById("search-box").focus(),
  "?": () => help.showModal(),
  n: openNextUnread,
  u: leaveUnread,
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
