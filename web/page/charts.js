// Curves of the run, an epoch a point, with those of the run before it in the background.
import uPlot from "./uPlot.esm.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const short = (value) => (value == null ? "–" : Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));
const percent = (value) => (value == null ? "–" : `${(100 * value).toFixed(1)} %`);

/** What each chart shows: its lines of a report, given the number of layers. */
const CHARTS = {
  accuracy: {
    lines: () => [
      { label: "A", colour: "a", of: (r) => r.test_accuracy_a },
      { label: "B", colour: "b", of: (r) => r.test_accuracy_b },
      { label: "both", colour: "both", of: (r) => r.test_accuracy_ensemble, width: 2.5 },
    ],
    value: percent,
    range: (low, high) => [Math.max(0, Math.min(low - 0.02, 0.9)), Math.min(1, high + 0.02)],
  },
  loss: {
    lines: (layers) => layered(layers, (layer) => (r) => r.layer_losses[layer]),
    value: short,
    range: (low, high) => [Math.min(0, low), high * 1.05 || 1],
  },
  agreement: {
    lines: (layers) => layered(layers - 1, (layer) => (r) => r.alignment[layer]),
    value: short,
    range: (low, high) => [Math.min(0, low), Math.max(1, high)],
  },
  directions: {
    lines: (layers) => layered(layers - 1, (layer) => (r) => r.participation_ratio[layer]),
    value: short,
    range: (low, high) => [0, Math.max(4, high * 1.1)],
  },
};

function layered(count, of) {
  return Array.from({ length: count }, (_, layer) => ({
    label: `layer ${layer + 1}`,
    colour: `l${1 + (layer % 6)}`,
    of: of(layer),
  }));
}

export class Charts {
  #plots = {};
  /** `{ name, layers, reports }` of the run, and of the one before. */
  #run = null;
  #before = null;
  #stale = false;

  constructor() {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#build());
    const watch = new ResizeObserver((entries) => {
      for (const { target, contentRect } of entries) {
        this.#plots[target.parentElement.id.slice(6)]?.setSize(this.#size(target, contentRect.width));
      }
    });
    for (const name of Object.keys(CHARTS)) watch.observe(this.#place(name));
  }

  #place(name) {
    return document.querySelector(`#chart-${name} .plot`);
  }

  #size(place, width = place.clientWidth) {
    return { width, height: 186 };
  }

  /** A new run; the old one, if it got anywhere, stays in the background. */
  begin(name, layers) {
    if (this.#run?.reports.length) this.#before = this.#run;
    this.#run = { name, layers, reports: [] };
    this.#build();
  }

  add(report) {
    this.#run.reports.push(report);
    this.draw();
  }

  clear() {
    this.#run = this.#before = null;
    for (const name of Object.keys(CHARTS)) {
      this.#plots[name]?.destroy();
      delete this.#plots[name];
      this.#place(name).replaceChildren();
    }
  }

  /** Hidden pages draw nothing; they catch up when they are seen. */
  draw() {
    if (document.hidden || !this.#run) {
      this.#stale = true;
      return;
    }
    this.#stale = false;
    for (const name of Object.keys(CHARTS)) this.#plots[name]?.setData(this.#data(name));
  }

  catchUp() {
    if (this.#stale) this.draw();
  }

  #lines(name) {
    const own = CHARTS[name].lines(this.#run.layers).map((line) => ({ ...line, run: this.#run }));
    const before = this.#before;
    // Behind, or it would hide what is new.
    const old = before ? CHARTS[name].lines(before.layers).map((line) => ({ ...line, run: before, old: true })) : [];
    return [...old, ...own];
  }

  #data(name) {
    const lines = this.#lines(name);
    const last = Math.max(1, ...lines.map(({ run }) => run.reports.length));
    const epochs = Array.from({ length: last }, (_, index) => index + 1);
    return [epochs, ...lines.map(({ run, of }) => epochs.map((epoch) => (run.reports[epoch - 1] ? of(run.reports[epoch - 1]) : null)))];
  }

  #build() {
    if (!this.#run) return;
    const [ink, line] = [colour("quiet"), colour("line")];
    const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    for (const [name, chart] of Object.entries(CHARTS)) {
      const place = this.#place(name);
      this.#plots[name]?.destroy();
      place.replaceChildren();
      let named = false;
      const series = this.#lines(name).map(({ label, colour: own, width = 1.8, old, run, of }) => {
        const first = old && !named;
        named ||= old;
        return {
          label: old ? `before: ${run.name}` : label,
          // One entry for all lines of the run before.
          class: old && !first ? "unnamed" : undefined,
          stroke: old ? `color-mix(in srgb, ${colour(own)} 45%, transparent)` : colour(own),
          dash: old ? [3, 4] : undefined,
          width: old ? 1.2 : width,
          points: { show: run.reports.length < 2 && !old, size: 5 },
          spanGaps: true,
          value: (_, value) => (old ? "" : chart.value(value)),
        };
      });
      const options = {
        ...this.#size(place),
        padding: [8, 10, 0, 0],
        cursor: { y: false, drag: { x: false }, points: { size: 6 } },
        legend: { live: true },
        scales: { x: { time: false, range: (_, low, high) => [1, Math.max(high, 2)] }, y: { range: (_, low, high) => (low == null ? [0, 1] : chart.range(low, high)) } },
        axes: [
          { ...axis, size: 24, incrs: [1, 2, 5, 10, 20, 50, 100, 200] },
          { ...axis, size: 44, values: (_, ticks) => ticks.map((tick) => (chart.value === percent ? `${Math.round(100 * tick)} %` : +tick.toPrecision(3))) },
        ],
        series: [{ label: "epoch", value: (_, value) => value ?? "–" }, ...series],
      };
      this.#plots[name] = new uPlot(options, this.#data(name), place);
      for (const row of place.querySelectorAll(".u-series.unnamed")) row.remove();
    }
  }
}
