// A page without the inbox: its title and its icon show the number of unread conversations.

import "./frame.js";
import { notify } from "./notify.js";
import { readInTab } from "./storage.js";
import { cursors, hear, showUnread, takeNumbers } from "./unread.js";

const PAUSE_KEY = "realmate.pause";
const poller = document.getElementById("poller");
const isPaused = readInTab(PAUSE_KEY) === "on";

function show() {
  showUnread();
  notify(takeNumbers());
}
const askNow = () => htmx.trigger(poller, "poll");

poller.addEventListener("htmx:configRequest", ({ detail }) => {
  Object.assign(detail.parameters, cursors());
  detail.parameters.rows = 0;
});
poller.addEventListener("htmx:beforeRequest", (event) => isPaused && event.preventDefault());

document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => {
  if (detail.target.id !== "heard") return;
  const { dataset } = detail.fragment.firstElementChild;
  detail.shouldSwap = false;
  hear(dataset);
  show();
  if ("more" in dataset) setTimeout(askNow);
});

show();
