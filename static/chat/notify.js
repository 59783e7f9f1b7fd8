// A desktop notification when something new comes while the tab is hidden: a number, no text. Opt-in.

import { chime } from "./sound.js";
import { keep, read } from "./storage.js";

const KEY = "realmate.notify";
const button = document.getElementById("notify");
const TOLD_KEY = "realmate.told"; // the last number of unread messages known to any tab

const isOn = () => read(KEY) === "on" && Notification.permission === "granted";
const { title } = button;

// The button tells of a refusal, because only the reader can allow notifications again, in the browser.
function show() {
  const isRefused = Notification.permission === "denied";
  button.setAttribute("aria-pressed", isOn());
  button.title = isRefused ? button.dataset.refused : title;
  if (isRefused) button.setAttribute("aria-label", button.dataset.refused);
  else button.removeAttribute("aria-label");
}

async function toggle() {
  const wanted = !isOn() && (await Notification.requestPermission()) === "granted";
  keep(KEY, wanted ? "on" : "off");
  show();
}

// Some phones' browsers throw, because they accept notifications only from a service worker.
function tell(text) {
  try {
    new Notification(text, { tag: "realmate" });
  } catch {
    button.hidden = true;
  }
}

// A further message in an unread conversation is news too. A message marked as unread by the reader is not.
export function notify({ conversations, messages, marked }) {
  const told = Number(read(TOLD_KEY));
  if (messages !== told) keep(TOLD_KEY, messages);
  if (messages <= told + marked) return;
  chime();
  if (document.hidden && "Notification" in window && isOn()) tell(`${button.dataset.title}: ${conversations}`);
}

if ("Notification" in window) {
  button.hidden = false;
  button.addEventListener("click", toggle);
  show();
}
