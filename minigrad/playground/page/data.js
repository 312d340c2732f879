// Where the data come from: pictures of each kind to choose from, a formula, points that are drawn on
// the plane, a CSV file that is dropped.

import { defaults, SETTINGS } from "./address.js";
import { csvColumns, csvExamples } from "./csv.js";
import { makeData } from "./datasets.js";
import { byId, classColor, inputLabel, palette, rampAt } from "./dom.js";
import { make } from "../../viz/page/make.js";
import { cssColor, mark } from "./plane.js";

const CSV_BYTES = 8_000_000; // a larger file is not read at all

export class DataSource {
  /** @param on {change(settings), remake(), notice(text)} */
  constructor(app, on) {
    Object.assign(this, { app, on });
    this.csv = null;
    this.brush = 0;
    if (!app.about.ready) return;
    this.thumbnails();
    this.dropping();
  }

  /** The data of the settings, or null, and then the page says what is missing. */
  make(settings) {
    this.extras(settings);
    const drawing = settings.data === "drawn";
    this.app.plane.setDrawing(drawing);
    byId("brush").hidden = !drawing;
    try {
      if (settings.data === "csv" && this.problem) throw new Error(this.problem);
      const data = makeData(settings, this.csv);
      this.waiting(null);
      if (data.notes.length) this.on.notice(data.notes.join(". "));
      return data;
    } catch (error) {
      this.waiting(error.message, settings);
      return null;
    }
  }

  /** Too few data to train: shows those that are there, and says what is missing. */
  waiting(message, settings) {
    document.body.classList.toggle("waiting", message !== null);
    for (const id of ["play", "step", "example", "reset", "python"]) byId(id).disabled = message !== null;
    if (this.message) this.message.textContent = message ? `${message[0].toUpperCase()}${message.slice(1)}.` : "";
    if (message === null) return;
    if (settings.data === "drawn") this.app.plane.setData(drawnSoFar(settings.drawn), AREA);
  }

  /** Columns of the data as inputs: functions of x1 and x2, or the columns of a file. */
  features(known) {
    const { columns } = this.app.data;
    const isPlane = columns.length === 2 && columns[0] === "x1" && columns[1] === "x2";
    return isPlane ? known : columns;
  }

  /** The columns that the plane shows: the first two, or of a file those that are inputs. */
  axes() {
    const { data, settings } = this.app;
    if (!data?.columns.length || (!this.app.about.ready && data.columns.length > 2)) return [];
    if (data.columns.length < 2 || !this.app.about.ready) return [0, 1].slice(0, data.columns.length);
    const used = settings.features.map((name) => data.columns.indexOf(name)).filter((k) => k >= 0);
    return [...new Set([...used, 0, 1])].slice(0, 2).sort((a, b) => a - b);
  }

  /** What the plane is asked for. */
  plane(size) {
    const columns = this.axes();
    if (!columns.length) return undefined;
    const box = this.box();
    return { size: columns.length === 1 ? 100 : size, columns, low: columns.map((k) => box[k][0]), high: columns.map((k) => box[k][1]) };
  }

  box() {
    const { data } = this.app;
    return data.box ?? data.columns.map((_, k) => rangeOf(data.train.x, k, data.columns.length));
  }

  show(data) {
    if (!data) return;
    const columns = this.axes();
    document.body.classList.toggle("no-plane", !columns.length);
    const box = columns.length && this.box();
    const target = rangeOf(data.train.y, 0, 1);
    const ranges = columns.map((k) => box[k]);
    const names = columns.map((k) => inputLabel(data.columns[k]));
    if (!columns.length) return;
    if (columns.length === 1) [ranges[1], names[1]] = data.classes ? [[0, 1], "probability"] : [target, "y"];
    this.app.plane.setData(data, { columns, low: ranges.map(([low]) => low), high: ranges.map(([, high]) => high), names, target });
    this.pictures();
  }

  // Pictures of each kind

