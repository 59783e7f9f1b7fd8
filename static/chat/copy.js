// Copies a message, its link or an id. The buttons show only where the browser can.

const DONE_MS = 1200;
const BUTTONS = "[data-copy], [data-copy-message], [data-copy-link]";

export function showCopyButtons(root) {
  if (!navigator.clipboard) return;
  for (const part of root.querySelectorAll(`.message-menu, ${BUTTONS}`)) part.hidden = false;
  // One stop of Tab a message: keyboard.js leads from its link to its menu.
  for (const button of root.querySelectorAll(".message-menu-button")) button.tabIndex = -1;
}

// The stored text, because the text on the page lacks its formatting marks, and may be cut.
async function written(address) {
  const response = await fetch(address);
  if (!response.ok || response.redirected) throw new Error(`no text: ${response.status}`);
  return new Blob([await response.arrayBuffer()], { type: "text/plain" });
}

// Safari writes only during the click, so Safari gets the promise of the text.
const copyMessage = (address) => navigator.clipboard.write([new ClipboardItem({ "text/plain": written(address) })]);

// The link names the message alone, because another reader has another list.
function linkOf(button) {
  const { href } = button.closest(".message").querySelector(".message-link");
  const { origin, pathname, searchParams } = new URL(href);
  return `${origin}${pathname}?message=${searchParams.get("message")}`;
}

function copy(button) {
  const { copy: text, copyMessage: address } = button.dataset;
  if (address) return copyMessage(address);
  return navigator.clipboard.writeText(text ?? linkOf(button));
}

function showCopied(button, isDone) {
  const announcer = document.getElementById("announcer");
  button.classList.toggle("is-done", isDone);
  announcer.textContent = isDone ? announcer.dataset.copied : "";
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest?.(BUTTONS);
  if (!button) return;
  try {
    await copy(button);
  } catch {
    document.getElementById("notice-gone").hidden = false;
    return;
  }
  showCopied(button, true);
  setTimeout(() => showCopied(button, false), DONE_MS);
});
