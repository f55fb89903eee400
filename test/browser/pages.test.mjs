// The pages in a real Chromium, fed by the real binary and mosquitto_pub.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import axe from "axe-core";
import mqtt from "mqtt";
import { administrator, desktop, launchBrowser, logIn, open, phone, publish, shoot, start, until } from "./trefoil.mjs";

let server, browser, api, sensor, pump;

before(async () => {
  server = await start();
  browser = await launchBrowser();
  api = await administrator(server);
  sensor = await api("POST", "/api/v1/devices", { id: "kitchen", name: "Kitchen", tags: { site: "roanoke" } });
  pump = await api("POST", "/api/v1/devices", { id: "pump-7", name: "Pump 7" });
  const minute = 60_000;
  const past = Array.from({ length: 50 }, (_, i) => ({
    ts: Date.now() - (50 - i) * minute,
    temperature: 20 + Math.sin(i / 5),
    humidity: 45 + Math.cos(i / 7),
  }));
  await publish(server, sensor, past);
  await publish(server, pump, { pressure: 3.25, running: true, mode: "auto" });
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

// visit logs in on a new page, runs the steps there, and fails if anything
// went wrong on the page meanwhile.
async function visit(options, steps) {
  const tab = await open(browser, server, options);
  try {
    await logIn(tab.page);
    await steps(tab.page);
    assert.deepEqual(tab.faults, [], "faults on the page");
  } catch (err) {
    await shoot(tab.page, "failure").catch(() => {}); // the page may be gone
    throw err;
  } finally {
    await tab.close();
  }
}

// entry is what the fleet page shows about a device.
const entry = (page, id) =>
  page.locator("tr, li, article, [role=row]").filter({ has: page.locator(`a[href="/devices/${id}"]`) }).first();

async function sees(locator, text) {
  await until(`${text} on the page`, async () => (await locator.innerText()).includes(text));
}

async function wantsAccessible(page, where) {
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const grave = found.violations.filter((v) => ["serious", "critical"].includes(v.impact));
  const told = grave.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html).join(" | ")}`);
  assert.deepEqual(told, [], `accessibility of ${where}`);
}

async function wantsNoSidewaysScroll(page) {
  const content = await page.evaluate(() => document.documentElement.scrollWidth);
  const screen = page.viewportSize().width; // innerWidth of a phone grows with what overflows
  assert.ok(content <= screen, `the page is ${content} px wide on a screen of ${screen} px`);
}

// wantsDrawnChart checks that a chart has been drawn: its canvas has pixels of
// at least two colours beside the background.
async function wantsDrawnChart(page) {
  const canvas = page.locator(".uplot canvas").first();
  await canvas.waitFor();
  const drawn = () =>
    canvas.evaluate((c) => {
      const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
      const colours = new Set();
      for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] > 128) colours.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
      }
      return colours.size;
    });
  await until("a drawn chart", async () => (await drawn()) >= 2);
}

describe("logging in", () => {
  test("a wrong password is told and does not log in", async () => {
    const { page, close } = await open(browser, server);
    await page.goto("/");
    await page.getByLabel(/^password/i).fill("guess");
    await page.getByRole("button", { name: /log in/i }).click();
    await page.getByText(/password is wrong/i).waitFor();
    assert.match(new URL(page.url()).pathname, /login/);
    await close();
  });

  test("a page that needs a login leads back to where one wanted to go", async () => {
    const { page, close } = await open(browser, server);
    await page.goto("/devices/kitchen");
    await page.getByLabel(/^password/i).fill("correct horse battery staple");
    await page.getByRole("button", { name: /log in/i }).click();
    await page.waitForURL("**/devices/kitchen");
    await close();
  });

  test("the login page is accessible", async () => {
    const { page, faults, close } = await open(browser, server);
    await page.goto("/login");
    await page.getByRole("button", { name: /log in/i }).waitFor();
    await shoot(page, "login");
    await wantsAccessible(page, "the login page");
    assert.deepEqual(faults, []);
    await close();
  });
});

describe("the fleet page", () => {
  test("shows every device with its latest values", () =>
    visit(desktop, async (page) => {
      await sees(entry(page, "kitchen"), "Kitchen");
      await sees(entry(page, "pump-7"), "3.25");
      await shoot(page, "fleet");
      await wantsAccessible(page, "the fleet page");
    }));

  test("a value changes after a mosquitto_pub, without a reload", () =>
    visit(desktop, async (page) => {
      await sees(entry(page, "pump-7"), "3.25");
      await page.evaluate(() => (globalThis.sameDocument = true));
      await publish(server, pump, { pressure: 4.75 });
      await sees(entry(page, "pump-7"), "4.75");
      assert.equal(await page.evaluate(() => globalThis.sameDocument), true, "the page was loaded again");
      await publish(server, pump, { pressure: 3.25 });
      await sees(entry(page, "pump-7"), "3.25");
    }));

  test("a device is added in the dialog and its token is shown once", () =>
    visit(desktop, async (page) => {
      await page.getByRole("button", { name: /add device/i }).first().click();
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel(/^(device )?id/i).fill("greenhouse");
      await wantsAccessible(page, "the dialog");
      await shoot(page, "add-device");
      await dialog.getByRole("button", { name: "Add device" }).click();
      await until("the token", async () => /[A-Za-z0-9_-]{32,}/.test(await dialog.innerText()));
      const [token] = (await dialog.innerText()).match(/[A-Za-z0-9_-]{32,}/);
      await shoot(page, "token");
      await publish(server, { id: "greenhouse", token }, { temperature: 31.5 });
      await page.keyboard.press("Escape");
      await page.goto("/");
      await sees(entry(page, "greenhouse"), "31.5");
      await api("DELETE", "/api/v1/devices/greenhouse");
    }));

  test("fits on a phone", () =>
    visit(phone, async (page) => {
      await sees(entry(page, "pump-7"), "3.25");
      await wantsNoSidewaysScroll(page);
      await shoot(page, "fleet-phone");
      await wantsAccessible(page, "the fleet page on a phone");
    }));

  test("is dark for those who want it dark", () =>
    visit({ ...desktop, colorScheme: "dark" }, async (page) => {
      await sees(entry(page, "pump-7"), "3.25");
      const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      const light = Math.max(...background.match(/[\d.]+/g).slice(0, 3).map(Number));
      assert.ok(light < 80, `the background is ${background}`);
      await shoot(page, "fleet-dark");
      await wantsAccessible(page, "the dark fleet page");
    }));
});

describe("the device page", () => {
  test("draws the history of its metrics", () =>
    visit(desktop, async (page) => {
      await page.goto("/devices/kitchen");
      await page.getByRole("heading", { name: "Kitchen" }).waitFor();
      await wantsDrawnChart(page);
      await shoot(page, "device");
      await wantsAccessible(page, "the device page");
    }));

  test("shows a new reading without a reload", () =>
    visit(desktop, async (page) => {
      await page.goto("/devices/pump-7");
      await sees(page.locator("main"), "3.25");
      await publish(server, pump, { pressure: 9.125 });
      await sees(page.locator("main"), "9.1");
      await publish(server, pump, { pressure: 3.25 });
    }));

  test("fits on a phone and is dark there too", () =>
    visit({ ...phone, colorScheme: "dark" }, async (page) => {
      await page.goto("/devices/kitchen");
      await wantsDrawnChart(page);
      await wantsNoSidewaysScroll(page);
      await shoot(page, "device-phone-dark");
      await wantsAccessible(page, "the dark device page on a phone");
    }));

  test("says so when there is no such device", async () => {
    const { page, close } = await open(browser, server); // the 404 is on the console
    await logIn(page);
    await page.goto("/devices/nobody");
    await sees(page.locator("main"), "nobody");
    await wantsAccessible(page, "the page of a missing device");
    await close();
  });
});

// connect opens an MQTT connection that lasts, and resolves with the client.
async function connect(device, clientId) {
  const client = mqtt.connect(`mqtt://${server.mqtt}`, {
    ...{ clientId, username: device.id, password: device.token },
    ...{ protocolVersion: 5, keepalive: 30, reconnectPeriod: 0 },
  });
  return new Promise((resolve, reject) => client.once("connect", () => resolve(client)).once("error", reject));
}

