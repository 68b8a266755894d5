// What the visitor does, and what the page says about it.
import { Charts } from "./charts.js";
import { Pad } from "./drawing.js";
import { Engine } from "./engine.js";
import { chosen, decode, dropped, pictures, unpacked } from "./gallery.js";
import { drawFilters, drawRow } from "./pictures.js";
import { address, fromAddress, request, settings } from "./settings.js";

const $ = (id) => document.getElementById(id);
const NETWORKS = [["A", "a"], ["B", "b"], ["both", "both"]];
const WAY_OUT = {
  lost: "The GPU was lost: its driver was reset, or it is gone. Start opens it anew, or choose the processor as the device.",
  memory: "The GPU has too little memory for this run. Fewer replicas, narrower layers or fewer images may fit; the processor holds more.",
  limit: "The run is above a limit of this GPU. Fewer replicas, narrower layers or fewer images may fit; so may the processor.",
  gpu: "The GPU refused its work. Try again, or choose the processor as the device.",
  device: "No GPU can be had by this page. The processor can be chosen as the device.",
  data: "That is no data set, or no model, that this page can read.",
  diverged: "The numbers left the range of numbers. A smaller learning rate helps.",
  request: "The settings contradict each other, or the data.",
  crash: "The engine stopped, and took its state with it. Load the page again.",
};
const SIGNS = {
  collapse: "Collapse: A and B agree because every image has nearly one representation. Compare the recipe contrastive.",
  plateau: "Losses and accuracy stand still. A larger learning rate may help.",
  diverging: "A hidden layer's loss rises again: A and B lose each other. A smaller learning rate may help.",
  "near-chance": "The output is no better than guessing.",
};

let dataset = null; // the engine's summary of what it holds
let opened = null; // the device that was asked for, once it is open
let shape = { channels: 1, height: 28, width: 28 }; // of the model's images
let filters = null;
let running = false;
let paused = false;
let hasModel = false;
let epochs = 1;
const charts = new Charts();
const engine = new Engine({ told, row: showRow, crashed: (error) => fail(error) });

// --- Words -----------------------------------------------------------------------------------------------------------------------

function notice(text, kind = "", details = "") {
  const box = document.createElement("div");
  box.className = `notice ${kind}`;
  const words = document.createElement("p");
  words.textContent = text;
  if (details) {
    const more = document.createElement("small");
    more.textContent = ` ${details}`;
    words.append(more);
  }
  const close = document.createElement("button");
  close.textContent = "×";
  close.ariaLabel = "Close";
  close.onclick = () => box.remove();
  box.append(words, close);
  $("notices").prepend(box);
  while ($("notices").childElementCount > 3) $("notices").lastChild.remove();
}

/** The engine speaks of its command line; here its options have no dashes. */
const plain = (message) => message.replace(/--([a-z][a-z-]*)/g, (_, name) => name.replaceAll("-", " "));

function fail({ kind, message }) {
  notice(WAY_OUT[kind] ?? WAY_OUT.request, "bad", plain(message));
  if (kind === "lost" || kind === "gpu") opened = null;
  if (kind === "crash") for (const button of document.querySelectorAll("button")) button.disabled = true;
}

async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    fail(error.kind ? error : { kind: "crash", message: String(error) });
  }
}

// --- The device ------------------------------------------------------------------------------------------------------------------

async function open() {
  const wanted = settings.value("device");
  if (opened === wanted) return;
  const pretend = Number(new URLSearchParams(location.search).get("max-buffer")) || 0;
  const { device, notice: why } = await engine.call("open", wanted, pretend);
  opened = wanted;
  const isGpu = device.kind !== "cpu";
  $("device").dataset.kind = isGpu ? "gpu" : "cpu";
  const name = [device.name, device.driver].find((text) => text?.trim()) || "this machine's GPU";
  $("device-text").textContent = isGpu ? `WebGPU: ${name}` : "processor, one thread of WebAssembly";
  if (why) {
    const missing = navigator.gpu ? "This browser has WebGPU, but gives this page no GPU" : "This browser has no WebGPU";
    notice(`${missing}: training goes on the processor, which is slower.`, "", "Chrome and Edge have it, Safari from 26, Firefox from 141 on Windows.");
    $("verify").disabled = true;
    $("verify-text").textContent = "There is no GPU here to compare with the processor.";
  }
}

// --- Data ------------------------------------------------------------------------------------------------------------------------

async function data() {
  const wanted = settings.value("train");
  if (wanted === "files" || dataset?.wanted === wanted) return;
  const summary = await engine.call("digits", Number(wanted), Math.min(2000, Number(wanted) / 5));
  dataset = { ...summary, wanted };
}

/** Pictures in folders, else a data set in files. */
async function read(files) {
  const found = pictures(files);
  if (!found.length) return engine.call("files", files.map(({ file }) => file));
  const text = $("drop-text");
  const told = (share) => (text.textContent = `${found.length.toLocaleString("en")} images: ${Math.round(100 * share)} %`);
  return engine.call("pictures", await decode(found, told));
}

