// The open thread is marked as unread, and left: read again, it would be seen. And the next unread one.

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

// The next row of the list that has unread messages, from the open one on; else any conversation.
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
