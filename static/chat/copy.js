// Copies a message or an id. The buttons show only where the browser can.

const DONE_MS = 1200;

export function showCopyButtons(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy], [data-copy-message]")) {
    button.hidden = false;
    // One stop of Tab a message: keyboard.js leads from its link to this button.
    if (button.matches(".message-copy")) button.tabIndex = -1;
  }
}

// The text as it is stored. The text on the page lacks its marks, and may be cut.
async function written(address) {
  const response = await fetch(address);
  if (!response.ok || response.redirected) throw new Error(`no text: ${response.status}`);
  return new Blob([await response.arrayBuffer()], { type: "text/plain" });
}

// Safari writes only during the click, so it is given the promise of the text.
const copyMessage = (address) =>
  navigator.clipboard.write([new ClipboardItem({ "text/plain": written(address) })]);

function showCopied(button, isDone) {
  const announcer = document.getElementById("announcer");
  button.classList.toggle("is-done", isDone);
  announcer.textContent = isDone ? announcer.dataset.copied : "";
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-copy], [data-copy-message]");
  if (!button) return;
  const { copy, copyMessage: address } = button.dataset;
  try {
    await (address ? copyMessage(address) : navigator.clipboard.writeText(copy));
  } catch {
    document.getElementById("notice-gone").hidden = false;
    return;
  }
  showCopied(button, true);
  setTimeout(() => showCopied(button, false), DONE_MS);
});
