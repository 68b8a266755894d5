// Holds the engine: what the page asks for by name, it does, and answers.
import init, { Lab } from "./ffcl_gpu_web.js";

const lab = init().then(() => new Lab());

const calls = {
  open: (lab, device, pretend) => {
    if (pretend) lab.pretend_small(pretend);
    return lab.open(device);
  },
  digits: (lab, train, test) => lab.digits(train, test),
  async files(lab, files) {
    const contents = await Promise.all(files.map(async (file) => new Uint8Array(await file.arrayBuffer())));
    return lab.files(files.map((file) => file.name), contents);
  },
  pictures: (lab, { name, paths, channels, height, width, pixels }) => lab.pictures(name, paths, channels, height, width, pixels),
  train: (lab, request) =>
    lab.train(JSON.stringify(request), (told) => {
      const event = JSON.parse(told);
      if (event.event === "weights") event.filters = [lab.filters(0), lab.filters(1)];
      postMessage({ told: event }, (event.filters ?? []).map((filters) => filters.buffer));
    }),
  pause: (lab, paused) => lab.pause(paused),
  stop: (lab) => lab.stop(),
  ask: (lab, width, height, shades) => lab.ask(width, height, shades),
  example: (lab, index) => lab.example(index),
  model: (lab) => lab.model(),
  async load(lab, file) {
    const held = lab.load(file.name, new Uint8Array(await file.arrayBuffer()));
    return { ...JSON.parse(held), filters: [lab.filters(0), lab.filters(1)] };
  },
  verify: (lab) => lab.verify((row) => postMessage({ row: JSON.parse(row) })),
  twin: (lab, request, double) => lab.twin(JSON.stringify(request), double),
};

onmessage = async ({ data: { id, call, args } }) => {
  try {
    const value = await calls[call](await lab, ...args);
    postMessage({ id, value: typeof value === "string" ? JSON.parse(value) : value });
  } catch (error) {
    postMessage({ id, error: typeof error === "string" ? JSON.parse(error) : { kind: "crash", message: String(error) } });
  }
};