async function take(files) {
  await attempt(async () => {
    const summary = await read(await unpacked(files));
    dataset = { ...summary, wanted: "files" };
    const select = settings.form.elements.train;
    const option = [...select.options].find(({ value }) => value === "files");
    option.hidden = false;
    option.textContent = `${summary.name}, ${summary.train.toLocaleString("en")} + ${summary.test.toLocaleString("en")} for testing`;
    select.value = "files";
    $("drop-text").textContent = `${summary.name}: ${summary.train} images of ${summary.shape.height}×${summary.shape.width}, ${summary.classes.length} classes`;
    const without = summary.unlabelled ? ` (${summary.unlabelled.toLocaleString("en")} without labels)` : "";
    notice(`${summary.name} is in: ${summary.train.toLocaleString("en")} images to learn from${without}, ${summary.test.toLocaleString("en")} to test on.`, "good");
  });
}

$("files").onchange = ({ target }) => target.files.length && take(chosen(target.files));
$("folder").onchange = ({ target }) => target.files.length && take(chosen(target.files));
$("drop").onkeydown = ({ key }) => (key === "Enter" || key === " ") && $("files").click();
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", () => document.body.classList.remove("over"));
addEventListener("drop", async (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const files = await dropped(event.dataTransfer);
  if (!files.length) return;
  files.length === 1 && files[0].path.endsWith(".safetensors") ? load(files[0].file) : take(files);
});

// --- The run ---------------------------------------------------------------------------------------------------------------------

function buttons() {
  $("start").textContent = running ? (paused ? "Go on" : "Running…") : "Start";
  $("start").disabled = running && !paused;
  $("pause").disabled = !running || paused;
  $("reset").disabled = !running && !filters;
  $("download").disabled = !hasModel;
}

$("start").onclick = () => (running ? hold(false) : start());
$("pause").onclick = () => hold(true);
$("reset").onclick = reset;
settings.form.onsubmit = (event) => {
  event.preventDefault();
  if (!running) start();
};

function hold(still) {
  paused = still;
  engine.call("pause", still);
  buttons();
}

let ended = Promise.resolve();

async function start() {
  if (!settings.form.reportValidity()) return;
  running = true;
  paused = false;
  buttons();
  history.replaceState(null, "", address());
  ended = attempt(async () => {
    await open();
    await data();
    await engine.call("train", request());
    return true;
  });
  const well = await ended;
  running = paused = false;
  document.body.dataset.run = well ? "done" : "failed";
  document.title = "ffcl-gpu: two networks teach each other";
  buttons();
}

async function reset() {
  if (running) {
    engine.call("stop");
    await ended;
  }
  charts.clear();
  for (const id of ["right-a", "right-b", "right-both", "epoch", "speed"]) $(id).textContent = "–";
  $("progress").value = 0;
  filters = null;
  buttons();
}

function told(event) {
  switch (event.event) {
    case "begun":
      epochs = event.epochs;
      shape = dataset.shape;
      document.body.dataset.run = "running";
      charts.begin(settings.value("recipe"), event.layers);
      break;
    case "progress": {
      const share = (event.epoch - 1 + event.done / event.of) / epochs;
      $("progress").value = share;
      $("epoch").textContent = `${event.epoch}/${epochs}`;
      if (event.images_per_second) $("speed").textContent = Math.round(event.images_per_second).toLocaleString("en");
      document.title = `${Math.round(100 * share)} % · ffcl-gpu`;
      break;
    }
    case "epoch": {
      const mean = (of) => event.reports.reduce((sum, report) => sum + of(report), 0) / event.reports.length;
      $("right-a").textContent = rate(mean((report) => report.test_accuracy_a));
      $("right-b").textContent = rate(mean((report) => report.test_accuracy_b));
      $("right-both").textContent = rate(mean((report) => report.test_accuracy_ensemble));
      charts.add(event.reports[0]);
      $("progress").value = event.reports[0].epoch / epochs;
      document.body.dataset.epoch = event.reports[0].epoch;
      break;
    }
    case "warning":
      notice(`Epoch ${event.epoch}: ${SIGNS[event.sign]}`);
      break;
    case "weights":
      filters = event.filters;
      hasModel = true;
      paint();
      ask();
      buttons();
      break;
  }
}

const rate = (share) => `${(100 * share).toFixed(1)} %`;

function paint() {
  if (!filters || document.hidden) return;
  requestAnimationFrame(() => {
    if (!filters) return;
    drawFilters($("filters-a"), filters[0], shape);
    drawFilters($("filters-b"), filters[1], shape);
  });
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  charts.catchUp();
  paint();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);

// --- Drawing ---------------------------------------------------------------------------------------------------------------------

const pad = new Pad($("pad"), ask);
let asking = false;
let askAgain = false;

/** One question at a time; the last stroke is not left out. */
async function ask() {
  if (!hasModel || pad.empty || document.hidden) return;
  if (asking) {
    askAgain = true;
    return;
  }
  asking = true;
  try {
    answer(await engine.call("ask", ...pad.shades()));
  } catch (error) {
    $("verdict").textContent = plain(error.message);
  }
  asking = false;
  if (askAgain) {
    askAgain = false;
    ask();
  }
}

