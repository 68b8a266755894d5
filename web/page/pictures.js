// Weights and activations as pixels.

/** Where a number from -1 to 1 stands between red, the paper and blue. */
function diverging(value, dark, pixels, at) {
  const amount = Math.min(1, Math.abs(value));
  const paper = dark ? [17, 21, 27] : [246, 247, 249];
  const ink = value > 0 ? (dark ? [109, 155, 255] : [31, 84, 205]) : dark ? [255, 110, 100] : [200, 40, 45];
  for (let channel = 0; channel < 3; channel++) pixels[at + channel] = paper[channel] + amount * (ink[channel] - paper[channel]);
  pixels[at + 3] = 255;
}

const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;

/** At most 64 units of a first layer, each as an image of its weights, scaled by its own largest. */
export function drawFilters(canvas, weights, shape) {
  const size = shape.channels * shape.height * shape.width;
  const units = Math.min(64, Math.floor(weights.length / size));
  if (!units) return;
  const columns = Math.ceil(Math.sqrt(units));
  const rows = Math.ceil(units / columns);
  const [width, height] = [columns * (shape.width + 1) - 1, rows * (shape.height + 1) - 1];
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const dark = isDark();
  for (let unit = 0; unit < units; unit++) {
    const own = weights.subarray(unit * size, (unit + 1) * size);
    const largest = own.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
    const [left, top] = [(unit % columns) * (shape.width + 1), Math.floor(unit / columns) * (shape.height + 1)];
    for (let y = 0; y < shape.height; y++) {
      for (let x = 0; x < shape.width; x++) {
        let value = 0;
        for (let channel = 0; channel < shape.channels; channel++) value += own[(channel * shape.height + y) * shape.width + x];
        diverging(value / shape.channels / largest, dark, image.data, 4 * ((top + y) * width + left + x));
      }
    }
  }
  context.putImageData(image, 0, 0);
}

/** What leaves a layer, a pixel a unit. */
export function drawRow(canvas, values) {
  [canvas.width, canvas.height] = [values.length, 1];
  const context = canvas.getContext("2d");
  const image = context.createImageData(values.length, 1);
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
  values.forEach((value, index) => diverging(value / largest, isDark(), image.data, 4 * index));
  context.putImageData(image, 0, 0);
}
