// "Dealt with" and "Undo" without another page: the answer is only a status, and a poll brings the change.

import { wantOrder } from "./list.js";
import { isPausedByReader, pollAfresh } from "./poll.js";

const FORMS = ".dealing, .row-dealing";

const main = document.getElementById("main");
const notice = document.getElementById("notice-unmarked");
let wasPressed = false; // then the focus goes to the button that replaces the pressed one

// While the reader pauses the polls, the form loads a page, because no poll would bring the change.
main.addEventListener("htmx:beforeRequest", (event) => {
  const { elt } = event.detail;
  if (!elt.matches(FORMS)) return;
  notice.hidden = true;
  if (!isPausedByReader()) return;
  event.preventDefault();
  elt.submit();
});

// If our server refuses the form, nothing was marked. Without a login (401), the poll tells the reader why.
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
