// Takes the pictures of the documents from a running demo: node screenshots.mjs
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { desktop, launchBrowser, open, start, until } from "./trefoil.mjs";

const images = path.join(path.dirname(fileURLToPath(import.meta.url)), "../../docs/images");
const devices = 'a[href^="/devices/"]';

await mkdir(images, { recursive: true });
const server = await start("demo");
const browser = await launchBrowser();
try {
  const [link] = await until("the link", async () => server.output().match(/http:\/\/\S+ticket=\S+/));
  const { page } = await open(browser, server, { ...desktop, deviceScaleFactor: 1.5 });
  await page.goto(link);
  await until("the fleet", async () => (await page.locator(devices).count()) >= 20);
  await new Promise((resolve) => setTimeout(resolve, 20_000)); // until the small charts have something to show
  await page.screenshot({ path: path.join(images, "fleet.png") });
  await page.locator(devices).first().click();
  await page.locator(".uplot canvas").first().waitFor();
  await new Promise((resolve) => setTimeout(resolve, 2_000)); // until the charts have been laid out
  await page.screenshot({ path: path.join(images, "device.png") });
} finally {
  await browser.close();
  await server.stop();
}
