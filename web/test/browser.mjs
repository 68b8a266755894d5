// A server of files and a browser: what the tests need to look at the page.
import { chromium } from "playwright-core";
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const DIST = fileURLToPath(new URL("../dist", import.meta.url));
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm", ".svg": "image/svg+xml" };

/** Serves the page; gives its address. */
export function serve() {
  const server = createServer(({ url }, response) => {
    const path = normalize(new URL(url, "http://localhost").pathname).replace(/\/$/, "/index.html");
    const file = join(DIST, path);
    if (!existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    createReadStream(file).pipe(response);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve({ server, url: `http://127.0.0.1:${server.address().port}/` })));
}

/** A browser; with a GPU that is the processor, or with none. */
export function launch({ gpu = true } = {}) {
  const args = gpu ? ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"] : ["--disable-gpu"];
  return chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", ...args] });
}

export const DESK = { width: 1440, height: 900 };
export const PHONE = { width: 390, height: 844 };

/** A page that is ready, and the complaints of its console. */
export async function visit(browser, address, options = {}) {
  const context = await browser.newContext({ viewport: DESK, acceptDownloads: true, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(address);
  await page.waitForSelector("body[data-ready=yes]", { timeout: 60_000 });
  return { page, complaints, close: () => context.close() };
}

/** Starts a run and waits for its end. */
export async function train(page, patience = 240_000) {
  await page.evaluate(() => delete document.body.dataset.run);
  await page.click("#start");
  await page.waitForSelector("body[data-run=done], body[data-run=failed]", { timeout: patience });
  return page.getAttribute("body", "data-run");
}

/** The bytes of the model that the page holds. */
export async function download(page) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
  const { readFile } = await import("node:fs/promises");
  return readFile(await file.path());
}
