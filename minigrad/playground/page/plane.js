// The output over the input plane, with the data on it; points are drawn there by mouse, touch and
// keyboard. With one column, the output is a curve.

import { classColor, classShape, classTints, digits, palette, rampAt } from "./dom.js";
import { make } from "../../viz/page/make.js";

const SHAPES = [
  (c, x, y, r) => c.arc(x, y, r, 0, 7),
  (c, x, y, r) => c.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8),
  (c, x, y, r) => polygon(c, x, y + r * 0.15, r * 1.25, 3),
  (c, x, y, r) => polygon(c, x, y, r * 1.25, 4),
];
const polygon = (c, x, y, r, corners) => {
  for (let k = 0; k < corners; k++) {
    const angle = (2 * Math.PI * k) / corners - Math.PI / 2;
    c[k ? "lineTo" : "moveTo"](x + r * Math.cos(angle), y + r * Math.sin(angle));
  }
  c.closePath();
};

/** A point of a class, as it is drawn everywhere: filled, or hollow if it is held out. */
export function mark(context, x, y, radius, k, color, hollow, rim = palette.surface) {
  context.beginPath();
  SHAPES[classShape(k) % SHAPES.length](context, x, y, radius);
  context.lineWidth = hollow ? radius * 0.5 : radius * 0.34;
  context.fillStyle = hollow ? palette.surface : color;
  context.strokeStyle = hollow ? color : rim;
  context.stroke();
  context.fill();
  if (hollow) context.stroke();
}

export class Plane {
  /** @param on {draw(x, y), erase(x, y)} with coordinates of the data, when `drawing` is set */
  constructor(host, on) {
    this.host = host;
    this.on = on;
    this.map = make("canvas", { "aria-hidden": "true" });
    this.dots = make("canvas", { "aria-hidden": "true" });
    this.area = make("div", { class: "area", role: "img", "aria-label": "Output over the input plane", tabindex: "0" }, this.map, this.dots);
    this.ticks = { x: make("div", { class: "ticks across", "aria-hidden": "true" }), y: make("div", { class: "ticks up", "aria-hidden": "true" }) };
    host.append(this.ticks.y, this.area, this.ticks.x);
    this.drawing = false;
    this.cursor = null;
    this.listen();
    new ResizeObserver(() => this.resize()).observe(this.area);
  }

  /** Other data: `names` of the axes; their ranges; `target` [low, high] of what is predicted. */
  setData(data, { columns, low, high, names, target }) {
    Object.assign(this, { data, axes: columns, low, high, target, plane: null });
    for (const [k, axis] of ["x", "y"].entries()) {
      this.ticks[axis].replaceChildren(...[low[k], names[k], high[k]].map((text) => make("span", {}, typeof text === "number" ? digits(text, 2) : (text ?? ""))));
    }
    this.resize();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.area;
    if (!width || !this.data) return;
    this.ratio = Math.min(2, window.devicePixelRatio || 1);
    Object.assign(this, { width, height });
    for (const canvas of [this.dots, this.map]) {
      canvas.width = width * (canvas === this.map ? 1 : this.ratio);
      canvas.height = height * (canvas === this.map ? 1 : this.ratio);
    }
    this.points();
    if (this.plane) this.show(this.plane, this.shown);
  }

  place(x, y) {
    const [w, h] = [this.dots.width, this.dots.height];
    return [((x - this.low[0]) / (this.high[0] - this.low[0])) * w, h - ((y - this.low[1]) / (this.high[1] - this.low[1])) * h];
  }

  /** The data, and rings around the examples of the batch. */
  points(batch = this.batch) {
    this.batch = batch;
    const context = this.dots.getContext("2d");
    context.clearRect(0, 0, this.dots.width, this.dots.height);
    if (!this.data) return;
    const { columns, classes } = this.data;
    const flat = columns.length === 1;
    const radius = Math.max(2.6, Math.min(6, this.width / 78)) * this.ratio;
    // Over one column, classes have no height of their own: each has a line of points at the bottom.
    const height = (y) => (classes ? this.low[1] + (0.04 + 0.05 * y) * (this.high[1] - this.low[1]) : y);
    const at = (set, n) => this.place(set.x[n * columns.length + this.axes[0]], flat ? height(set.y[n]) : set.x[n * columns.length + this.axes[1]]);
    for (const [set, hollow] of [[this.data.test, true], [this.data.train, false]]) {
      for (let n = 0; n < set.y.length; n++) {
        const y = set.y[n];
        const color = classes ? classColor(y) : flat ? palette.ink : cssColor(palette.ramp[rampAt(this.scaled(y))]);
        mark(context, ...at(set, n), radius, classes ? y : 0, color, hollow, classes || flat ? palette.surface : palette.faint);
      }
    }
    if (batch) {
      context.strokeStyle = palette.ink;
      context.lineWidth = 1.5 * this.ratio;
      for (const n of batch) {
        context.beginPath();
        context.arc(...at(this.data.train, n), radius * 1.9, 0, 7);
        context.stroke();
      }
    }
    if (this.cursor) this.cross(context);
  }

