// Login, logout and a new password in Firefox. tests/test_firefox.py starts a server with the user "ana".

import assert from "node:assert/strict";
import { idOf, open, openBrowser, openPage, run, say, url } from "./firefox_page.mjs";

const OLD = process.argv[4];
const NEW = "um cavalo novo e correto";
const thread = `${url}/ui/${idOf(1)}/?filter=open`;

const first = await openPage();
let second;

async function logIn({ page, shows, click }, password) {
  await shows("h1", "Log in");
  await page.$eval("[name=username]", (field) => (field.value = ""));
  await page.type("[name=username]", "ana");
  await page.type("[name=password]", password);
  await click("form button[type=submit]");
}

async function changePassword({ page, click }, old, password) {
  await page.goto(`${url}/ui/account/`);
  await page.type("[name=old_password]", old);
  await page.type("[name=new_password1]", password);
  await page.type("[name=new_password2]", password);
  await click("form[action='/ui/account/'] button[type=submit]");
}

// To the front first, because a page behind another one polls too seldom.
async function isOver({ page, holds }) {
  await page.bringToFront();
  await holds(() => !document.getElementById("notice-session").hidden);
}

const isThread = ({ holds }) => holds((thread) => location.href.startsWith(thread), thread);

const flows = {
  async "a wrong password is told, and the form keeps the name"() {
    await open(1);
    await say(1, "Olá da conversa");
    await first.page.goto(`${thread}&lang=en`);
    await logIn(first, "wrong horse");
    await first.shows("[role=alert]", "correct username and password");
    assert.equal(await first.page.$eval("[name=username]", (field) => field.value), "ana");
  },

  async "the login leads to the page that was asked for, which is live"() {
    await logIn(first, OLD);
    await first.shows(".message", "Olá da conversa");
    await isThread(first);
    await say(1, "Chegou depois");
    await first.shows(".message", "Chegou depois");
  },

  async "a logout in another tab is told by the page, which keeps its panes"() {
    const tab = await openPage();
    await tab.page.goto(`${url}/ui/account/`);
    await tab.click("main form[action='/ui/logout/'] button");
    await tab.shows("h1", "Log in");
    await tab.page.close();
    await isOver(first);
    await first.shows(".message", "Chegou depois");
  },

  async "the login from there leads back to the page"() {
    await first.click("#notice-session a");
    await logIn(first, OLD);
    await first.shows(".message", "Chegou depois");
    await isThread(first);
  },

  async "a wrong old password changes nothing"() {
    await changePassword(first, "wrong horse", NEW);
    await first.shows(".errorlist", "Your old password was entered incorrectly");
  },

  async "a new password ends the user's other sessions, and not this one"() {
    second = await openBrowser();
    await second.page.goto(`${thread}&lang=en`);
    await logIn(second, OLD);
    await second.shows(".message", "Chegou depois");
    await changePassword(first, OLD, NEW);
    await first.shows("[role=status]", "Your password is changed.");
    await isOver(second);
    await first.page.goto(thread);
    await first.shows(".message", "Chegou depois");
  },

  async "only the new password works"() {
    await second.click("#notice-session a");
    await logIn(second, OLD);
    await second.shows("[role=alert]", "correct username and password");
    await logIn(second, NEW);
    await second.shows(".message", "Chegou depois");
  },

  async "after the logout Back shows nothing of the inbox"() {
    await first.click(".rail-menu summary");
    await first.click(".rail-menu form[action='/ui/logout/'] button");
    await first.shows("h1", "Log in");
    await first.page.goBack();
    await first.shows("h1", "Log in");
    assert.equal((await first.page.content()).includes("Chegou depois"), false);
  },
};

await run(flows, /401 from \/ui\/fragments\/poll\//);
