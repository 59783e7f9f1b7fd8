// "Dealt with" and "Undo" without another page: the answer is a number, and a poll brings what it means.

import { wantOrder } from "./list.js";
import { isPausedByReader, pollAfresh } from "./poll.js";

const FORMS = ".dealing, .row-dealing";

const main = document.getElementById("main");
const notice = document.getElementById("notice-unmarked");
let wasPressed = false; // so that the button that takes its place gets the focus

// While nothing is polled, the answer must be a page.
main.addEventListener("htmx:beforeRequest", (event) => {
  const { elt } = event.detail;
  if (!elt.matches(FORMS)) return;
  notice.hidden = true;
  if (!isPausedByReader()) return;
  event.preventDefault();
  elt.submit();
});

// A form that our server did not take has marked nothing; without a login the poll says why.
main.addEventListener("htmx:afterRequest", ({ detail: { elt, xhr, requestConfig } }) => {
  if (!elt.matches?.(FORMS) || !xhr.status) return;
  const isOurs = new URL(xhr.responseURL).pathname === requestConfig.path;
  if (xhr.status === 204) noteMark(elt);
  else if (isOurs && xhr.status !== 401) notice.hidden = false;
  pollAfresh();
});

function noteMark(form) {
  wasPressed = form.matches(".dealing") && form.contains(document.activeElement);
  if (form.matches(".row-dealing")) wantOrder();
}

document.getElementById("poller").addEventListener("htmx:afterSwap", () => {
  if (!wasPressed) return;
  wasPressed = false;
  document.querySelector(".dealing-line:not([hidden]) button")?.focus({ preventScroll: true });
});
