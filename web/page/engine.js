// The page's end of the worker: calls that return promises, and what the worker tells by itself.

export class Engine {
  #worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  #waiting = new Map();
  #next = 0;

  /** `told` hears of a run, `row` of a verification. */
  constructor({ told, row, crashed }) {
    this.#worker.onmessage = ({ data }) => {
      if (data.told) return told(data.told);
      if (data.row) return row(data.row);
      const { resolve, reject } = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      data.error ? reject(data.error) : resolve(data.value);
    };
    this.#worker.onerror = (event) => {
      const error = { kind: "crash", message: event.message || "the worker could not be loaded" };
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
      crashed(error);
    };
  }

  call(name, ...args) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call: name, args });
    });
  }
}