  thumbnails() {
    this.pictures();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.pictures());
  }

  pictures() {
    for (const [kind, canvas] of Object.entries(this.app.controls.thumbs ?? {})) {
      const context = canvas.getContext("2d");
      const [width, height] = [canvas.width, canvas.height];
      context.clearRect(0, 0, width, height);
      if (kind === "csv") {
        sheet(context, width, height);
        continue;
      }
      const settings = { ...defaults(), data: kind, points: 70, noise: kind === "gaussians" ? 0.3 : 0.05, classes: kind === "gaussians" ? 3 : 2, drawn: kind === "drawn" && this.app.settings.drawn.length > 3 ? this.app.settings.drawn : SAMPLE };
      const { train, box, classes } = makeData({ ...settings, split: 0.1 });
      const most = classes ? 1 : Math.max(...train.y.map(Math.abs));
      train.y.forEach((y, n) => {
        const at = [0, 1].map((k) => (train.x[2 * n + k] - box[k][0]) / (box[k][1] - box[k][0]));
        mark(context, 4 + at[0] * (width - 8), height - 4 - at[1] * (height - 8), 3.4, classes ? y : 0, classes ? classColor(y) : cssColor(palette.ramp[rampAt(y / most)]), false);
      });
    }
  }

  // What a kind needs besides: a formula, a brush, a file

  extras(settings) {
    const kind = settings.data;
    const signature = `${kind} ${this.csv?.target ?? ""} ${kind === "csv" ? this.table?.columns.length : ""}`;
    if (signature === this.signature) return;
    this.signature = signature;
    this.message = make("p", { class: kind === "regression" ? "wrong" : "faint", role: "status" });
    const host = byId("data-more");
    host.replaceChildren(...({ regression: () => this.formulaField(settings), drawn: () => this.brushes(), csv: () => this.fileField(), spirals: () => this.classField(settings), gaussians: () => this.classField(settings) }[kind]?.() ?? []), this.message);
  }

  formulaField(settings) {
    const field = make("input", { type: "text", id: "formula", spellcheck: "false", autocapitalize: "off", maxlength: SETTINGS.formula.most, "aria-label": "Formula of x1 and x2 to be learnt" });
    field.value = settings.formula;
    const take = () => field.value.trim() !== this.app.settings.formula && this.on.change({ formula: field.value.trim() });
    field.addEventListener("change", take);
    field.addEventListener("keydown", (event) => event.key === "Enter" && take());
    return [make("label", { class: "formula-field" }, make("span", { class: "faint" }, "y ="), field)];
  }

  classField(settings) {
    const select = make("select", { id: "classes" }, ...[2, 3, 4].map((k) => make("option", { value: k }, `${k} classes`)));
    select.value = settings.classes;
    select.addEventListener("change", () => this.on.change({ classes: Number(select.value) }));
    return [make("label", { class: "row" }, make("span", {}, "Classes"), select)];
  }

  brushes() {
    const brush = byId("brush");
    brush.setAttribute("role", "radiogroup");
    brush.setAttribute("aria-label", "Class of the points that are drawn");
    brush.replaceChildren(...[0, 1, 2, 3].map((k) => {
      const input = make("input", { type: "radio", name: "brush", value: k, "aria-label": `Class ${k}` });
      input.checked = k === this.brush;
      input.addEventListener("change", () => (this.brush = k));
      const canvas = make("canvas", { width: 32, height: 32, "aria-hidden": "true" });
      mark(canvas.getContext("2d"), 16, 16, 9, k, classColor(k), false);
      return make("label", { title: `Class ${k}` }, input, canvas);
    }));
    const clear = make("button", { type: "button", id: "clear-points" }, "Clear");
    clear.addEventListener("click", () => this.on.change({ drawn: [] }));
    return [make("div", { class: "own-points" }, make("span", {}, "Draw on the plane; with Shift, erase."), clear)];
  }

  draw(x, y) {
    const { drawn } = this.app.settings;
    if (drawn.length >= SETTINGS.drawn.most) return this.on.notice(`There are ${drawn.length} points, as many as an address can hold.`);
    this.on.change({ drawn: [...drawn, [thousandth(x), thousandth(y), this.brush]] });
  }

  erase(x, y) {
    const { drawn } = this.app.settings;
    const distance = ([a, b]) => Math.hypot(a - x, b - y);
    const nearest = drawn.reduce((best, point, k) => (best < 0 || distance(point) < distance(drawn[best]) ? k : best), -1);
    if (nearest >= 0 && distance(drawn[nearest]) < 0.4) this.on.change({ drawn: drawn.filter((_, k) => k !== nearest) });
  }

  fileField() {
    const input = make("input", { type: "file", accept: ".csv,.tsv,.txt,text/csv", id: "csv-file", class: "unseen" });
    input.addEventListener("change", () => input.files[0] && this.read(input.files[0]));
    const parts = [make("label", { class: "drop" }, input, this.table ? `${this.table.lines.length} rows; another file\u2026` : "Choose a CSV file, or drop one on the page")];
    if (this.table) {
      const select = make("select", { id: "csv-target" }, ...this.table.columns.map(({ name }, k) => make("option", { value: k }, name)));
      select.value = this.target;
      select.addEventListener("change", () => this.take(Number(select.value)));
      parts.push(make("label", { class: "row" }, make("span", {}, "Predict"), select));
    }
    return parts;
  }

  dropping() {
    addEventListener("dragover", (event) => {
      if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    });
    addEventListener("drop", (event) => {
      const file = event.dataTransfer?.files[0];
      if (!file) return;
      event.preventDefault();
      this.read(file);
    });
  }

  async read(file) {
    if (file.size > CSV_BYTES) return this.on.notice(`${file.name} is larger than ${CSV_BYTES / 1e6} MB, which is more than is read.`);
    try {
      this.table = csvColumns(await file.text());
    } catch (error) {
      return this.on.notice(`${file.name}: ${error.message}`);
    }
    this.take(this.table.target);
  }

  take(target) {
    Object.assign(this, { csv: null, problem: null, target, signature: "" });
    try {
      this.csv = csvExamples(this.table, target);
    } catch (error) {
      this.problem = error.message; // it is shown beside the column, which can be another one
    }
    this.on.change({ data: "csv" });
  }
}

