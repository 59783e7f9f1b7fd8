// Marks the open thread as unread and leaves the thread, because an open thread counts as read. Opens the next
// unread conversation.

import { conversation, fromCustomer } from "./thread.js";
import { firstUnread, markUnread } from "./unread.js";

const get = (id) => document.getElementById(id);
const main = get("main");

export function offerMark() {
  const button = get("mark-unread");
  if (button) button.hidden = fromCustomer() === 0;
}

export function leaveUnread() {
  const id = conversation();
  if (!id || fromCustomer() === 0) return;
  markUnread(id, fromCustomer());
  get("back").click();
}

// The next unread row of the list, from the open conversation on. Without one, any unread conversation.
export function openNextUnread() {
  const rows = [...document.querySelectorAll("#list .row-item")];
  const current = rows.findIndex((row) => row.querySelector("[aria-current]"));
  const inOrder = [...rows.slice(current + 1), ...rows.slice(0, Math.max(0, current))];
  const next = inOrder.find((row) => row.querySelector(".unread:not([hidden])"));
  if (next) return next.querySelector("a").click();
  const id = firstUnread();
  if (id && id !== conversation()) location.assign(`${main.dataset.inbox}${id}/`);
}

main.addEventListener("click", ({ target }) => target.closest("#mark-unread") && leaveUnread());
