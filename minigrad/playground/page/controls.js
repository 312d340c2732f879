// The settings beside the network: each control shows one setting, and says when it is changed.

import { SETTINGS } from "./address.js";
import { OPTIMIZERS } from "./chain.js";
import { byId, digits, inputLabel, say } from "./dom.js";
import { make } from "../../viz/page/make.js";
import { FAULTS } from "./faults.js";

export const KINDS = {
  moons: "Moons",
  circles: "Circles",
  spirals: "Spirals",
  xor: "XOR",
  gaussians: "Blobs",
  regression: "Formula",
  drawn: "Draw",
  csv: "CSV",
};
const ACTIVATION_NAMES = { relu: "ReLU", tanh: "tanh", sigmoid: "sigmoid", linear: "linear", leaky_relu: "leaky ReLU", gelu: "GELU" };
const RATES = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10];
const PENALTIES = [0, 0.0001, 0.001, 0.003, 0.01, 0.03, 0.1];
const SPEEDS = { 1: "1 step/s", 10: "10 steps/s", 100: "100 steps/s", 1000: "1,000 steps/s", full: "full speed" };

export class Controls {
  /**
   * @param about what the engine can do
   * @param change(settings) called with what was changed
   */
  constructor(settings, about, change) {
    this.settings = settings;
    this.change = change;
    this.kept = new Map();
    document.body.classList.toggle("own", !about.ready);
    if (about.ready) {
      this.kinds();
      this.options("activation", about.activations.map((name) => [name, ACTIVATION_NAMES[name] ?? name]));
      this.options("optimizer", about.optimizers.map((name) => [name, OPTIMIZERS[name] ?? name]));
      this.numbers("l1", PENALTIES, "L1 ");
      this.numbers("l2", PENALTIES, "L2 ");
      this.slider("noise", { min: 0, max: 0.5, step: 0.05 }, (x) => digits(x, 2));
      this.slider("points", { min: 10, max: 500, step: 10 }, String);
      this.slider("split", { min: 0.1, max: 0.9, step: 0.1 }, (x) => `${Math.round(100 * x)} %`);
      this.features(about.features);
    }
    this.numbers("rate", RATES);
    this.slider("batch", { min: 1, max: about.most.batch, step: 1 }, String);
    this.options("speed", Object.entries(SPEEDS));
    this.most = about.most;
    byId("fewer-layers").addEventListener("click", () => this.change({ layers: this.settings.layers.slice(0, -1) }));
    byId("more-layers").addEventListener("click", () => this.change({ layers: [...this.settings.layers, this.settings.layers.at(-1) ?? 4] }));
    if (!about.ready) byId("reseed").title = "Another order of the examples, from the next seed";
    byId("reseed").addEventListener("click", () => this.change({ seed: this.settings.seed + 1 }));
    this.faults(about.ready);
    this.show(settings);
  }

  kinds() {
    this.thumbs = {};
    byId("data-kinds").append(
      ...Object.entries(KINDS).map(([kind, name]) => {
        const input = make("input", { type: "radio", name: "kind", value: kind, id: `kind-${kind}` });
        input.addEventListener("change", () => this.change({ data: kind }));
        const canvas = (this.thumbs[kind] = make("canvas", { width: 96, height: 72, "aria-hidden": "true" }));
        return make("label", { class: "kind" }, input, canvas, make("span", {}, name));
      }),
    );
  }

  options(name, choices) {
    const select = byId(name);
    select.replaceChildren(...choices.map(([value, text]) => make("option", { value }, text)));
    select.addEventListener("change", () => this.change({ [name]: select.value }));
  }

  numbers(name, choices, prefix = "") {
    const select = byId(name);
    select.dataset.prefix = prefix;
    select.replaceChildren(...choices.map((value) => make("option", { value }, prefix + value)));
    select.addEventListener("change", () => this.change({ [name]: Number(select.value) }));
  }

  slider(name, limits, text) {
    const input = byId(name);
    for (const [key, value] of Object.entries(limits)) input.setAttribute(key, value);
    const show = () => say(byId(`${name}-value`), text(Number(input.value)));
    input.addEventListener("input", show);
    input.addEventListener("change", () => this.change({ [name]: Number(input.value) }));
    (this.sliders ??= {})[name] = show;
  }

