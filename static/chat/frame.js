// The parts of every page: the dark switch, the other language, menus, and times in the reader's zone.

import { keep } from "./storage.js";
import { localise } from "./times.js";

const root = document.documentElement;
const dark = document.getElementById("dark");
const system = matchMedia("(prefers-color-scheme: dark)");

const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
const showTheme = () => dark.setAttribute("aria-pressed", isDark());

function switchTheme() {
  root.dataset.theme = isDark() ? "light" : "dark";
  keep("realmate.theme", root.dataset.theme);
  showTheme();
}

// htmx changes the address of the page, but not this link.
function pointToThisPage({ currentTarget: link }) {
  const address = new URL(location);
  address.searchParams.set("lang", link.hreflang);
  link.href = address;
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except) menu.open = false;
  }
}

document.addEventListener("click", ({ target }) => closeMenus(target.closest("details.menu")));
// A menu left by key would cover the element with the focus (WCAG 2.4.11).
document.addEventListener("keyup", ({ key }) => {
  if (key === "Tab") closeMenus(document.activeElement.closest("details.menu"));
});
// A menu near the end of the thread opens out of view.
document.addEventListener(
  "toggle",
  ({ target }) => {
    if (target.matches(".message-menu[open]")) target.querySelector(".menu-items").scrollIntoView({ block: "nearest" });
  },
  { capture: true },
);
document.addEventListener("keydown", (event) => {
  const open = document.querySelector("details.menu[open]");
  if (event.key !== "Escape" || !open || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  closeMenus();
  open.querySelector("summary").focus();
});

for (const event of ["pointerdown", "focus", "click"]) {
  document.getElementById("language").addEventListener(event, pointToThisPage);
}
dark.hidden = false;
dark.addEventListener("click", switchTheme);
system.addEventListener("change", showTheme);
showTheme();
localise();
