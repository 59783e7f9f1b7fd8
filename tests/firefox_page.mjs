// Firefox over WebDriver BiDi: the shared part of the scripts of tests/test_firefox.py. Each script is started as
// `node SCRIPT URL FIREFOX` and prints its successful flows.

import assert from "node:assert/strict";
import puppeteer from "puppeteer-core";

const TIMEOUT_MS = 20_000;
const executablePath = process.argv[3];

export const url = process.argv[2];
export const idOf = (n) => `${String(n).padStart(8, "0")}-0000-4000-8000-${String(n).padStart(12, "0")}`;
export const row = (n) => `[id="row-${idOf(n)}"] .row`;

let written = 0;

async function deliver(type, data, status = 200) {
  const timestamp = new Date(Date.now() - 60_000 + written++ * 10).toISOString().replace("Z", "");
  const body = JSON.stringify({ type, timestamp, data });
  const answer = await fetch(`${url}/webhook/`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body,
  });
  assert.equal(answer.status < 300, status < 300, `${type}: ${answer.status} ${await answer.text()}`);
}

export const open = (n) => deliver("NEW_CONVERSATION", { id: idOf(n) });
export const close = (n) => deliver("CLOSE_CONVERSATION", { id: idOf(n) });
export const say = (n, content, status) =>
  deliver(
    "NEW_MESSAGE",
    { id: idOf(100_000 + written), conversation_id: idOf(n), direction: "RECEIVED", content },
    status,
  );

const errors = [];
const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });

// Returns the actions and the waits of a test in one page.
export async function openPage(context = browser) {
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  const holds = (test, ...parameters) => page.waitForFunction(test, {}, ...parameters);
  const shows = (selector, text) =>
    holds(
      (selector, text) => [...document.querySelectorAll(selector)].some((each) => each.textContent.includes(text)),
      selector,
      text,
    );
  const click = async (selector) => (await page.waitForSelector(selector, { visible: true })).click();
  return { page, holds, shows, click };
}

// Opens a page with cookies of its own.
export const openBrowser = async () => openPage(await browser.createBrowserContext());

// Runs the flows. Each unexpected error in the console is a failure.
export async function run(flows, expected = /^$/) {
  let failed = 0;
  for (const [name, flow] of Object.entries(flows)) {
    try {
      await flow();
      console.log(`holds: ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILS: ${name}: ${error.message}`);
    }
  }
  const others = errors.filter((error) => !expected.test(error));
  if (others.length) console.log(`ERRORS: ${others.join("; ")}`);
  await browser.close();
  process.exit(failed || others.length ? 1 : 0);
}
