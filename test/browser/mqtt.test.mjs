// MQTT.js in a real Chromium, over WebSocket: the conversation that foreign
// clients have in test/e2e/foreign_test.go.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { administrator, launchBrowser, start, until } from "./trefoil.mjs";

let server, browser, api, pages;

before(async () => {
  server = await start();
  browser = await launchBrowser();
  api = await administrator(server);
  // A page of another origin, as a web application has.
  const script = await readFile(new URL("node_modules/mqtt/dist/mqtt.min.js", import.meta.url));
  pages = createServer((request, response) => {
    const isScript = request.url === "/mqtt.js";
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
    response.end(isScript ? script : '<!doctype html><script src="/mqtt.js"></script>');
  });
  await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve));
});

after(async () => {
  pages?.close();
  await browser?.close();
  await server?.stop();
});

// conversation runs in the page and returns what it noted.
async function conversation({ url, device, version }) {
  const topic = `devices/${device.id}/telemetry`;
  const transcript = [];
  const heard = [];
  const note = (_topic, payload, { qos, retain }) => heard.push(`${payload} QoS ${qos}${retain ? " retained" : ""}`);

  async function hear(count) {
    const deadline = Date.now() + 20_000;
    while (heard.length < count) {
      if (Date.now() > deadline) throw new Error(`heard only ${heard}, after ${transcript}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    transcript.push(...heard.splice(0, count).sort());
  }

  // connect resolves with the client and whether the server had its session.
  function connect(clientId, persistent, will) {
    const client = globalThis.mqtt.connect(url, {
      clientId,
      protocolVersion: version,
      username: device.id,
      password: device.token,
      clean: !persistent,
      reconnectPeriod: 0,
      ...(version === 5 && persistent && { properties: { sessionExpiryInterval: 300 } }),
      ...(will && { will: { topic, payload: will, qos: 1 } }),
    });
    client.on("message", note);
    return new Promise((resolve, reject) => {
      client.on("connect", ({ sessionPresent }) => resolve([client, sessionPresent]));
      client.on("error", reject);
    });
  }

  let [lasting] = await connect("lasting", true);
  await lasting.subscribeAsync(topic, { qos: 2 });
  for (const qos of [0, 1, 2]) {
    await lasting.publishAsync(topic, `{"n":${qos}}`, { qos });
    await hear(1);
  }
  await lasting.endAsync();

  const [passing] = await connect("passing", false, '{"last":1}');
  await passing.publishAsync(topic, '{"n":11}', { qos: 1 });
  await passing.publishAsync(topic, '{"n":12}', { qos: 2 });
  await passing.publishAsync(`${topic}/kept`, "7", { qos: 1, retain: true });
  passing.stream.destroy(); // without a DISCONNECT

  let present;
  [lasting, present] = await connect("lasting", true);
  if (present) transcript.push("session present");
  await hear(3);
  await lasting.subscribeAsync(`${topic}/kept`, { qos: 1 });
  await hear(1);
  await lasting.endAsync();
  return transcript;
}

describe("MQTT.js over WebSocket", () => {
  for (const [version, name] of [[4, "3.1.1"], [5, "5.0"]]) {
    test(`has the conversation in ${name}`, async () => {
      const device = await api("POST", "/api/v1/devices", { id: `mqttjs-${version}` });
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${pages.address().port}/`);
      const url = server.url.replace("http", "ws") + "/mqtt";
      assert.deepEqual(await page.evaluate(conversation, { url, device, version }), [
        '{"n":0} QoS 0', '{"n":1} QoS 1', '{"n":2} QoS 2',
        "session present",
        '{"last":1} QoS 1', '{"n":11} QoS 1', '{"n":12} QoS 2',
        "7 QoS 1 retained",
      ]);
      for (const [metric, want] of [["n", 5], ["kept", 1], ["last", 1]]) {
        await until(`${want} readings of ${metric}`, async () => {
          const { series } = await api("GET", `/api/v1/devices/${device.id}/history?metric=${metric}&from=-1d`);
          return series[0]?.v.length === want;
        });
      }
      await page.close();
    });
  }
});
