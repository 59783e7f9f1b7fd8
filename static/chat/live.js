// Polls while the page is visible, and keeps the newest message in view for a reader who is there.

const INTERVAL_MS = 3000;
const NEAR_THE_END_PX = 100;

const thread = document.querySelector(".thread-scroll");
const distanceToEnd = () => thread.scrollHeight - thread.scrollTop - thread.clientHeight;
const goToEnd = () => thread.scrollTo(0, thread.scrollHeight);

// htmx's own `every` cannot pause without evaluating code, which the page's policy forbids.
setInterval(() => {
  if (!document.hidden) document.body.dispatchEvent(new Event("poll"));
}, INTERVAL_MS);

if (thread) {
  let atEnd = true;
  goToEnd();
  document.body.addEventListener("htmx:oobBeforeSwap", () => {
    atEnd = distanceToEnd() < NEAR_THE_END_PX;
  });
  document.body.addEventListener("htmx:oobAfterSwap", () => {
    if (atEnd) goToEnd();
  });
}