const row = (page, clientId) => page.getByRole("row").filter({ hasText: clientId });

describe("the connections page", () => {
  test("shows a command to copy while nobody is connected", () =>
    visit(desktop, async (page) => {
      await page.goto("/connections");
      await sees(page.locator("main"), "Nobody is connected");
      await sees(page.locator("main"), `mosquitto_sub -h 127.0.0.1 -p ${server.mqtt.split(":")[1]}`);
      await wantsAccessible(page, "the connections page without connections");
    }));

  test("lists who is connected, finds them, and disconnects one", () =>
    visit(desktop, async (page) => {
      const client = await connect(pump, "pump-panel");
      const ended = new Promise((resolve) => client.once("disconnect", (packet) => resolve(packet.reasonCode)));
      await client.subscribeAsync("devices/pump-7/status");
      await page.getByRole("link", { name: "Connections" }).click();
      await sees(row(page, "pump-panel"), "MQTT 5.0 over TCP");
      await sees(row(page, "pump-panel"), "keep-alive 30 s");
      await sees(row(page, "pump-panel"), "1 subscription");
      await wantsAccessible(page, "the connections page");
      await shoot(page, "connections");

      await page.getByLabel("Search connections").fill("kitchen");
      await sees(page.locator("main"), "No connection matches");
      await page.getByLabel("Search connections").fill("PUMP-p");
      await row(page, "pump-panel").getByRole("button", { name: /^disconnect/i }).click();
      const dialog = page.getByRole("dialog");
      await sees(dialog, "may connect again");
      await wantsAccessible(page, "the dialog that disconnects");
      await dialog.getByRole("button", { name: "Disconnect" }).click();
      assert.equal(await ended, 0x98, "reason code of the client's DISCONNECT");
      await row(page, "pump-panel").waitFor({ state: "detached" });
    }));

  test("fits on a phone, with everything in reach", () =>
    visit({ ...phone, colorScheme: "dark" }, async (page) => {
      const client = await connect(sensor, "kitchen-panel");
      await page.getByRole("link", { name: "Connections" }).click();
      await sees(row(page, "kitchen-panel"), "MQTT 5.0 over TCP");
      await wantsNoSidewaysScroll(page);
      await page.getByRole("button", { name: "Log out" }).click({ trial: true });
      await wantsAccessible(page, "the dark connections page on a phone");
      await shoot(page, "connections-phone-dark");
      await client.endAsync();
    }));

  test("a device's page tells what happened to its connections, while it happens", () =>
    visit(desktop, async (page) => {
      await page.goto("/devices/pump-7");
      const events = page.getByRole("list", { name: /connection events/i });
      await sees(events, "Disconnected by an operator");
      const client = await connect(pump, "pump-again");
      await sees(events, "client id pump-again");
      await sees(page.locator("main header").first(), "Online since");
      await client.endAsync();
      await sees(page.locator("main header").first(), "the device said goodbye");
      const when = events.locator("time").first();
      await when.focus();
      const year = String(new Date().getFullYear());
      await until("the exact time", async () => (await when.locator(".exact").evaluate((e) => getComputedStyle(e).opacity)) === "1");
      await sees(when.locator(".exact"), year);
    }));
});

test("the server page is accessible and whole", () =>
  visit(desktop, async (page) => {
    await page.goto("/server");
    await sees(page.locator("main"), server.mqtt.split(":")[1]);
    await wantsAccessible(page, "the server page");
    await shoot(page, "server");
  }));
