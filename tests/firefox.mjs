// The main flows of the inbox in Firefox. tests/test_firefox.py starts a server whose database is empty.

import assert from "node:assert/strict";
import { close, idOf, open, openPage, row, run, say, url } from "./firefox_page.mjs";

const { page, holds, shows, click } = await openPage();

await run({
  async "the list is live"() {
    for (const n of [1, 2, 3]) await open(n);
    await page.goto(`${url}/ui/?lang=en`);
    await shows("h2", "Conversations");
    await say(1, "Olá da lista");
    await shows(row(1), "Olá da lista");
    await holds(() => document.title.startsWith("(1)"));
    await holds(() => /^Live, /.test(document.getElementById("poller").dataset.freshness));
  },

  async "a thread opens, and a new message appears"() {
    await click(row(1));
    await shows(".message", "Olá da lista");
    await holds(() => !document.title.startsWith("("));
    await say(1, "Chegou agora");
    await shows(".message", "Chegou agora");
  },

  async "older pages keep the place"() {
    for (let n = 0; n < 120; n++) await say(2, `Mensagem número ${n}`);
    await page.goto(`${url}/ui/${idOf(2)}/`);
    await shows(".message", "Mensagem número 119");
    for (const first of [70, 20, 0]) {
      await holds((first) => {
        const thread = document.getElementById("thread-scroll");
        const messages = [...document.querySelectorAll(".message-text")];
        const isShown = messages.some((each) => each.textContent.trim() === `Mensagem número ${first}`);
        if (!isShown) thread.scrollBy(0, -200);
        return isShown;
      }, first);
    }
    const texts = await page.$$eval("#messages .message-text", (all) => all.map((each) => each.textContent.trim()));
    assert.deepEqual(
      texts,
      [...Array(120).keys()].map((n) => `Mensagem número ${n}`),
    );
  },

  async "what is read stays in its place while older messages come"() {
    await page.goto(`${url}/ui/${idOf(2)}/`);
    await shows(".message", "Mensagem número 119");
    const moved = await page.evaluate(async () => {
      const thread = document.getElementById("thread-scroll");
      thread.scrollTo(0, 600);
      const read = document.elementFromPoint(thread.getBoundingClientRect().x + 60, innerHeight / 2).closest("li");
      const before = read.getBoundingClientRect().y;
      const { length } = document.querySelectorAll(".message");
      for (let n = 0; n < 200 && document.querySelectorAll(".message").length === length; n++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await new Promise(requestAnimationFrame);
      return [document.querySelectorAll(".message").length > length, read.getBoundingClientRect().y - before];
    });
    assert.ok(moved[0], "no older page was loaded");
    assert.ok(Math.abs(moved[1]) <= 1, `moved by ${moved[1]} px`);
  },

  async "a search finds, and its hit opens at its message"() {
    await page.type("#search-box", "numero 37");
    await page.keyboard.press("Enter");
    await shows(".row-snippet", "número 37");
    await click("#hits .row");
    await holds(() => new URL(location).searchParams.has("message"));
    await holds(() => {
      const hit = [...document.querySelectorAll(".message")].find((each) => /número 37\b/.test(each.textContent));
      const { top, bottom } = hit?.getBoundingClientRect() ?? {};
      return top > 0 && bottom < innerHeight;
    });
  },

  async "what a customer writes after closing leads the row, and is dealt with"() {
    await close(3);
    await say(3, "Ainda preciso de ajuda", 400);
    await page.goto(`${url}/ui/?filter=wrote-after-closing`);
    await shows(row(3), "Ainda preciso de ajuda");
    await click(row(3));
    await shows("#refused-texts", "Ainda preciso de ajuda");
    const mark = await page.waitForSelector("#thread ::-p-text(Dealt with)");
    await mark.click();
    await page.waitForSelector("#thread ::-p-text(Undo)");
    await holds((id) => document.getElementById(`row-${id}`) === null, idOf(3));
  },

  async "the dark switch holds after a reload"() {
    await click(".rail-menu summary");
    const wanted = await page.$eval("#dark", (button) => button.getAttribute("aria-pressed") !== "true");
    await click("#dark");
    const theme = wanted ? "dark" : "light";
    await holds((theme) => document.documentElement.dataset.theme === theme, theme);
    await page.reload();
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), theme);
  },

  async "pause stops the list, and its end brings what was missed"() {
    await page.goto(`${url}/ui/`);
    await click("#pause");
    await holds(() => document.getElementById("poller").dataset.freshness.startsWith("Paused"));
    await say(1, "Durante a pausa");
    await new Promise((resolve) => setTimeout(resolve, 4_000)); // longer than the interval of the polls
    assert.ok(!(await page.$eval(row(1), (each) => each.textContent.includes("Durante a pausa"))));
    await click("#pause");
    await shows(row(1), "Durante a pausa");
  },

  async "back leads to the list again"() {
    await click(row(2));
    await shows(".message", "Mensagem número 119");
    await page.goBack();
    await shows("#thread-pane", "Choose a conversation");
    await shows(row(1), "Durante a pausa");
  },
});
