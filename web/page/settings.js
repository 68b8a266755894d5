// The form, the address, and what the engine is asked for: the same thing in three shapes.

const form = document.querySelector("#settings");
const NAMES = ["recipe", "method", "layers", "rate", "epochs", "replicas", "seed", "device", "noise", "trust", "more", "train"];
const DEFAULTS = Object.fromEntries(NAMES.map((name) => [name, form.elements[name].value]));

/** Fills the form from the address. Choices that do not exist are left as they are. */
export function fromAddress() {
  const asked = new URLSearchParams(location.search);
  for (const name of NAMES) {
    const field = form.elements[name];
    const value = asked.get(name);
    const known = !field.options || [...field.options].some((option) => option.value === value && !option.hidden);
    if (value !== null && known) field.value = value;
  }
}

/** The address that fills this form; defaults are left out of it. */
export function address() {
  const url = new URL(location.href);
  for (const name of NAMES) {
    const value = form.elements[name].value.trim();
    if (value === DEFAULTS[name] || value === "files") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return url;
}

/** What a word of the other options means: numbers and yes or no are what they look like. */
function meaning(word) {
  if (word === "" || word === "true") return true;
  if (word === "false") return false;
  return Number.isNaN(Number(word)) ? word : Number(word);
}

/** The request to the engine. */
export function request() {
  const value = (name) => form.elements[name].value.trim();
  const options = { recipe: value("recipe"), epochs: Number(value("epochs")) };
  if (value("method")) options.method = value("method");
  if (value("rate")) options["learning-rate"] = Number(value("rate").replace(",", "."));
  options.hidden = value("layers").split(",").filter((width) => width.trim()).map(Number);
  if (value("trust")) options.trust = value("trust");
  if (value("noise")) {
    options["label-noise"] = value("noise");
    // Here the share is known.
    if (value("trust")) options["trust-rate"] = Number(value("noise").split(":")[1]);
  }
  for (const pair of value("more").split(/[\s,;]+/).filter(Boolean)) {
    const [name, word = ""] = pair.replace(/^--/, "").split("=");
    options[name] = meaning(word);
  }
  const steps = new URLSearchParams(location.search).get("steps");
  return { options, seed: Number(value("seed")), replicas: Number(value("replicas")), max_steps: steps ? Number(steps) : null };
}

export const settings = { form, value: (name) => form.elements[name].value };
