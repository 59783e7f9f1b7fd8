// Copies a message or an id. The buttons show only where the browser can.

const DONE_MS = 1200;
const MARKS = { STRONG: "*", EM: "_", S: "~", CODE: "```" };

export function showCopyButtons(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy], [data-copy-message]")) button.hidden = false;
}

// The text as it was written, with the marks that chat/markup.py shows as bold and so on.
function written(node) {
  if (node.nodeType === Node.TEXT_NODE) return node.data;
  const mark = MARKS[node.nodeName] ?? "";
  return [mark, ...[...node.childNodes].map(written), mark].join("");
}

function showCopied(button, isDone) {
  const announcer = document.getElementById("announcer");
  button.classList.toggle("is-done", isDone);
  announcer.textContent = isDone ? announcer.dataset.copied : "";
}

document.addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-copy], [data-copy-message]");
  if (!button) return;
  const text =
    button.dataset.copy ?? written(button.closest(".message").querySelector(".message-text"));
  await navigator.clipboard.writeText(text);
  showCopied(button, true);
  setTimeout(() => showCopied(button, false), DONE_MS);
});
