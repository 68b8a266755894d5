// Images in folders, one for each class, as they are dropped, chosen, or packed in a zip.
import { unzip } from "./fflate.js";

/** Images larger than this are made smaller: a page's networks are small. */
const LARGEST = 64;
const SIDE = 32;

const PICTURE = /\.(png|jpe?g|gif|bmp|webp|avif|svg)$/i;

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

/** The files of a zip, if the only file is one and not an archive of NumPy's; else the files as they are. */
export async function unpacked(files) {
  if (files.length !== 1 || !/\.zip$/i.test(files[0].path)) return files;
  const bytes = new Uint8Array(await files[0].file.arrayBuffer());
  const wanted = { filter: ({ name }) => PICTURE.test(name) };
  const content = await new Promise((resolve, reject) =>
    unzip(bytes, wanted, (error, content) => (error ? reject({ kind: "request", message: `${files[0].path} is no zip that can be read: ${error.message}` }) : resolve(content))),
  );
  return Object.entries(content).map(([path, bytes]) => ({ path, file: new Blob([bytes]) }));
}

/** The pictures among them that stand in folders; which of these are classes, the engine knows. */
export function pictures(files) {
  const found = files.filter(({ path }) => PICTURE.test(path) && path.includes("/") && !path.includes("__MACOSX"));
  // By name: folders list their files as they like, and the first one's size is that of all.
  return found.sort((one, other) => (one.path < other.path ? -1 : 1));
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
  const broken = (path) => ({ kind: "request", message: `${path} is no image that this browser can read` });
  const first = await pixels(found[0].file).catch(() => Promise.reject(broken(found[0].path)));
  const fits = first.width <= LARGEST && first.height <= LARGEST;
  const { width, height } = fits ? first : { width: SIDE, height: SIDE };
  const plane = width * height;
  const images = [];
  let coloured = false;
  for (const [index, { file, path }] of found.entries()) {
    const rgba = await pixels(file, { width, height }).catch(() => Promise.reject(broken(path)));
    const planes = new Uint8Array(3 * plane);
    for (let at = 0; at < plane; at++) {
      for (let channel = 0; channel < 3; channel++) planes[channel * plane + at] = rgba[4 * at + channel];
      coloured ||= rgba[4 * at] !== rgba[4 * at + 1] || rgba[4 * at] !== rgba[4 * at + 2];
    }
    images.push(planes);
    if (index % 100 === 0) progress(index / found.length);
  }
  const channels = coloured ? 3 : 1;
  const all = new Uint8Array(images.length * channels * plane);
  images.forEach((planes, index) => all.set(planes.subarray(0, channels * plane), index * channels * plane));
  // The folder around all, if there is one.
  const roots = new Set(found.map(({ path }) => path.split("/").slice(0, -2)[0]));
  const [root] = roots;
  const name = roots.size === 1 && root ? root : "pictures";
  return { name, paths: found.map(({ path }) => path), channels, height, width, pixels: all };
}