function answer({ networks, layers }) {
  const best = networks.map((probabilities) => probabilities.indexOf(Math.max(...probabilities)));
  $("verdict").innerHTML = NETWORKS.map(([name, colour], index) => `<span class="${colour}">${name} <b>${best[index]}</b></span>`).join(" &ensp; ");
  $("verdict").dataset.both = best[2];
  const bars = $("bars");
  const classes = networks[0].length;
  if (bars.childElementCount !== classes + 1) {
    const heading = `<div class="bar head"><span></span>${NETWORKS.map(([name]) => `<span>${name}</span>`).join("")}</div>`;
    const line = (label) => `<div class="bar"><span>${label}</span>${NETWORKS.map(([, colour]) => `<i style="--c:var(--${colour})"></i>`).join("")}</div>`;
    bars.innerHTML = heading + Array.from({ length: classes }, (_, label) => line(label)).join("");
  }
  for (let label = 0; label < classes; label++) {
    [...bars.children[label + 1].querySelectorAll("i")].forEach((bar, network) => bar.style.setProperty("--p", networks[network][label].toFixed(3)));
  }
  const rows = $("layers");
  const count = layers[0].length;
  if (rows.childElementCount !== 2 * count) {
    const name = (layer) => (layer + 1 === count ? "output" : `layer ${layer + 1}`);
    rows.innerHTML = layers[0].map((_, layer) => ["A", "B"].map((model) => `<div><span>${model} ${name(layer)}</span><canvas></canvas></div>`).join("")).join("");
  }
  layers[0].forEach((_, layer) => [0, 1].forEach((model) => drawRow(rows.children[2 * layer + model].lastChild, layers[model][layer])));
  bars.hidden = rows.hidden = false;
}

$("clear").onclick = () => {
  pad.clear();
  $("bars").hidden = $("layers").hidden = true;
  $("verdict").textContent = "Draw; both answer at every stroke.";
};
$("example").onclick = () =>
  attempt(async () => {
    await data();
    const pixels = await engine.call("example", Math.floor(Math.random() * 1e6));
    pad.show(pixels, dataset.shape);
    ask();
  });

// --- Models ----------------------------------------------------------------------------------------------------------------------

$("download").onclick = () =>
  attempt(async () => {
    const bytes = await engine.call("model");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([bytes]));
    link.download = "model.safetensors";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
$("load").onclick = () => $("load-file").click();
$("load-file").onchange = ({ target }) => target.files.length && load(target.files[0]);

async function load(file) {
  await attempt(async () => {
    if (running) throw { kind: "request", message: "a run goes on; stop it first" };
    const held = await engine.call("load", file);
    ({ filters, image: shape } = held);
    hasModel = true;
    paint();
    ask();
    buttons();
    notice(`${file.name} is in: ${held.network}, learnt on ${held.dataset}. Draw something.`, "good");
  });
  $("load-file").value = "";
}

$("link").onclick = async () => {
  history.replaceState(null, "", address());
  try {
    await navigator.clipboard.writeText(address());
    notice("The link is copied. It repeats this run, weight by weight, on the same kind of device.", "good");
  } catch {
    notice("This browser lets no page copy; the link stands in its address bar.");
  }
};

// --- Verification ----------------------------------------------------------------------------------------------------------------

$("verify").onclick = async () => {
  const body = $("rows").querySelector("tbody");
  body.replaceChildren();
  $("rows").hidden = false;
  $("verify").disabled = true;
  $("verify-text").textContent = "Comparing…";
  const well = await attempt(async () => {
    await engine.call("verify");
    return true;
  });
  const rows = [...body.rows];
  const failed = rows.filter((row) => row.dataset.passed === "false").length;
  const worst = Math.max(0, ...rows.map((row) => Number(row.dataset.worst)));
  if (well && !failed) $("verify-text").textContent = `All ${rows.length} rows are right; the worst error is ${worst.toFixed(2)} of what is allowed.`;
  else $("verify-text").textContent = failed ? `${failed} of ${rows.length} rows are wrong on this GPU.` : "The comparison ended early.";
  $("verification").dataset.done = well ? "yes" : "no";
  $("verify").disabled = false;
};

function showRow({ name, cases, values, worst, passed, worst_at: at }) {
  const row = $("rows").querySelector("tbody").insertRow();
  Object.assign(row.dataset, { passed, worst: worst ?? Infinity });
  row.title = at;
  // JSON has no infinity.
  const cells = [name, cases, values.toLocaleString("en"), (worst ?? Infinity).toFixed(2).replace("Infinity", "∞"), passed ? "✓" : "✗"];
  for (const text of cells) row.insertCell().textContent = text;
  row.lastChild.className = passed ? "ok" : "failed";
  row.scrollIntoView({ block: "nearest" });
}

// --- The beginning ---------------------------------------------------------------------------------------------------------------

fromAddress();
buttons();
// For tests and for the curious.
globalThis.ffcl = { engine, request };
await attempt(open);
document.body.dataset.ready = "yes";
