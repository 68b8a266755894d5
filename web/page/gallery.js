// Images in folders, one for each class, as they are dropped, chosen, or packed in a zip.
import { unzip } from "./fflate.js";

/** The share of each class that is held back where there is no folder of test images. */
const HELD_BACK = 6;
/** Images larger than this are made smaller: a page's networks are small. */
const LARGEST = 64;
const SIDE = 32;

const PICTURE = /\.(png|jpe?g|gif|bmp|webp|avif|svg)$/i;
const TEST = /^(test|testing|val|valid|validation)$/i;

/** All files below what was dropped, each with its path. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files].map((file) => ({ path: file.name, file }));
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      found.push({ path: entry.fullPath.slice(1), file: await new Promise((resolve, reject) => entry.file(resolve, reject)) });
      return;
    }
    const reader = entry.createReader();
    // A reader hands out a hundred entries at a time.
    for (let some; (some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length; ) {
      for (const each of some) await walk(each);
    }
  };
  for (const entry of entries) await walk(entry);
  return found;
}

/** What a file input holds. */
export const chosen = (files) => [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));

/** The files of a zip, if the one file is one that is no archive of NumPy's; else the files as they are. */
export async function unpacked(files) {
  if (files.length !== 1 || !/\.zip$/i.test(files[0].path)) return files;
  const bytes = new Uint8Array(await files[0].file.arrayBuffer());
  const wanted = { filter: ({ name }) => PICTURE.test(name) };
  const content = await new Promise((resolve, reject) =>
    unzip(bytes, wanted, (error, content) => (error ? reject({ kind: "request", message: `${files[0].path} is no zip that can be read: ${error.message}` }) : resolve(content))),
  );
  return Object.entries(content).map(([path, bytes]) => ({ path, file: new Blob([bytes]) }));
}

/** The pictures among them, with the class that each one's folder names; none if there are none in folders. */
export function pictures(files) {
  const parts = ({ path }) => path.split("/").filter((part) => part && part !== ".");
  const found = files.filter(({ path }) => PICTURE.test(path) && !path.includes("__MACOSX"));
  // By name: folders list their files as they like.
  found.sort((one, other) => (one.path < other.path ? -1 : 1));
  return found.flatMap((each) => {
    const folders = parts(each).slice(0, -1);
    if (!folders.length) return [];
    return [{ ...each, label: folders.at(-1), test: folders.some((folder) => TEST.test(folder)) }];
  });
}

async function pixels(file, size) {
  const bitmap = await createImageBitmap(file, size ? { resizeWidth: size.width, resizeHeight: size.height, resizeQuality: "high" } : {});
  if (!size) return bitmap;
  const context = new OffscreenCanvas(size.width, size.height).getContext("2d", { willReadFrequently: true });
  // What is transparent shows paper.
  context.fillStyle = "white";
  context.fillRect(0, 0, size.width, size.height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, size.width, size.height).data;
}

/** Decodes pictures into what the engine takes: channels one after the other, a byte a pixel. `progress` is told the share that is done. */
export async function decode(found, progress) {
  const classes = [...new Set(found.map(({ label }) => label))].sort();
  const request = (message) => ({ kind: "request", message });
  if (classes.length < 2) throw request(`all images stand in one folder, ${classes[0]}; a folder for each class is needed`);
  if (classes.length > 256) throw request(`there are ${classes.length} folders of images; at most 256 classes can be told apart`);
  const broken = (path) => request(`${path} is no image that this browser can read`);
  const first = await pixels(found[0].file).catch(() => Promise.reject(broken(found[0].path)));
  const fits = first.width <= LARGEST && first.height <= LARGEST;
  const size = fits ? { width: first.width, height: first.height } : { width: SIDE, height: SIDE };
  const plane = size.width * size.height;
  const seen = new Map();
  const hasTest = found.some(({ test }) => test);
  const sets = { train: { images: [], labels: [] }, test: { images: [], labels: [] } };
  let coloured = false;
  for (const [index, { file, path, label, test }] of found.entries()) {
    const rgba = await pixels(file, size).catch(() => Promise.reject(broken(path)));
    const planes = new Uint8Array(3 * plane);
    for (let at = 0; at < plane; at++) {
      for (let channel = 0; channel < 3; channel++) planes[channel * plane + at] = rgba[4 * at + channel];
      coloured ||= rgba[4 * at] !== rgba[4 * at + 1] || rgba[4 * at] !== rgba[4 * at + 2];
    }
    const number = seen.get(label) ?? 0;
    seen.set(label, number + 1);
    const set = (hasTest ? test : number % HELD_BACK === HELD_BACK - 1) ? sets.test : sets.train;
    set.images.push(planes);
    set.labels.push(classes.indexOf(label));
    if (index % 100 === 0) progress(index / found.length);
  }
  const joined = ({ images, labels }) => {
    const length = coloured ? 3 * plane : plane;
    const all = new Uint8Array(images.length * length);
    images.forEach((planes, index) => all.set(planes.subarray(0, length), index * length));
    return { pixels: all, labels: Uint8Array.from(labels) };
  };
  if (!sets.train.images.length || !sets.test.images.length) throw request("there are too few images to learn from and to test on; at least six of each class are needed");
  // The folder around all, if there is one.
  const roots = new Set(found.map(({ path }) => path.split("/").slice(0, -2)[0]));
  const [root] = roots;
  const name = roots.size === 1 && root && !TEST.test(root) ? root : "pictures";
  return { name, classes, shape: { channels: coloured ? 3 : 1, ...size }, train: joined(sets.train), test: joined(sets.test) };
}
