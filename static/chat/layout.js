// Separates days and joins close messages, in the reader's zone, by the same rule as chat/views/thread.py.

import { dayOf, localise } from "./times.js";

const TOGETHER_US = Number(document.documentElement.dataset.togetherSeconds) * 1_000_000;

// Lays out these messages, and each message right below: no others can look different.
export function layOut(messages) {
  const changed = new Set(messages.flatMap((message) => [message, messageBelow(message)]));
  changed.delete(null);
  changed.forEach(place);
}

export const messageAbove = (element) => messageBeside(element, "previousElementSibling");
const messageBelow = (element) => messageBeside(element, "nextElementSibling");

function messageBeside(element, side) {
  let other = element[side];
  while (other && !other.matches(".message")) other = other[side];
  return other;
}

function place(message) {
  const above = messageAbove(message);
  const isNewDay = above === null || dayOf(dateOf(above)) !== dayOf(dateOf(message));
  separate(message, isNewDay);
  message.classList.toggle("message--joined", !isNewDay && areTogether(above, message));
}

const dateOf = (message) => new Date(message.dataset.at);
// A Date knows only milliseconds, so the last three digits are added.
const microseconds = ({ at }) => Date.parse(at) * 1000 + Number(at.slice(-4, -1));

const areTogether = ({ dataset: one }, { dataset: other }) =>
  one.direction === other.direction && microseconds(other) - microseconds(one) <= TOGETHER_US;

function separate(message, isNewDay) {
  const before = message.previousElementSibling;
  const separator = before?.matches(".day") ? before : null;
  if (!isNewDay) separator?.remove();
  else if (separator === null) message.before(separatorFor(message));
}

function separatorFor(message) {
  const separator = document.createElement("li");
  separator.className = "day";
  const time = document.createElement("time");
  time.dateTime = message.dataset.at;
  time.dataset.format = "day";
  separator.append(time);
  localise(separator);
  return separator;
}
