// A desktop notification when something new comes while the tab is hidden: a number, no text. Opt-in.

import { keep, read } from "./storage.js";

const KEY = "realmate.notify";
const button = document.getElementById("notify");
const TOLD_KEY = "realmate.told"; // the unread messages that any tab of this browser has told of

const isOn = () => read(KEY) === "on" && Notification.permission === "granted";
const show = () => button.setAttribute("aria-pressed", isOn());

async function toggle() {
  const wanted = !isOn() && (await Notification.requestPermission()) === "granted";
  keep(KEY, wanted ? "on" : "off");
  show();
}

// Some phones' browsers take notifications from a service worker only, and throw.
function tell(text) {
  try {
    new Notification(text, { tag: "realmate" });
  } catch {
    button.hidden = true;
  }
}

// A further message in an unread conversation is news too.
export function notify({ conversations, messages }) {
  const told = Number(read(TOLD_KEY));
  if (messages !== told) keep(TOLD_KEY, messages);
  if (messages <= told || !document.hidden) return;
  if ("Notification" in window && isOn()) tell(`${button.dataset.title}: ${conversations}`);
}

if ("Notification" in window) {
  button.hidden = false;
  button.addEventListener("click", toggle);
  show();
}
