// Alt+J and Alt+K walk the list, Esc goes back; single keys can be turned off (WCAG 2.1.4).

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

function walk(step) {
  const links = [...document.querySelectorAll("#list .row")];
  const current = links.findIndex((link) => link.hasAttribute("aria-current"));
  const next = current < 0 ? links.at(step > 0 ? 0 : -1) : links[current + step];
  next?.click();
  next?.scrollIntoView({ block: "nearest" });
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
  else if (!isWriting && singleKeys.checked) act = plainKeys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
