// A desktop notification when something new comes while the tab is hidden: a number, no text. Opt-in.

import { keep, read } from "./storage.js";

const KEY = "realmate.notify";
const button = document.getElementById("notify");
let told = 0;

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

export function notify(conversations) {
  if (document.hidden && "Notification" in window && isOn() && conversations > told) {
    tell(`${button.dataset.title}: ${conversations}`);
  }
  told = conversations;
}

if ("Notification" in window) {
  button.hidden = false;
  button.addEventListener("click", toggle);
  show();
}
