// What visitors do, and what must come of it. Each test is a page of its own.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { zipSync } from "fflate";
import { DESK, PHONE, download, launch, serve, train, visit } from "./browser.mjs";
import { distance, parse } from "./safetensors.mjs";

const SHOTS = fileURLToPath(new URL("../shots", import.meta.url));
mkdirSync(SHOTS, { recursive: true });
const folder = mkdtempSync(join(tmpdir(), "ffcl-page-"));
const { server, url } = await serve();
const browsers = {};
const withGpu = async () => (browsers.gpu ??= await launch());
const withoutGpu = async () => (browsers.none ??= await launch({ gpu: false }));

const shoot = (page, name, options = {}) => page.screenshot({ path: join(SHOTS, `${name}.png`), ...options });
const notices = (page) => page.locator("#notices").innerText();
const speed = async (page) => Number((await page.textContent("#speed")).replace(/\D/g, ""));

async function draw(page) {
  await page.locator("#pad").scrollIntoViewIfNeeded();
  const box = await page.locator("#pad").boundingBox();
  const at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(0.5, 0.2));
  await page.mouse.down();
  await page.mouse.move(...at(0.5, 0.8), { steps: 12 });
  await page.mouse.up();
  await page.waitForFunction(() => document.querySelector("#verdict").dataset.both !== undefined);
  // Every part of the stroke has an answer of its own: the last one is that which stays.
  for (let answer, same = 0; ; ) {
    const now = await page.getAttribute("#verdict", "data-both");
    same = now === answer ? same + 1 : 0;
    answer = now;
    if (same === 10) return answer;
    await page.waitForTimeout(200);
  }
}

/** IDX files of little images: a stripe whose place is the label. */
function idx(count, { gzip = false } = {}) {
  const labels = Array.from({ length: count }, (_, index) => index % 4);
  const big = (...values) => Buffer.concat(values.map((value) => Buffer.from([value >> 24, value >> 16, value >> 8, value])));
  const pixels = Buffer.alloc(count * 64);
  labels.forEach((label, image) => pixels.fill(200, 64 * image + 16 * label, 64 * image + 16 * label + 16));
  const pack = (bytes) => (gzip ? gzipSync(bytes) : bytes);
  return [pack(Buffer.concat([big(0x803, count, 8, 8), pixels])), pack(Buffer.concat([big(0x801, count), Buffer.from(labels)]))];
}

/** A picture of one colour, as a BMP of 24 bits. */
function picture(red, green, blue, side = 12) {
  const header = Buffer.alloc(54);
  header.write("BM");
  header.writeUInt32LE(54 + 3 * side * side, 2);
  [54, 40, side, side].forEach((value, index) => header.writeUInt32LE(value, 10 + 4 * index));
  header.writeUInt16LE(1, 26);
  header.writeUInt16LE(24, 28);
  return Buffer.concat([header, Buffer.alloc(3 * side * side, Buffer.from([blue, green, red]))]);
}

/** Pictures of two classes, each in the folder of its class: a path and its content. `more` are without labels, and copies of none. */
function gallery(name = "colours", more = 0) {
  const shades = Array.from({ length: 120 }, (_, index) => 100 + index);
  const red = shades.map((shade, index) => [`${name}/red/${index}.bmp`, picture(shade, 20, 20)]);
  const blue = shades.map((shade, index) => [`${name}/blue/${index}.bmp`, picture(20, 20, shade)]);
  const either = shades.slice(0, more).map((shade, index) => [`${name}/unlabelled/${index}.bmp`, index % 2 ? picture(shade, 30, 30) : picture(30, 30, shade)]);
  return [...red, ...blue, ...either];
}

/** Writes files below `folder`. */
function write(files) {
  for (const [path, content] of files) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
}

/** A table of features of three classes, each column on a scale of its own. */
function features(count) {
  const noise = (row, column) => Math.sin(12.9898 * row + 78.233 * column) * 0.5;
  const line = (row) => [0.001, 1, 500].map((scale, column) => (scale * (3 + (row % 3 === column ? 1 : 0) + noise(row, column))).toPrecision(7));
  const rows = Array.from({ length: count }, (_, row) => [...line(row), row % 3].join(","));
  return ["length,width,price,label", ...rows, ""].join("\n");
}