  scaled(value) {
    const [low, high] = this.target;
    return (2 * (value - low)) / (high - low || 1) - 1;
  }

  cross(context) {
    const [x, y] = this.place(...this.cursor);
    context.strokeStyle = palette.ink;
    context.lineWidth = 1.5 * this.ratio;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 4 * dx * this.ratio, y + 4 * dy * this.ratio);
      context.lineTo(x + 12 * dx * this.ratio, y + 12 * dy * this.ratio);
    }
    context.stroke();
  }

  /** @param shown null for the output, or {layer, unit} whose map is shown, large */
  show(plane, shown = null) {
    this.plane = plane;
    this.shown = shown;
    const context = this.map.getContext("2d");
    const { width, height } = this.map;
    if (!plane || !width) return;
    const output = plane.layers.at(-1);
    if (plane.count === plane.size) return this.curve(context, plane, shown);
    if (this.image?.width !== width || this.image.height !== height) {
      this.image = context.createImageData(width, height);
      this.classAt = new Int8Array(width * height);
    }
    const pixels = new Uint32Array(this.image.data.buffer);
    const { count } = plane;
    if (shown) {
      const values = (shown.layer < 0 ? plane.inputs : plane.layers[shown.layer]).subarray(shown.unit * count, (shown.unit + 1) * count);
      let most = shown.layer < 0 ? 1e-9 : 1;
      for (const value of values) if (Math.abs(value) > most) most = Math.abs(value);
      this.spreadOne(values.map((value) => value / most), pixels, linear, 0);
    } else if (this.data.classes === 2) {
      const difference = output.subarray(0, count).map((score, p) => score - output[count + p]);
      // p0 - p1 of the softmax is tanh of half of it; the table ends where that is 1.
      this.spreadOne(difference.map((d) => d / SURE), pixels, sure, 0);
    } else if (this.data.classes) {
      this.spread(Array.from({ length: this.data.classes }, (_, k) => output.subarray(k * count, (k + 1) * count)), width, height, this.many(pixels));
    } else {
      this.spreadOne(output.map((value) => this.scaled(value)), pixels, linear, -Infinity);
    }
    this.border(pixels, width, height);
    context.putImageData(this.image, 0, 0);
  }

  /** One field from -1 to 1, bilinearly, in the colours that `tone` makes of it; a border at `edge`. */
  spreadOne(v, pixels, tone, edge) {
    const { width, height } = this.map;
    const { size } = this.plane;
    const table = Uint32Array.from({ length: 1025 }, (_, k) => palette.ramp[rampAt(tone(k / 512 - 1))]);
    const columns = new Int32Array(width);
    const parts = new Float32Array(width);
    for (let i = 0; i < width; i++) [columns[i], parts[i]] = cellAt(((i + 0.5) / width) * size - 0.5, size);
    const line = new Float32Array(size);
    for (let j = 0, p = 0; j < height; j++) {
      const [row, b] = cellAt((1 - (j + 0.5) / height) * size - 0.5, size);
      for (let k = 0, at = row * size; k < size; k++, at++) line[k] = v[at] + (v[at + size] - v[at]) * b;
      for (let i = 0; i < width; i++, p++) {
        const k = columns[i];
        const value = line[k] + (line[k + 1] - line[k]) * parts[i];
        pixels[p] = table[value <= -1 ? 0 : value >= 1 ? 1024 : (512.5 + 512 * value) | 0];
        this.classAt[p] = value > edge ? 1 : 0;
      }
    }
  }

  many(pixels) {
    const chance = 1 / this.data.classes;
    return (p, s) => {
      let [best, total] = [0, 0];
      for (let k = 1; k < s.length; k++) if (s[k] > s[best]) best = k;
      for (let k = 0; k < s.length; k++) total += Math.exp(s[k] - s[best]);
      const sure = (1 / total - chance) / (1 - chance);
      pixels[p] = classTints(best)[(31 * sure) | 0];
      this.classAt[p] = best;
    };
  }

  /** Values between the points of the plane, bilinearly, for each pixel. */
  spread(fields, width, height, paint) {
    const { size } = this.plane;
    const across = Array.from({ length: width }, (_, i) => cellAt(((i + 0.5) / width) * size - 0.5, size));
    const values = new Array(fields.length);
    for (let j = 0, p = 0; j < height; j++) {
      const [row, b] = cellAt((1 - (j + 0.5) / height) * size - 0.5, size);
      for (let i = 0; i < width; i++, p++) {
        const [column, a] = across[i];
        const k = row * size + column;
        for (let f = 0; f < fields.length; f++) {
          const v = fields[f];
          const lower = v[k] + (v[k + 1] - v[k]) * a;
          values[f] = lower + (v[k + size] + (v[k + size + 1] - v[k + size]) * a - lower) * b;
        }
        paint(p, values);
      }
    }
  }

  /** A line where one class meets another. */
  border(pixels, width, height) {
    const ink = palette.border;
    const { classAt } = this;
    for (let j = 0; j < height - 1; j++) {
      for (let i = 0, p = j * width; i < width - 1; i++, p++) {
        if (classAt[p] !== classAt[p + 1] || classAt[p] !== classAt[p + width]) pixels[p] = ink;
      }
    }
  }

  /** Over one column: the number that is predicted, the probability of each class, or a unit. */
  curve(context, plane, shown) {
    const { width, height } = this.map;
    const { count } = plane;
    context.clearRect(0, 0, width, height);
    const field = (values, k) => values.subarray(k * count, (k + 1) * count);
    const output = plane.layers.at(-1);
    const { classes } = this.data;
    let lines = [[shown ? field(shown.layer < 0 ? plane.inputs : plane.layers[shown.layer], shown.unit) : field(output, 0), palette.focus]];
    if (classes && !shown) {
      const powers = Array.from({ length: classes }, (_, k) => field(output, k));
      const total = powers[0].map((_, p) => powers.reduce((sum, each) => sum + Math.exp(each[p] - powers[0][p]), 0));
      lines = powers.map((each, k) => [each.map((score, p) => Math.exp(score - powers[0][p]) / total[p]), classColor(k)]);
    }
    for (const [values, color] of lines) {
      context.beginPath();
      values.forEach((value, k) => context.lineTo(((k + 0.5) / count) * width, height - ((value - this.low[1]) / (this.high[1] - this.low[1])) * height));
      context.strokeStyle = color;
      context.lineWidth = 2.5;
      context.stroke();
    }
  }

  /** From here on a click, a stroke or Enter makes a point. */
  setDrawing(drawing) {
    this.drawing = drawing;
    this.cursor = null;
    this.host.classList.toggle("drawing", drawing);
    this.area.setAttribute("role", drawing ? "application" : "img");
    this.area.setAttribute("aria-label", drawing ? "Draw points: arrow keys move the cross, Enter sets a point, Backspace removes the nearest" : "Output over the input plane");
    this.points();
  }

  listen() {
    let last = null;
    const where = (event) => {
      const box = this.area.getBoundingClientRect();
      const x = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      const y = Math.min(1, Math.max(0, (event.clientY - box.top) / box.height));
      return [this.low[0] + x * (this.high[0] - this.low[0]), this.high[1] - y * (this.high[1] - this.low[1])];
    };
    const stroke = (event) => {
      // Points of one stroke keep a distance.
      if (last && Math.hypot(event.clientX - last.clientX, event.clientY - last.clientY) < 14) return;
      last = event;
      this.on[event.shiftKey ? "erase" : "draw"](...where(event));
    };
    this.area.addEventListener("pointerdown", (event) => {
      if (!this.drawing || event.button) return;
      this.area.setPointerCapture(event.pointerId);
      last = null;
      stroke(event);
    });
    this.area.addEventListener("pointermove", (event) => last && this.drawing && stroke(event));
    for (const end of ["pointerup", "pointercancel"]) this.area.addEventListener(end, () => (last = null));
    this.area.addEventListener("keydown", (event) => {
      if (!this.drawing) return;
      const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!move && !["Enter", " ", "Backspace", "Delete"].includes(event.key)) return;
      event.preventDefault();
      this.cursor ??= [0, 1].map((k) => (this.low[k] + this.high[k]) / 2);
      if (move) this.cursor = this.cursor.map((x, k) => Math.min(this.high[k], Math.max(this.low[k], x + (move[k] * (this.high[k] - this.low[k])) / (event.shiftKey ? 100 : 25))));
      else this.on[event.key === "Enter" || event.key === " " ? "draw" : "erase"](...this.cursor);
      this.points();
    });
    this.area.addEventListener("blur", () => {
      this.cursor = null;
      this.points();
    });
  }
}

const SURE = 8;
const linear = (t) => t;
const sure = (t) => Math.tanh((t * SURE) / 2);

const cellAt = (x, size) => {
  const k = Math.min(size - 2, Math.max(0, Math.floor(x)));
  return [k, Math.min(1, Math.max(0, x - k))];
};
export const cssColor = (packed) => `rgb(${packed & 255} ${(packed >> 8) & 255} ${(packed >> 16) & 255})`;
