// Curves of the losses, and small histories of single numbers.

import { digits, say } from "./dom.js";
import { make } from "../../viz/page/make.js";

const MOST_POINTS = 600; // points that are kept of a curve

/** Losses of training and held-out examples by step. */
export class LossChart {
  constructor(host) {
    this.svg = make("svg:svg", { class: "loss-chart", role: "img", "aria-label": "Losses by step", preserveAspectRatio: "none" });
    this.lines = { test: make("svg:path", { class: "test" }), train: make("svg:path", { class: "train" }) };
    this.svg.append(this.lines.test, this.lines.train);
    this.top = make("span", { class: "ceiling" });
    this.end = make("span", { class: "end" });
    host.append(this.svg, this.top, make("span", { class: "zero" }, "0"), this.end);
    this.host = host;
    new ResizeObserver(() => this.draw()).observe(host);
    this.clear();
  }

  clear() {
    this.points = [];
    this.apart = 0;
    this.draw();
  }

  /** Adds [step, train, test], and takes away what lies after the last step: a step back. */
  add(points, step) {
    const before = this.points.length;
    while (this.points.length && this.points.at(-1)[0] > step) this.points.pop();
    for (const point of points) {
      while (this.points.length && this.points.at(-1)[0] >= point[0]) this.points.pop();
      // The last one is there until the next, if it is too near to the one before.
      const [before, last] = this.points.slice(-2);
      if (last && last[0] - before[0] < this.apart) this.points.pop();
      this.points.push(point);
    }
    if (this.points.length > MOST_POINTS) this.thin();
    if (points.length || this.points.length !== before) this.draw();
  }

  /** Half of them, evenly over all steps. */
  thin() {
    this.apart = (2 * this.points.at(-1)[0]) / MOST_POINTS;
    const end = this.points.at(-1);
    const kept = [];
    for (const point of this.points) if (!kept.length || point === end || point[0] - kept.at(-1)[0] >= this.apart) kept.push(point);
    this.points = kept;
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!width) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    let most = 0;
    for (const [, train, test] of this.points) for (const loss of [train, test]) if (Number.isFinite(loss) && loss > most) most = loss;
    const last = Math.max(1, this.points.at(-1)?.[0] ?? 1);
    const top = ceiling(most);
    for (const [k, name] of [[1, "train"], [2, "test"]]) {
      let d = "";
      for (const point of this.points) {
        if (!Number.isFinite(point[k]) || point[k] === null) continue;
        d += `${d ? "L" : "M"}${((point[0] / last) * (width - 6) + 1).toFixed(1)} ${(height - 2 - (point[k] / top) * (height - 6)).toFixed(1)}`;
      }
      this.lines[name].setAttribute("d", d);
    }
    say(this.top, most ? digits(top, 2) : "");
    say(this.end, this.points.length ? `step ${this.points.at(-1)[0].toLocaleString("en")}` : "");
  }
}

/** The next of 1, 2, 5, 10, 20 ... above. */
const ceiling = (value) => {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((k) => k * power >= value * 0.999);
};

/** Numbers of all weights and biases over the last frames: weight, gradient, update. */
export class Histories {
  constructor(length = 160) {
    this.length = length;
  }

  clear(frame) {
    this.sizes = frame.layers.map((layer) => [layer.weight?.length ?? 0, layer.bias?.length ?? 0]);
    this.offsets = [];
    let total = 0;
    for (const [weights, biases] of this.sizes) {
      this.offsets.push([total, total + weights]);
      total += weights + biases;
    }
    this.total = total;
    this.rows = Object.fromEntries(["value", "gradient", "update"].map((name) => [name, new Float32Array(total * this.length)]));
    this.steps = new Int32Array(this.length);
    this.count = 0;
    this.first = 0; // the oldest that is not written over
  }

  /** Adds a frame, if it is of a later step; forgets what lies after it. */
  add(frame) {
    while (this.count > this.first && this.steps[(this.count - 1) % this.length] >= frame.step) this.count--;
    if (!frame.layers.some((layer) => layer.weightGradient)) return;
    const row = (this.count % this.length) * this.total;
    frame.layers.forEach((layer, l) => {
      for (const [k, name] of ["weight", "bias"].entries()) {
        const at = row + this.offsets[l][k];
        for (const [kind, values] of [["value", layer[name]], ["gradient", layer[`${name}Gradient`]], ["update", layer[`${name}Update`]]]) {
          if (values) this.rows[kind].set(values, at);
        }
      }
    });
    this.steps[this.count % this.length] = frame.step;
    this.count++;
    this.first = Math.max(this.first, this.count - this.length);
  }

  /** The last numbers of one weight or bias: {value, gradient, update}, oldest first. */
  of({ layer, kind, unit, input }, fan) {
    const at = this.offsets[layer][kind === "bias" ? 1 : 0] + (kind === "bias" ? unit : unit * fan + input);
    return Object.fromEntries(Object.entries(this.rows).map(([name, values]) => [name, Array.from({ length: this.count - this.first }, (_, k) => values[((this.first + k) % this.length) * this.total + at])]));
  }
}

/** A line of a few numbers, with zero as a thin line where it is in sight. */
export class Sparkline {
  constructor(label) {
    this.zero = make("svg:path", { class: "zero" });
    this.line = make("svg:path", { class: "line" });
    this.dot = make("svg:circle", { class: "now", r: 2 });
    this.element = make("svg:svg", { class: "sparkline", viewBox: "0 0 100 24", role: "img", "aria-label": label }, this.zero, this.line, this.dot);
  }

  show(values) {
    let [low, high] = [0, 0];
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const y = (value) => (high === low ? 12 : 21 - ((value - low) / (high - low)) * 18);
    const x = (k) => 2 + (95 * k) / Math.max(1, values.length - 1);
    this.zero.setAttribute("d", `M0 ${y(0).toFixed(1)}H100`);
    let d = "";
    values.forEach((value, k) => {
      if (Number.isFinite(value)) d += `${d ? "L" : "M"}${x(k).toFixed(1)} ${y(value).toFixed(1)}`;
    });
    this.line.setAttribute("d", d);
    const last = values.at(-1);
    this.dot.style.display = values.length && Number.isFinite(last) ? "" : "none";
    if (Number.isFinite(last)) {
      this.dot.setAttribute("cx", x(values.length - 1));
      this.dot.setAttribute("cy", y(last));
    }
  }
}