/** Ten steps on the page against the program's; `choose` brings the page its data, `options` the program the same. */
async function compare(query, options, choose = () => {}) {
  const models = {};
  for (const device of ["gpu", "cpu"]) {
    const { page, complaints, close } = await visit(await withGpu(), `${url}?${query}&device=${device}&steps=${STEPS}`);
    await choose(page);
    assert.equal(await train(page), "done", await notices(page));
    models[device] = parse(await download(page));
    if (device === "cpu") {
      // The same run by the references, in f32 and in f64, and where it began.
      const twin = (double, steps) =>
        page.evaluate(([double, steps]) => ffcl.engine.call("twin", { ...ffcl.request(), max_steps: steps }, double).then((bytes) => [...bytes]), [double, steps]);
      for (const [name, double] of [["single", false], ["double", true]]) models[name] = parse(Buffer.from(await twin(double, STEPS)));
      models.first = parse(Buffer.from(await twin(true, 1)));
    }
    assert.deepEqual(complaints, []);
    await close();
  }
  const devices = ["gpu", "cpu"];
  if (existsSync(process.env.FFCL_PROGRAM)) {
    const out = mkdtempSync(join(folder, "ten-"));
    const run = ["train", "--device", "cpu", "--epochs", "4", "--seed", "5", "--hidden", "64,64", "--max-steps", String(STEPS)];
    execFileSync(process.env.FFCL_PROGRAM, [...run, ...options, "--out", join(out, "run")], { stdio: "pipe" });
    models.native = parse(readFileSync(join(out, "run", "model.safetensors")));
    devices.push("native");
  }
  // The bound of src/verify/steps.rs: rounding alone moves the f32 twin so far from the f64 twin, a right device up to 16 times.
  const [FACTOR, STORAGE] = [16, 2 ** -24];
  const worst = {};
  for (const [name, expected] of models.double) {
    const twins = ["r0.a.", "r0.b."].map((slot) => slot + name.replace(/^r0\.[ab]\./, ""));
    const rounding = Math.max(...twins.map((twin) => distance(models.single.get(twin), models.double.get(twin))));
    const allowed = FACTOR * rounding + STEPS * STORAGE * distance(expected);
    for (const device of devices) {
      assert.equal(models[device].get(name)?.length, expected.length, `${device} ${name}`);
      const error = distance(models[device].get(name), expected);
      worst[device] ??= { ratio: 0, share: 0 };
      worst[device].ratio = Math.max(worst[device].ratio, error / allowed);
      worst[device].share = Math.max(worst[device].share, error / distance(expected, models.first.get(name)));
      assert.ok(error <= allowed, `${device} ${name}: ${error} from the f64 twin is above ${allowed}`);
    }
  }
  for (const [device, { ratio, share }] of Object.entries(worst)) {
    console.log(`    ${device}: ${ratio.toFixed(2)} of the bound, ${share.toExponential(1)} of the movement since the first step`);
  }
  if (devices.length < 3) return "no program to compare with";
}

const STEPS = 10;
const RUN = "train=2000&epochs=4&seed=5";

