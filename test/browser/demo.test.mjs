// The two commands of the README: the demo's link opens the pages logged in.
import assert from "node:assert/strict";
import { test } from "node:test";
import { launchBrowser, open, shoot, start, until } from "./trefoil.mjs";

test("the demo's link opens a fleet that is alive", async () => {
  const server = await start("demo");
  const browser = await launchBrowser();
  try {
    const [link] = await until("the link", async () => server.output().match(/http:\/\/\S+ticket=\S+/));
    const { page, faults } = await open(browser, server);
    await page.goto(link);
    await page.waitForURL((url) => url.pathname === "/");
    const devices = page.locator('a[href^="/devices/"]');
    await until("twenty devices", async () => (await devices.count()) >= 20);
    const before = await page.locator("main").innerText();
    await until("a value that changes", async () => (await page.locator("main").innerText()) !== before);
    await shoot(page, "demo");
    assert.deepEqual(faults, []);
  } finally {
    await browser.close();
    await server.stop();
  }
});
