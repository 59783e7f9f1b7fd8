// Polls while the page is visible, and keeps the newest message in view for a reader who is there.

const INTERVAL_MS = 3000;
const TIMEOUT_MS = 10000;
const NEAR_THE_END_PX = 100;

const { pollUrl } = document.body.dataset;
const thread = document.querySelector(".thread-scroll");

function stamps() {
  const inputs = document.querySelectorAll("[data-stamp]");
  return new URLSearchParams([...inputs].map(({ name, value }) => [name, value]));
}

// htmx swaps, but does not send: an element that sends is marked while it does, and an idle poll
// must not touch the page at all.
async function poll() {
  const response = await fetch(`${pollUrl}?${stamps()}`, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.status === 200) show(await response.text());
}

function show(fragments) {
  const stays = thread && !isNearTheEnd();
  htmx.swap(document.body, fragments, { swapStyle: "none" });
  if (thread && !stays) goToEnd();
}

const isNearTheEnd = () =>
  thread.scrollHeight - thread.scrollTop - thread.clientHeight < NEAR_THE_END_PX;
const goToEnd = () => thread.scrollTo(0, thread.scrollHeight);

// The next poll is timed from the end of the last, so that there are never two in flight.
async function pollForEver() {
  if (!document.hidden) await poll().catch(() => {}); // the next one tells what this one missed
  setTimeout(pollForEver, INTERVAL_MS);
}

if (thread) goToEnd();
setTimeout(pollForEver, INTERVAL_MS);
