// Each change of a thread costs time for each shown message. Before another page of messages comes, messages
// beyond MOST_SHOWN are dropped at the other end, and a link to load them again takes their place.

import { layOut } from "./layout.js";

const MOST_SHOWN = 500;
// More than the margin of thread.js: otherwise the link would at once load the dropped messages.
const FAR_PX = 1200;

const get = (id) => document.getElementById(id);

// Returns whether messages were dropped at this end of the thread, "older" or "newer".
export function dropAt(end) {
  const messages = get("messages").getElementsByClassName("message");
  const excess = messages.length - MOST_SHOWN;
  if (excess <= 0) return false;
  const last = end === "older" ? messages[excess] : messages[MOST_SHOWN - 1];
  const dropped = beyond(last, end === "older" ? "previousSibling" : "nextSibling");
  if (distanceFromView(last, end) < FAR_PX || dropped.some(isInUse)) return false;
  if (dropped.some(hasFocus)) get("thread-scroll").focus({ preventScroll: true });
  for (const node of dropped) node.remove();
  showEdge(end, last);
  return true;
}

// Returns the spaces between elements too: the browser would go through the spaces of all dropped messages.
function beyond(message, side) {
  const nodes = [];
  for (let node = message[side]; node; node = node[side]) nodes.push(node);
  return nodes;
}

// Negative if the view is at the message, or beyond.
function distanceFromView(message, end) {
  const [box, view] = [message, get("thread-scroll")].map((element) => element.getBoundingClientRect());
  return end === "older" ? view.top - box.bottom : box.top - view.bottom;
}

// Selected text stays, and so does a link with a request under way.
function isInUse(node) {
  const selection = getSelection();
  const isSelected = !selection.isCollapsed && selection.containsNode(node, true);
  return isSelected || Boolean(node.querySelector?.(".htmx-request"));
}

const hasFocus = (node) => node.contains(document.activeElement);

// A copy of the template's link, from this message on.
function showEdge(end, message) {
  const edge = document.importNode(get("edges").content.querySelector(`.edge--${end}`), true);
  const link = edge.querySelector("a");
  for (const name of ["href", "hx-get"]) {
    link.setAttribute(name, link.getAttribute(name).replace(/=[^&]*/, message.id.replace("message-", "=")));
  }
  if (end === "older") message.before(edge);
  else message.after(edge);
  layOut([message]);
  htmx.process(edge);
}