  /** The inputs of the network as buttons; other columns than x1 and x2, of a CSV file, likewise. */
  features(names) {
    this.chips = names.map((name) => {
      const chip = make("button", { type: "button", class: "chip", "aria-pressed": "false" }, inputLabel(name));
      chip.addEventListener("click", () => {
        const on = this.settings.features.includes(name);
        const features = this.names.filter((each) => (each === name ? !on : this.settings.features.includes(each)));
        if (features.length) this.change({ features });
      });
      return [name, chip];
    });
    this.names = names;
    byId("features").replaceChildren(make("span", { class: "small faint" }, "Inputs"), ...this.chips.map(([, chip]) => chip));
  }

  faults(ready) {
    this.switches = FAULTS.filter((fault) => ready || fault.good.zeroGradients || fault.good.rate || fault.good.shuffle).map((fault) => {
      const input = make("input", { type: "checkbox", role: "switch", id: `fault-${fault.id}`, "aria-describedby": "fault-why" });
      input.addEventListener("change", () => this.turn(fault, input.checked));
      const label = make("label", { class: "switch small" }, input, fault.label);
      label.addEventListener("pointerenter", () => this.explain(fault));
      label.addEventListener("pointerleave", () => this.explain(null));
      input.addEventListener("focus", () => this.explain(fault));
      input.addEventListener("blur", () => this.explain(null));
      return [fault, input, label];
    });
    byId("faults").replaceChildren(...this.switches.map(([, , label]) => label));
  }

  /** On: what it needs, and what was there before is kept for when it is turned off. */
  turn(fault, on) {
    this.last = on ? fault : null;
    if (on) {
      const made = fault.makes(this.settings);
      this.kept.set(fault, Object.fromEntries(Object.keys(made).map((name) => [name, this.settings[name]])));
      this.change(made);
    } else {
      this.change({ ...fault.good, ...this.kept.get(fault) });
      this.kept.delete(fault);
    }
    this.explain(fault);
  }

  explain(fault) {
    const on = this.switches.filter(([each]) => each.is(this.settings)).map(([each]) => each);
    const shown = fault ?? (on.includes(this.last) ? this.last : on[0]);
    say(byId("fault-why"), shown?.why ?? "Switch one on, train, and see it in the reverse pass.");
    byId("fault-why").classList.toggle("faint", !shown);
  }

  /** The controls as the settings are. */
  show(settings) {
    this.settings = settings;
    const kind = byId(`kind-${settings.data}`);
    if (kind) kind.checked = true;
    for (const name of ["activation", "optimizer", "rate", "l1", "l2", "speed"]) {
      const select = byId(name);
      const value = String(settings[name]);
      // A value from an address that is not among the choices is one more.
      if (settings[name] !== undefined && ![...select.options].some((option) => option.value === value)) select.append(make("option", { value }, (select.dataset.prefix ?? "") + value));
      select.value = value;
    }
    for (const [name, show] of Object.entries(this.sliders)) {
      const input = byId(name);
      if (settings[name] > Number(input.max)) input.max = settings[name];
      input.value = settings[name];
      show();
    }
    say(byId("seed-value"), String(settings.seed));
    byId("seed-value").title = settings.seed;
    say(byId("layer-count"), String(settings.layers?.length ?? ""));
    byId("fewer-layers").disabled = !settings.layers?.length;
    byId("more-layers").disabled = settings.layers?.length >= SETTINGS.layers.layers;
    for (const [name, chip] of this.chips ?? []) chip.setAttribute("aria-pressed", String(settings.features.includes(name)));
    for (const [fault, input] of this.switches) input.checked = fault.is(settings);
    this.explain(null);
    const made = ["drawn", "csv"].includes(settings.data);
    for (const name of ["noise", "points"]) byId(`${name}-row`).hidden = made;
  }
}

/** Arrow keys lead through buttons in a group of which one is reached by Tab. */
export function tabs(list, choose) {
  const all = [...list.querySelectorAll("[role=tab]")];
  const go = (tab) => {
    for (const each of all) {
      const on = each === tab;
      each.setAttribute("aria-selected", String(on));
      each.tabIndex = on ? 0 : -1;
      byId(each.getAttribute("aria-controls")).hidden = !on;
    }
    choose?.(tab.id);
  };
  for (const [k, tab] of all.entries()) {
    tab.addEventListener("click", () => go(tab));
    tab.addEventListener("keydown", (event) => {
      const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!move) return;
      const next = all[(k + move + all.length) % all.length];
      next.focus();
      go(next);
    });
  }
  return (id) => go(byId(id));
}
