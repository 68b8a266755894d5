// The pad: white ink on black, as the images of MNIST.

export class Pad {
  #canvas;
  #context;
  #last = null;
  empty = true;

  /** `drawn` is called at every stroke. */
  constructor(canvas, drawn) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { willReadFrequently: true });
    this.clear();
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#last = this.#at(event);
      this.#stroke(this.#last);
      drawn();
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.#last) return;
      for (const part of event.getCoalescedEvents?.() ?? [event]) this.#stroke(this.#at(part));
      drawn();
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (this.#last = null));
  }

  #at({ clientX, clientY }) {
    const box = this.#canvas.getBoundingClientRect();
    const scale = this.#canvas.width / box.width;
    return [(clientX - box.left) * scale, (clientY - box.top) * scale];
  }

  #stroke(to) {
    const context = this.#context;
    Object.assign(context, { lineWidth: this.#canvas.width / 13, lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
    context.beginPath();
    context.moveTo(...this.#last);
    // A dot is a line to a point beside it.
    context.lineTo(to[0] + 0.01, to[1]);
    context.stroke();
    this.#last = to;
    this.empty = false;
  }

  clear() {
    this.#context.fillStyle = "#000";
    this.#context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.empty = true;
  }

  /** Shows an image of shades of grey. */
  show(pixels, { width, height }) {
    this.clear();
    const small = new OffscreenCanvas(width, height);
    const context = small.getContext("2d");
    const image = context.createImageData(width, height);
    for (let index = 0; index < width * height; index++) {
      image.data.fill(pixels[index], 4 * index, 4 * index + 3);
      image.data[4 * index + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    this.#context.imageSmoothingEnabled = true;
    this.#context.drawImage(small, 0, 0, this.#canvas.width, this.#canvas.height);
    this.empty = false;
  }

  /** Width, height, and a shade for each pixel. */
  shades() {
    const { width, height } = this.#canvas;
    const { data } = this.#context.getImageData(0, 0, width, height);
    return [width, height, Uint8Array.from({ length: width * height }, (_, index) => data[4 * index])];
  }
}
