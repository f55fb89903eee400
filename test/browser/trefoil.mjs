// Starts the real binary for browser tests, talks to its API, publishes with
// mosquitto_pub, and opens pages in Debian's Chromium.
import { execFile, spawn } from "node:child_process";
import { mkdtemp, mkdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const run = promisify(execFile);
const here = path.dirname(fileURLToPath(import.meta.url));
const binary = process.env.BINARY_UNDER_TEST ?? path.join(here, "../../build/trefoil");
export const password = "correct horse battery staple";
export const screenshots = path.join(here, "../screenshots");
export const patience = 15_000; // ms until a test stops waiting

// until polls for a condition of another process and returns its first truth.
export async function until(what, condition) {
  const deadline = Date.now() + patience;
  for (;;) {
    const got = await condition();
    if (got) return got;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// start runs the binary on free ports and a new data directory.
export async function start(command = "serve") {
  const dir = await mkdtemp(path.join(tmpdir(), "trefoil-browser-"));
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("TREFOIL_")));
  const child = spawn(binary, [command, "--data", dir, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"], {
    cwd: dir,
    env: { ...env, TREFOIL_ADMIN_PASSWORD: password },
  });
  let output = "";
  const ended = new Promise((resolve) => child.on("close", resolve));
  child.on("error", (err) => (output += err));
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const server = {
    output: () => output,
    async stop() {
      child.kill("SIGTERM");
      await ended;
      await rm(dir, { recursive: true, force: true });
    },
  };
  try {
    const at = await until("the server", async () => {
      if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
      return JSON.parse(await readFile(path.join(dir, "addresses.json"), "utf8").catch(() => "null"));
    });
    return Object.assign(server, { url: `http://${at.http}`, mqtt: at.mqtt });
  } catch (err) {
    child.kill("SIGKILL");
    throw new Error(`${err.message}; its output:\n${output}`);
  }
}

// administrator logs in to the API and returns a function that calls it.
export async function administrator(server) {
  const call = (token) => async (method, route, body) => {
    const resp = await fetch(server.url + route, {
      method,
      headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
      body: body && JSON.stringify(body),
    });
    if (!resp.ok) throw new Error(`${method} ${route}: ${resp.status} ${await resp.text()}`);
    return resp.status === 204 ? undefined : resp.json();
  };
  const { token } = await call()("POST", "/api/v1/login", { username: "admin", password });
  return call(token);
}

// publish sends telemetry of the device with mosquitto_pub and returns when
// it is acknowledged.
export async function publish(server, device, telemetry) {
  const [host, port] = server.mqtt.split(":");
  await run("mosquitto_pub", [
    ...["-h", host, "-p", port, "-u", device.id, "-P", device.token, "-q", "1"],
    ...["-t", `devices/${device.id}/telemetry`, "-m", JSON.stringify(telemetry)],
  ]);
}

export function launchBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

export const desktop = { viewport: { width: 1280, height: 800 } };
export const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

// open makes a page that notes everything that goes wrong in it: errors on
// the console, exceptions, and answers of the server that are errors.
export async function open(browser, server, options = desktop) {
  const context = await browser.newContext({ ...options, baseURL: server.url });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  const faults = [];
  page.on("console", (m) => m.type() === "error" && faults.push(`console: ${m.text()}`));
  page.on("pageerror", (err) => faults.push(`exception: ${err.stack}`));
  page.on("response", (r) => r.status() >= 500 && faults.push(`${r.status()} ${r.url()}`));
  return { page, faults, close: () => context.close() };
}

// logIn logs in through the page, as a person does.
export async function logIn(page) {
  await page.goto("/");
  await page.getByLabel(/^user/i).fill("admin");
  await page.getByLabel(/^password/i).fill(password);
  await page.getByRole("button", { name: /log in|sign in/i }).click();
  await page.waitForURL((url) => url.pathname === "/");
}

// shoot keeps a picture for people to look at.
export async function shoot(page, name) {
  await mkdir(screenshots, { recursive: true });
  await page.screenshot({ path: path.join(screenshots, `${name}.png`) });
}