const tests = {
  async "a visitor trains on WebGPU, draws, and takes the model along"() {
    const { page, complaints, close } = await visit(await withGpu(), `${url}?train=2000&epochs=8`);
    assert.equal(await page.getAttribute("#device", "data-kind"), "gpu");
    assert.equal(await train(page), "done", await notices(page));
    assert.match(await page.textContent("#epoch"), /^8\/8$/);
    assert.ok(parseFloat(await page.textContent("#right-both")) > 40);
    assert.equal(await page.locator(".plot canvas").count(), 4);
    const answer = await draw(page);
    await shoot(page, "desk", { fullPage: true });
    const file = join(folder, "model.safetensors");
    writeFileSync(file, await download(page));
    console.log(`    WebGPU: ${await speed(page)} images/s; a vertical stroke is a ${answer}`);
    if (existsSync(process.env.FFCL_PROGRAM)) {
      const scores = execFileSync(process.env.FFCL_PROGRAM, ["evaluate", file, "--device", "cpu", "--json"], { encoding: "utf8" });
      assert.match(scores, /accuracy/);
    }
    // The same file comes back, into a page that has trained nothing.
    const other = await visit(await withGpu(), url);
    await other.page.setInputFiles("#load-file", file);
    await other.page.waitForSelector(".notice.good");
    assert.equal(await draw(other.page), answer);
    assert.deepEqual([...complaints, ...other.complaints], []);
    await other.close();
    await close();
  },

  async "ten steps come to the program's weights, on WebGPU and on the processor"() {
    return compare(RUN, ["--dataset", "digits", "--limit-train", "2000"]);
  },

  async "so they do on features, which are standardised"() {
    const path = join(folder, "features.csv");
    writeFileSync(path, features(600));
    return compare(RUN, ["--dataset", path], async (page) => {
      await page.setInputFiles("#files", path);
      await page.waitForSelector(".notice.good");
      assert.match(await notices(page), /480 images to learn from, 120 to test on/);
    });
  },

  async "so they do on a folder of colours, with images of it without labels, and with labels taken away"() {
    write(gallery("all"));
    write(gallery("some", 60));
    for (const [name, text, labelled] of [
      ["all", /192 images to learn from, 48 to test on/, []],
      ["some", /252 images to learn from \(60 without labels\), 48 to test on/, []],
      ["all", /192 images to learn from, 48 to test on/, ["labelled=100"]],
    ]) {
      // Enough batches for ten steps.
      const more = ["batch-size=32", ...labelled];
      const options = ["--dataset", join(folder, name), ...more.map((option) => `--${option}`)];
      const left = await compare(`${RUN}&more=${encodeURIComponent(more.join(" "))}`, options, async (page) => {
        await page.setInputFiles("#folder", join(folder, name));
        await page.waitForSelector(".notice.good");
        assert.match(await notices(page), text);
        assert.match(await page.textContent("#drop-text"), /12×12, 2 classes/);
      });
      if (left) return left;
    }
  },

  async "so they do on digits of which a hundred have labels"() {
    return compare(`${RUN}&more=labelled%3D100`, ["--dataset", "digits", "--limit-train", "2000", "--labelled", "100"]);
  },

  async "wrong labels are planted as the program plants them, and images are chosen as it chooses"() {
    const run = async (more) => {
      const { page, complaints, close } = await visit(await withGpu(), `${url}?${RUN}&device=cpu&steps=${STEPS}${more}`);
      assert.equal(await train(page), "done", await notices(page));
      const model = parse(await download(page));
      assert.deepEqual(complaints, []);
      await close();
      return model;
    };
    const [clean, chosen] = [await run(""), await run("&noise=pair:0.45&trust=output&more=trust-ramp%3D0")];
    if (!existsSync(process.env.FFCL_PROGRAM)) return "no program to compare with";
    const out = join(folder, "wrong");
    const options = ["--device", "cpu", "--dataset", "digits", "--limit-train", "2000", "--epochs", "4", "--seed", "5", "--hidden", "64,64"];
    const wrong = ["--label-noise", "pair:0.45", "--trust", "output", "--trust-rate", "0.45", "--trust-ramp", "0"];
    execFileSync(process.env.FFCL_PROGRAM, ["train", ...options, ...wrong, "--max-steps", String(STEPS), "--out", out], { stdio: "pipe" });
    const native = parse(readFileSync(join(out, "model.safetensors")));
    for (const [name, expected] of native) {
      if (!name.startsWith("r0.")) continue;
      // What wrong labels and the choice change is far more than what rounding does.
      const [apart, changed] = [distance(chosen.get(name), expected), distance(clean.get(name), expected)];
      assert.ok(apart < changed / 100, `${name}: ${apart} from the program, and ${changed} from the run with right labels`);
    }
  },

  async "every kernel is right through the browser's own compiler"() {
    const { page, complaints, close } = await visit(await withGpu(), url);
    const begun = Date.now();
    await page.click("#verify");
    await page.waitForSelector("#verification[data-done]", { timeout: 540_000 });
    const text = await page.textContent("#verify-text");
    for (const row of await page.locator("#rows tr[data-passed=false]").all()) console.log(`    ${await row.innerText()} ${await row.getAttribute("title")}`);
    assert.match(text, /^All \d+ rows are right/, `${text}\n${await page.locator("#rows").innerText()}\n${await notices(page)}`);
    console.log(`    ${text} (${((Date.now() - begun) / 1000).toFixed(0)} s)`);
    const ratios = await page.locator("#rows tr").evaluateAll((rows) => rows.map((row) => ({ ratio: parseFloat(row.cells[3]?.innerText) || 0, at: `${row.cells[0]?.innerText}: ${row.title}` })));
    console.log(`    the worst is ${ratios.reduce((worst, row) => (row.ratio > worst.ratio ? row : worst)).at}`);
    writeFileSync(join(SHOTS, "verify.txt"), await page.locator("#rows").innerText());
    await page.locator("#verification").scrollIntoViewIfNeeded();
    await shoot(page, "verify");
    assert.deepEqual(complaints, []);
    await close();
  },

  async "the paper's collapse stands beside the contrastive run; pause, go on, reset"() {
    const { page, complaints, close } = await visit(await withGpu(), `${url}?train=2000&epochs=8&recipe=paper&rate=0.001`);
    assert.equal(await train(page), "done", await notices(page));
    await page.selectOption("[name=recipe]", "contrastive");
    await page.fill("[name=rate]", "");
    await page.evaluate(() => delete document.body.dataset.epoch);
    await page.click("#start");
    await page.waitForSelector("body[data-epoch='2']", { timeout: 120_000 });
    await page.click("#pause");
    // The slice of steps that is under way ends first, which takes as long as the machine needs.
    const progress = () => page.getAttribute("#progress", "value");
    let [before, still] = [null, await progress()];
    for (let tries = 0; tries < 30 && still !== before; tries++) {
      await page.waitForTimeout(700);
      [before, still] = [still, await progress()];
    }
    await page.waitForTimeout(2000);
    assert.equal(await progress(), still);
    assert.equal(await page.getAttribute("body", "data-run"), "running");
    await page.click("#start");
    await page.waitForSelector("body[data-run=done]", { timeout: 240_000 });
    assert.match(await page.locator("#chart-directions .u-legend").innerText(), /before: paper/);
    await draw(page);
    await shoot(page, "collapse", { fullPage: true });
    // 2000 images are the default, which a link need not say.
    assert.match(page.url(), /epochs=8/);
    await page.click("#reset");
    assert.equal(await page.locator(".plot canvas").count(), 0);
    assert.deepEqual(complaints, []);
    await close();
  },

  async "on a phone, in the dark, without WebGPU: the processor, and the page says so"() {
    const { page, complaints, close } = await visit(await withoutGpu(), `${url}?${RUN}`, {
      viewport: PHONE, deviceScaleFactor: 2, isMobile: true, hasTouch: true, colorScheme: "dark",
    });
    assert.equal(await page.getAttribute("#device", "data-kind"), "cpu");
    assert.match(await notices(page), /training goes on the processor/);
    assert.equal(await train(page), "done", await notices(page));
    console.log(`    WebAssembly: ${await speed(page)} images/s`);
    await page.locator("#pad").scrollIntoViewIfNeeded();
    await draw(page);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is wider than the phone");
    await shoot(page, "phone", { fullPage: true });
    assert.deepEqual(complaints, []);
    await close();
  },

  async "a lost GPU is said to be lost, and the next run has one again"() {
    const browser = await launch();
    const { page, close } = await visit(browser, `${url}?train=2000&epochs=1000`);
    await page.click("#start");
    await page.waitForSelector("body[data-epoch]", { timeout: 120_000 });
    const session = await browser.newBrowserCDPSession();
    await session.send("Browser.crashGpuProcess").catch(() => {});
    await page.waitForSelector("body[data-run=failed]", { timeout: 60_000 });
    assert.match(await notices(page), /The GPU was lost/);
    await page.fill("[name=epochs]", "1");
    await page.selectOption("[name=train]", "2000");
    assert.equal(await train(page), "done", await notices(page));
    await close();
    await browser.close();
  },

  async "a small adapter, wrong settings and wrong files each get their word"() {
    const { page, close } = await visit(await withGpu(), `${url}?train=2000&max-buffer=65536`);
    assert.equal(await train(page), "failed");
    assert.match(await notices(page), /above a limit of this GPU/);
    await page.fill("[name=more]", "centre");
    assert.equal(await train(page), "failed");
    assert.match(await notices(page), /settings contradict/);
    await page.fill("[name=more]", "no-such-option=1");
    assert.equal(await train(page), "failed");
    assert.match(await notices(page), /no-such-option/);

    const file = (name, buffer) => ({ name, mimeType: "application/octet-stream", buffer });
    await page.setInputFiles("#files", file("letter.txt", Buffer.from("Dear Sir,")));
    await page.waitForFunction(() => /no data set/.test(document.querySelector("#notices").innerText));
    await page.setInputFiles("#load-file", file("model.pt", Buffer.from("PK\x03\x04 this is no model at all")));
    await page.waitForFunction(() => /no whole safetensors file/.test(document.querySelector("#notices").innerText));
    await shoot(page, "words");
    await close();
  },

  async "four IDX files become a data set, compressed or not"() {
    const { page, complaints, close } = await visit(await withGpu(), `${url}?device=cpu&epochs=20&rate=0.01`);
    const [[images, labels], [testImages, testLabels]] = [idx(1280), idx(200, { gzip: true })];
    const file = (name, buffer) => ({ name, mimeType: "application/octet-stream", buffer });
    await page.setInputFiles("#files", [file("a", labels), file("b.gz", testImages), file("c", images), file("d.gz", testLabels)]);
    await page.waitForSelector(".notice.good");
    assert.match(await notices(page), /1,280 images to learn from, 200 to test on/);
    assert.equal(await train(page), "done", await notices(page));
    assert.ok(parseFloat(await page.textContent("#right-both")) > 90);
    assert.deepEqual(complaints, []);
    await close();
  },

  async "a folder of images and a zip of it become the same data set"() {
    const files = gallery();
    write(files);
    const zip = Buffer.from(zipSync(Object.fromEntries(files.map(([path, content]) => [path, new Uint8Array(content)]))));
    const results = [];
    for (const choose of [
      (page) => page.setInputFiles("#folder", join(folder, "colours")),
      (page) => page.setInputFiles("#files", { name: "colours.zip", mimeType: "application/zip", buffer: zip }),
    ]) {
      const { page, complaints, close } = await visit(await withGpu(), `${url}?device=cpu&epochs=10&rate=0.01`);
      await choose(page);
      await page.waitForSelector(".notice.good");
      assert.match(await notices(page), /colours is in: 192 images to learn from, 48 to test on/);
      assert.match(await page.textContent("#drop-text"), /12×12, 2 classes/);
      assert.equal(await train(page), "done", await notices(page));
      assert.ok(parseFloat(await page.textContent("#right-both")) > 90);
      results.push(await download(page));
      assert.deepEqual(complaints, []);
      await close();
    }
    assert.ok(results[0].equals(results[1]), "the models differ");
    const { page, close } = await visit(await withGpu(), `${url}?device=cpu`);
    await page.setInputFiles("#files", { name: "one.zip", mimeType: "application/zip", buffer: Buffer.from(zipSync({ "only/a.bmp": picture(9, 9, 9) })) });
    await page.waitForSelector(".notice.bad");
    assert.match(await notices(page), /all images with a label stand in one folder, only/);
    await close();
  },

  async "in the background the run goes on, and the charts catch up"() {
    const { page, complaints, close } = await visit(await withGpu(), `${url}?train=2000&epochs=3&device=cpu`);
    const hide = (hidden) =>
      page.evaluate((hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    await hide(true);
    assert.equal(await train(page), "done", await notices(page));
    await hide(false);
    assert.match(await page.textContent("#epoch"), /3\/3/);
    assert.match(await page.locator("#chart-accuracy .u-legend").innerText(), /A/);
    assert.ok(await page.evaluate(() => document.querySelector("#filters-a").width > 28 || new Promise((resolve) => setTimeout(() => resolve(document.querySelector("#filters-a").width > 28), 300))));
    assert.deepEqual(complaints, []);
    await close();
  },
};

const wanted = process.argv.slice(2);
let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  if (wanted.length && !wanted.some((part) => name.includes(part))) continue;
  const begun = Date.now();
  try {
    const left = await test();
    console.log(`ok    ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)${left ? `: ${left}` : ""}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}\n${error.stack}`);
  }
}
for (const browser of Object.values(browsers)) await browser.close();
server.close();
rmSync(folder, { recursive: true });
if (failed) process.exitCode = 1;