const SAMPLE = [[-1.2, 1, 0], [-0.8, 1.3, 0], [-0.4, 0.7, 0], [-1.4, 0.3, 0], [-0.9, 0.6, 0], [0.6, -0.4, 1], [1.1, -0.9, 1], [0.3, -1.1, 1], [1.4, -0.2, 1], [0.8, -1.4, 1], [1.2, 1.1, 2], [0.8, 1.4, 2]];
const AREA = { columns: [0, 1], low: [-2, -2], high: [2, 2], names: ["x\u2081", "x\u2082"], target: [0, 1] };
const thousandth = (x) => Math.round(1000 * x) / 1000;

const drawnSoFar = (points) => ({
  columns: ["x1", "x2"],
  classes: 4,
  train: { x: Float32Array.from(points.flatMap(([x, y]) => [x, y])), y: Float32Array.from(points, ([, , k]) => k) },
  test: { x: new Float32Array(), y: new Float32Array() },
});

const rangeOf = (values, k, width) => {
  let [low, high] = [Infinity, -Infinity];
  for (let n = k; n < values.length; n += width) {
    if (values[n] < low) low = values[n];
    if (values[n] > high) high = values[n];
  }
  if (!(low <= high)) return [-1, 1];
  const margin = 0.1 * (high - low) || 1;
  return [low - margin, high + margin];
};

const sheet = (context, width, height) => {
  context.strokeStyle = palette.faint;
  context.lineWidth = 2;
  const [left, top, w, h] = [width * 0.24, height * 0.2, width * 0.52, height * 0.6];
  context.beginPath();
  context.roundRect(left, top, w, h, 5);
  for (const k of [1, 2, 3]) {
    context.moveTo(left, top + (h * k) / 4);
    context.lineTo(left + w, top + (h * k) / 4);
  }
  for (const k of [1, 2]) {
    context.moveTo(left + (w * k) / 3, top);
    context.lineTo(left + (w * k) / 3, top + h);
  }
  context.stroke();
};
