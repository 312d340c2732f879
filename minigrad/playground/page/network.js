// The drawing of the network: a tile for each unit, a line for each weight.
//
// Lines are SVG, made once for a network; a frame changes only the width and the class of those whose
// number changed visibly. The tiles are one canvas below them.

import { briefly, classTints, digits, inputLabel, palette, say, rampAt, signed } from "./dom.js";
import { make } from "../../viz/page/make.js";

export const same = (one, other) =>
  !!one && !!other && one.layer === other.layer && one.kind === other.kind && one.unit === other.unit && one.input === other.input;

const MOST_UNITS = 16; // of a layer that is drawn unit by unit

/** Whether a layer is drawn as one box: what is no Linear, or has too many units to draw. */
export const isBox = (layer) => layer.kind === "module" || layer.units > MOST_UNITS || layer.fanIn > MOST_UNITS;

/** The parameters of a box: [{name, shape, value, gradient, update}]. */
export const parametersOf = (layer) =>
  layer.parameters ?? [
    { name: "weight", shape: [layer.units, layer.fanIn], value: layer.weight, gradient: layer.weightGradient, update: layer.weightUpdate },
    ...(layer.bias?.length ? [{ name: "bias", shape: [layer.units], value: layer.bias, gradient: layer.biasGradient, update: layer.biasUpdate }] : []),
  ];

/** What a view shows on lines and units: fields of a Layer. */
export const VIEWS = {
  forward: { weight: "weight", bias: "bias", of: "value", symbol: "w" },
  reverse: { weight: "weightGradient", bias: "biasGradient", of: "gradient", symbol: "\u2202L/\u2202w" },
  update: { weight: "weightUpdate", bias: "biasUpdate", of: "update", symbol: "\u0394w" },
};

export class NetworkDrawing {
  /**
   * @param host the element to draw in, which has a size
   * @param on {select(target), hover(target or null), units(layer, change)}
   */
  constructor(host, on) {
    this.host = host;
    this.on = on;
    this.canvas = make("canvas", { class: "tiles", "aria-hidden": "true" });
    this.svg = make("svg:svg", { class: "lines", role: "group", "aria-label": "Network" });
    this.heads = make("div", { class: "heads" });
    this.flow = make("p", { class: "flow" });
    host.append(this.canvas, this.svg, this.heads, this.flow);
    this.small = document.createElement("canvas");
    this.view = "forward";
    this.selected = null;
    this.frame = null;
    this.labelled = this.drawn = 0;
    this.listen();
    new ResizeObserver(() => this.network && this.place()).observe(host);
  }

  /** A new network. `editable`: layers have buttons for their units; `most`: of units. */
  build(network, { editable, most }) {
    this.network = network;
    this.frame = null;
    this.editable = editable;
    this.svg.replaceChildren();
    this.heads.replaceChildren();
    const count = network.inputs.length;
    this.wholeInput = count === 0 || count > MOST_UNITS;
    this.columns = [this.wholeInput ? 1 : network.inputs.length, ...network.layers.map((layer) => (isBox(layer) ? 1 : layer.units))];
    this.edges = [];
    this.units = [];
    this.byKey = new Map();
    const lines = make("svg:g", {});
    this.texts = make("svg:g", { class: "numbers", "aria-hidden": "true" });
    const tiles = make("svg:g", {});
    this.svg.append(lines, tiles, this.texts);
    this.links = [];
    const link = (to) => this.links.push([to, lines.appendChild(make("svg:path", { class: "link" }))]);
    (this.wholeInput ? [`${count || "the"} ${count ? "inputs" : "input"}`] : network.inputs).forEach((name, unit) => this.addUnit(tiles, { layer: -1, kind: "output", unit }, briefly(inputLabel(name))));
    network.layers.forEach((layer, l) => {
      if (isBox(layer)) {
        this.addUnit(tiles, { layer: l, kind: "output", unit: 0 }, layer.type);
        link(l);
        return;
      }
      const whole = layer.follows && !this.boxed(l - 1);
      if (!whole) link(l);
      for (let unit = 0; unit < layer.units; unit++) {
        for (let input = 0; whole && input < this.columns[l]; input++) this.addEdge(lines, { layer: l, kind: "weight", unit, input });
        this.addUnit(tiles, { layer: l, kind: "output", unit }, "", layer.bias);
      }
    });
    if (editable) network.layers.slice(0, -1).forEach((layer, l) => this.addHead(layer, l, most));
    this.roving = this.units[0];
    this.roving.element.setAttribute("tabindex", "0");
    this.place();
    this.select(this.byKey.has(key(this.selected)) ? this.selected : null);
  }

  addEdge(parent, target) {
    const line = make("svg:path", { class: "line" });
    const hit = make("svg:path", { class: "hit" });
    const element = make("svg:g", { class: "weight", tabindex: "-1", role: "button", "aria-pressed": "false" }, hit, line);
    const edge = { target, element, line, hit, width: -1, sign: 9, value: 0, text: null };
    this.register(edge, parent);
    this.edges.push(edge);
  }

  addUnit(parent, target, label, bias = false) {
    const box = make("svg:rect", { class: "tile" });
    const name = make("svg:text", { class: "name" }, label);
    const number = make("svg:text", { class: "number" });
    const element = make("svg:g", { class: "unit", tabindex: "-1", role: "button", "aria-pressed": "false" }, box, name, number);
    const unit = { target, element, box, name, number, label, bias: null };
    this.register(unit, parent);
    this.units.push(unit);
    if (bias) {
      const dot = make("svg:circle", { class: "dot" });
      const hit = make("svg:circle", { class: "hit", r: 9 });
      const group = make("svg:g", { class: "bias", tabindex: "-1", role: "button", "aria-pressed": "false" }, hit, dot);
      unit.bias = { target: { layer: target.layer, kind: "bias", unit: target.unit }, element: group, dot, hit, width: -1, sign: 9, value: 0 };
      this.register(unit.bias, parent);
    }
  }

  register(item, parent) {
    this.byKey.set(key(item.target), item);
    item.element.dataset.key = key(item.target);
    item.element.setAttribute("aria-label", this.describe(item));
    parent.append(item.element);
  }

  addHead(layer, l, most) {
    const button = (change, label, text) => {
      const element = make("button", { type: "button", "aria-label": label }, text);
      element.addEventListener("click", () => this.on.units(l, change));
      return element;
    };
    const fewer = button(-1, `One unit fewer in hidden layer ${l + 1}`, "\u2212");
    const more = button(1, `One unit more in hidden layer ${l + 1}`, "+");
    fewer.disabled = layer.units <= 1;
    more.disabled = layer.units >= most;
    this.heads.append(make("div", { class: "head", role: "group", "aria-label": `Units of hidden layer ${l + 1}` }, fewer, make("span", {}, String(layer.units)), more));
  }

  /** Everything to its place in the present size of the host. */
  place() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!width || !height) return;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    Object.assign(this, { width, height, ratio });
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    this.rem = rem;
    const top = (this.editable ? 34 : 8) * rem;
    const bottom = 20 * rem;
    const most = Math.max(...this.columns);
    const count = this.columns.length;
    const narrow = width < 480;
    const room = (names) => 16 + 7 * Math.max(0, ...names.map((name) => name.length));
    const inputs = this.units.filter(({ target }) => target.layer < 0 && !this.wholeInput).map(({ label }) => label);
    const outputs = this.boxed(this.network.layers.length - 1) ? [] : Array.from({ length: this.columns.at(-1) }, (_, k) => this.outputName(k));
    const left = Math.max(narrow ? 0 : 62, room(inputs)) * rem;
    const right = (narrow ? 10 : Math.max(62, room(outputs))) * rem;
    const pitchY = Math.min(100 * rem, (height - top - bottom) / most);
    const tile = Math.max(16, Math.min(56 * rem, pitchY - 20 * rem, ((width - left - right) / count) * 0.6));
    this.tile = tile;
    const pitchX = Math.min(220 * rem, (width - left - right - tile) / (count - 1));
    this.gap = pitchX - tile;
    this.thick = Math.max(24, Math.min(64, 1.25 * tile)); // of the largest weight, in tenths of a pixel
    const start = left + (width - left - right - tile - pitchX * (count - 1)) / 2;
    const middle = top + (height - top - bottom) / 2 - 5 * rem;
    const large = Math.max(tile, Math.min(64 * rem, pitchX * 0.62, height * 0.5));
    this.sides = this.columns.map((_, column) => (this.boxed(column - 1) ? large : tile));
    const at = (column, k) => [start + pitchX * column + (tile - this.sides[column]) / 2, middle + (k - (this.columns[column] - 1) / 2) * pitchY - this.sides[column] / 2];
    this.positions = this.columns.map((n, column) => Array.from({ length: n }, (_, k) => at(column, k)));
    for (const unit of this.units) {
      const { layer, unit: k } = unit.target;
      const [x, y] = this.positions[layer + 1][k];
      const tile = this.sides[layer + 1];
      set(unit.box, { x: x - 0.5, y: y - 0.5, width: tile + 1, height: tile + 1, rx: Math.min(8, tile / 6) });
      const last = layer === this.network.layers.length - 1;
      const box = this.boxed(layer);
      unit.name.setAttribute("class", box ? "name below" : "name");
      if (box && layer < 0) {
        // The inputs are not drawn one by one: their name stands in the box.
        const [count, word] = unit.label.split(" ");
        unit.name.replaceChildren(make("svg:tspan", { x: x + tile / 2, dy: "-0.5em" }, count), make("svg:tspan", { x: x + tile / 2, dy: "1.2em" }, word));
        set(unit.name, { x: x + tile / 2, y: y + tile / 2, "text-anchor": "middle" });
      } else if (box) {
        set(unit.name, { x: x + tile / 2, y: y + tile + 12 * rem, "text-anchor": "middle" });
        say(unit.number, "");
      } else if (layer < 0) set(unit.name, { x: x - 9 * rem, y: y + tile / 2, "text-anchor": "end" });
      else set(unit.name, { x: x + tile + 8 * rem, y: y + tile / 2, "text-anchor": "start" });
      if (last && !unit.label) say(unit.name, narrow ? "" : this.outputName(k));
      set(unit.number, { x: x + tile / 2, y: y + tile + 11 * rem });
      if (unit.bias) for (const part of [unit.bias.dot, unit.bias.hit]) set(part, { cx: x, cy: y + tile });
    }
    for (const [to, path] of this.links) {
      const numbers = this.boxed(to - 1) || to === 0 ? 0 : Math.max(0, 30 * rem - tile / 2); // below the units
      const [x1, x2] = [this.positions[to][0][0] + this.sides[to] + 4 + numbers, this.positions[to + 1][0][0] - 4];
      path.setAttribute("d", `M${fix(x1)} ${fix(middle)}H${fix(x2)}m-5 -4l5 4l-5 4`);
    }
    for (const edge of this.edges) {
      const { layer, unit, input } = edge.target;
      const [x1, y1] = this.positions[layer][input];
      const [x2, y2] = this.positions[layer + 1][unit];
      const [a, b] = [x1 + tile + 1, x2 - 2];
      const bend = (b - a) / 2;
      // In reverse the same line runs to the left; its dashes and its mark follow.
      const d = `M${fix(a)} ${fix(y1 + tile / 2)}C${fix(a + bend)} ${fix(y1 + tile / 2)} ${fix(b - bend)} ${fix(y2 + tile / 2)} ${fix(b)} ${fix(y2 + tile / 2)}`;
      edge.line.setAttribute("d", d);
      edge.hit.setAttribute("d", d);
      edge.along = (t) => [a + (b - a) * (1.5 * t * (1 - t) + t * t * t), y1 + tile / 2 + (y2 - y1) * t * t * (3 - 2 * t)];
    }
    [...this.heads.children].forEach((head, l) => {
      head.style.left = `${this.positions[l + 1][0][0] + tile / 2}px`;
      // Beside each other only where there is room.
      head.classList.toggle("narrow", pitchX < 84 * rem);
    });
    this.labelEdges();
    if (this.frame) this.show(this.frame, this.view);
  }

  /** Whether a layer, or with -1 the inputs, is one box. */
  boxed(l) {
    return l < 0 ? this.wholeInput : isBox(this.network.layers[l]);
  }

  outputName(k) {
    if (this.network.classes) return briefly(this.classNames?.[k] ?? `class ${k}`);
    return this.columns.at(-1) > 1 ? `output ${k + 1}` : "output";
  }

  /** Which lines carry their number: all of a layer with few of them; those of the unit that is
   * pointed at. */
  labelEdges() {
    const near = this.pointed ?? this.selected;
    for (const edge of this.edges) {
      const { layer } = edge.target;
      const room = this.columns[layer] * this.columns[layer + 1] <= 8 && this.gap > 72;
      const wanted = room || (near && touches(edge.target, near));
      edge.element.classList.toggle("near", !!near && touches(edge.target, near));
      if (wanted && !edge.text) {
        edge.text = make("svg:text", {});
        this.texts.append(edge.text);
      } else if (!wanted && edge.text) {
        edge.text.remove();
        edge.text = null;
      }
    }
    this.spreadLabels();
    this.labelled = 0;
  }

  /** Each number to the first place along its line that no other one has taken. */
  spreadLabels() {
    const taken = [];
    const near = (edge) => edge.element.matches(".near, .selected");
    const labelled = this.edges.filter((edge) => edge.text).sort((a, b) => near(b) - near(a));
    for (const edge of labelled) {
      const free = ([x, y]) => !taken.some(([a, b]) => Math.abs(a - x) < 46 * this.rem && Math.abs(b - y) < 14 * this.rem);
      const place = LABEL_PLACES.map(edge.along).find(free);
      edge.text.style.display = place ? "" : "none"; // without room, it is shown when pointed at
      if (!place) continue;
      taken.push(place);
      set(edge.text, { x: place[0], y: place[1] });
    }
  }

  /** Shows the numbers of a frame. */
  show(frame, view, now = performance.now()) {
    const changed = view !== this.view;
    this.frame = frame;
    this.view = view;
    say(this.flow, FLOWS[view]);
    // Gradients are others with each batch: ten pictures of them a second can be looked at, sixty flicker.
    if (view !== "forward" && !changed && now - this.drawn < 100) return;
    this.drawn = Number.isFinite(now) ? now : 0;
    const fields = VIEWS[view];
    const scale = this.scaleOf(frame, view);
    this.scale = scale;
    for (const edge of this.edges) {
      const { layer, unit, input } = edge.target;
      const values = frame.layers[layer][fields.weight];
      this.weigh(edge, values ? values[unit * this.columns[layer] + input] : 0, scale, view);
    }
    for (const { bias } of this.units) {
      if (!bias) continue;
      const values = frame.layers[bias.target.layer][fields.bias];
      bias.value = values ? values[bias.target.unit] : 0;
      const sign = Math.sign(bias.value) || 0;
      const radius = Math.round(20 + 45 * strength(bias.value, scale, view)) / 10;
      if (bias.width !== radius) bias.dot.setAttribute("r", (bias.width = radius));
      if (bias.sign !== sign) bias.dot.setAttribute("class", `dot ${SIGN[1 + (bias.sign = sign)]}`);
    }
    // Texts ten times a second: faster, nobody reads them.
    if (changed || now - this.labelled > 100) {
      this.labelled = Number.isFinite(now) ? now : 0;
      this.texts.style.display = frame.layers.some((layer) => layer[fields.weight]) ? "" : "none";
      for (const edge of this.edges) if (edge.text) say(edge.text, view === "forward" ? digits(edge.value, 2) : signed(edge.value, 2));
      if (now === Infinity) for (const item of this.byKey.values()) item.element.setAttribute("aria-label", this.describe(item));
      for (const unit of this.units) if (unit.bias && !this.boxed(unit.target.layer)) say(unit.number, frame.layers[unit.target.layer][fields.bias] && this.tile > 24 ? (view === "forward" ? digits : signed)(unit.bias.value, 2) : "");
    }
    this.paint(frame, view);
  }

  weigh(edge, value, scale, view) {
    edge.value = value;
    const width = Math.round(6 + this.thick * strength(value, scale, view)) / 10;
    const sign = Math.sign(value) || 0;
    if (edge.width !== width) edge.line.style.strokeWidth = edge.width = width;
    if (edge.sign !== sign) edge.line.setAttribute("class", `line ${SIGN[1 + (edge.sign = sign)]}`);
  }

  /** Of weights 1, so that growing weights are seen to grow; of others their largest. */
  scaleOf(frame, view) {
    if (view === "forward") return 1;
    let most = 0;
    const { weight, bias } = VIEWS[view];
    for (const layer of frame.layers) for (const values of layer.parameters ? [] : [layer[weight], layer[bias]]) if (values) for (const value of values) if (Math.abs(value) > most) most = Math.abs(value);
    return most;
  }

  /** The tiles: over the plane; in reverse, or if there is no plane, a cell for each example of the
   *  batch. */
  paint(frame, view) {
    const context = this.canvas.getContext("2d");
    const { ratio } = this;
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.imageSmoothingQuality = "low";
    const most = view === "reverse" ? largestOf(frame.layers.map((layer) => layer.preactivationGradient)) : 0;
    for (const { target } of this.units) {
      const { layer: l, unit } = target;
      const [x, y] = this.positions[l + 1][unit];
      const tile = this.sides[l + 1];
      const layer = frame.layers[l];
      const gradient = view === "reverse" && layer?.preactivationGradient;
      const output = !frame.plane && (l < 0 ? frame.batch?.inputs : layer.output);
      const cells = gradient || output;
      if (this.boxed(l)) {
        if (l < 0 || !this.matrix(layer, VIEWS[view].of)) continue;
      } else if (cells) this.cells(cells, this.columns[l + 1], unit, gradient ? most : largestOf([output]));
      else if (!frame.plane || !this.map(frame.plane, l, unit)) continue;
      context.imageSmoothingEnabled = !cells && !this.boxed(l);
      context.save();
      context.beginPath();
      context.roundRect(x * ratio, y * ratio, tile * ratio, tile * ratio, Math.min(8, tile / 6) * ratio);
      context.clip();
      context.drawImage(this.small, x * ratio, y * ratio, tile * ratio, tile * ratio);
      context.restore();
    }
  }

  /** Of a box: its first parameter, or what it puts out for the first example. */
  matrix(layer, of) {
    const [first] = parametersOf(layer);
    const values = first?.value?.length ? first[of] : layer.output;
    if (!values?.length) return false;
    const shape = first?.value?.length ? first.shape : (layer.shape ?? [values.length]);
    const columns = shape.length > 1 ? shape.at(-1) * (shape.length > 2 ? shape.at(-2) : 1) : Math.ceil(Math.sqrt(shape[0] ?? 1));
    const rows = Math.max(1, Math.floor(Math.min(values.length, shape.reduce((a, b) => a * b, 1)) / columns));
    const side = (n) => Math.min(24, n);
    const image = this.image(side(columns), side(rows));
    const pixels = new Uint32Array(image.data.buffer);
    const most = largestOf([values]) || 1;
    for (let r = 0, p = 0; r < side(rows); r++) {
      for (let c = 0; c < side(columns); c++, p++) {
        pixels[p] = palette.ramp[rampAt(values[Math.floor((r * rows) / side(rows)) * columns + Math.floor((c * columns) / side(columns))] / most)];
      }
    }
    this.small.getContext("2d").putImageData(image, 0, 0);
    return true;
  }

  cells(values, units, unit, most) {
    const count = values.length / units;
    const side = Math.ceil(Math.sqrt(count));
    const image = this.image(side, side);
    const pixels = new Uint32Array(image.data.buffer);
    pixels.fill(palette.ramp[127]);
    for (let n = 0; n < count; n++) {
      const t = values[n * units + unit] / (most || 1);
      pixels[n] = palette.ramp[rampAt(Math.sign(t) * Math.sqrt(Math.abs(t)))];
    }
    this.small.getContext("2d").putImageData(image, 0, 0);
  }

  map(plane, l, unit) {
    const values = l < 0 ? plane.inputs : plane.layers[l];
    if (!values?.length) return false;
    const flat = plane.count === plane.size;
    const { size, count } = plane;
    const classes = l === this.network.layers.length - 1 ? this.network.classes : 0;
    if (classes) return this.chances(plane, unit, classes, flat);
    const scale = unitScale(values, unit * count, count, this.network.layers[l]?.activation);
    const image = this.image(size, flat ? 1 : size);
    const pixels = new Uint32Array(image.data.buffer);
    for (let j = 0; j < (flat ? 1 : size); j++) {
      const from = unit * count + (flat ? 0 : (size - 1 - j) * size);
      for (let i = 0; i < size; i++) pixels[j * size + i] = palette.ramp[rampAt(values[from + i] / scale)];
    }
    this.small.getContext("2d").putImageData(image, 0, 0);
    return true;
  }

  /** Of a class, its probability over the plane, in the colour of the class. */
  chances({ layers, size, count }, unit, classes, flat) {
    const scores = layers.at(-1);
    const image = this.image(size, flat ? 1 : size);
    const pixels = new Uint32Array(image.data.buffer);
    for (let p = 0; p < count; p++) {
      let total = 0;
      for (let k = 0; k < classes; k++) total += Math.exp(scores[k * count + p] - scores[unit * count + p]);
      pixels[flat ? p : (size - 1 - Math.floor(p / size)) * size + (p % size)] = classTints(unit)[(31 / total) | 0];
    }
    this.small.getContext("2d").putImageData(image, 0, 0);
    return true;
  }

  image(width, height) {
    if (this.small.width !== width || this.small.height !== height || !this.pixels) {
      this.small.width = width;
      this.small.height = height;
      this.pixels = this.small.getContext("2d").createImageData(width, height);
    }
    return this.pixels;
  }

  /** Marks what is selected, and tells nobody. */
  select(target) {
    for (const one of [this.selected, target]) {
      const item = one && this.byKey.get(key(one));
      if (!item) continue;
      item.element.classList.toggle("selected", one === target);
      item.element.setAttribute("aria-pressed", String(one === target));
    }
    this.selected = target;
    if (target && this.byKey.has(key(target))) this.rove(this.byKey.get(key(target)));
    this.labelEdges();
    if (this.frame) this.show(this.frame, this.view, Infinity);
  }

  rove(item) {
    this.roving?.element.setAttribute("tabindex", "-1");
    this.roving = item;
    item.element.setAttribute("tabindex", "0");
  }

  /** The name of a unit or weight for a screen reader, with its present number. */
  describe({ target, value }) {
    const { layer, kind, unit, input } = target;
    const where = (l, k) => (l < 0 ? (this.wholeInput ? "the whole input" : `input ${this.network.inputs[k]}`) : this.boxed(l) ? this.network.layers[l].title : `unit ${k + 1} of ${this.network.layers[l].title}`);
    const number = this.frame && value !== undefined ? `: ${VIEWS[this.view].symbol.replace("\u2202L/\u2202w", "gradient").replace("\u0394w", "update").replace(/^w$/, "")} ${digits(value)}`.replace(":  ", ": ") : "";
    if (kind === "weight") return `Weight from ${where(layer - 1, input)} to ${where(layer, unit)}${number}`;
    if (kind === "bias") return `Bias of ${where(layer, unit)}${number}`;
    const text = where(layer, unit);
    return text[0].toUpperCase() + text.slice(1);
  }

  listen() {
    const find = (event) => {
      const found = event.target.closest?.("[data-key]");
      return found && this.byKey.get(found.dataset.key);
    };
    const point = (item) => {
      const target = item?.target ?? null;
      if (target === this.pointed) return;
      this.pointed = target;
      this.labelEdges();
      if (this.frame) this.show(this.frame, this.view, Infinity);
      this.on.hover(target);
    };
    this.svg.addEventListener("pointerover", (event) => event.pointerType === "mouse" && point(find(event)));
    this.svg.addEventListener("pointerleave", () => point(null));
    // Not of the svg element: with a listener for focus, it would be a stop of the Tab key itself.
    this.host.addEventListener("focusin", (event) => {
      const item = find(event);
      if (!item) return;
      this.rove(item);
      item.element.setAttribute("aria-label", this.describe(item)); // while it trains, of now
      if (item.element.matches(":focus-visible")) point(item);
    });
    this.host.addEventListener("focusout", () => point(null));
    this.svg.addEventListener("click", (event) => {
      const item = find(event);
      if (item) this.on.select(item.target);
    });
    this.svg.addEventListener("keydown", (event) => {
      const item = find(event);
      if (!item) return;
      if (event.key === "Enter" || event.key === " ") this.on.select(item.target);
      else {
        const next = this.neighbour(item.target, event.key);
        if (!next) return;
        this.byKey.get(key(next))?.element.focus();
      }
      event.preventDefault();
    });
  }

  /** Where an arrow key leads: up and down in a layer, or among the weights of a unit and its bias;
   * left from a unit to its first weight, and on to the input that the weight comes from. */
  neighbour({ layer, kind, unit, input }, pressed) {
    const to = (l, k, u, i) => {
      const target = { layer: l, kind: k, unit: u, ...(i === undefined ? {} : { input: i }) };
      return this.byKey.has(key(target)) ? target : null;
    };
    const wrap = (n, k) => (k + n) % n;
    if (pressed === "Home") return to(-1, "output", 0);
    if (pressed === "End") return to(this.network.layers.length - 1, "output", 0);
    const vertical = { ArrowUp: -1, ArrowDown: 1 }[pressed];
    if (kind === "output") {
      if (vertical) return to(layer, "output", wrap(this.columns[layer + 1], unit + vertical));
      if (pressed === "ArrowLeft") return to(layer, "weight", unit, 0) ?? to(layer - 1, "output", 0);
      if (pressed === "ArrowRight") return to(layer + 1, "weight", 0, unit) ?? to(layer + 1, "output", 0);
      return null;
    }
    const fan = this.columns[layer];
    const at = kind === "bias" ? fan : input;
    if (vertical) {
      const next = wrap(fan + 1, at + vertical);
      return (next === fan ? to(layer, "bias", unit) : to(layer, "weight", unit, next)) ?? to(layer, "weight", unit, wrap(fan, next));
    }
    if (pressed === "ArrowRight") return to(layer, "output", unit);
    if (pressed === "ArrowLeft") return kind === "bias" ? to(layer, "output", unit) : to(layer - 1, "output", input);
    return null;
  }
}

const FLOWS = { forward: "values, from the inputs to the loss \u2192", reverse: "\u2190 gradients, from the loss to the inputs", update: "" };
const LABEL_PLACES = [0.5, 0.4, 0.6, 0.32, 0.68, 0.25, 0.75, 0.45, 0.55, 0.36, 0.64, 0.28, 0.72, 0.2, 0.8];
const SIGN = ["minus", "none", "plus"];

/** Whether a weight is this one, or comes into or out of this unit. */
const touches = ({ layer, unit, input }, near) =>
  near.kind === "output" ? (near.layer === layer ? near.unit === unit : near.layer === layer - 1 && near.unit === input) : near.layer === layer && near.unit === unit && (near.kind === "bias" || near.input === input);
const key = (target) => (target ? [target.layer, target.kind, target.unit, target.input ?? ""].join(" ") : "");
const fix = (number) => number.toFixed(1);
const set = (element, attributes) => {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
};

/** 0 to 1: weights by a curve that never ends, gradients and updates by their share of the largest. */
const strength = (value, scale, view) => {
  const size = Math.abs(value);
  if (!(size > 0) || !(scale > 0)) return 0;
  return view === "forward" ? 1 - Math.exp(-size / 1.6) : Math.min(1, size / scale) || 0;
};

const largestOf = (arrays) => {
  let most = 0;
  for (const values of arrays) if (values) for (const value of values) if (Math.abs(value) > most) most = Math.abs(value);
  return most;
};

/** What is full colour in the map of a unit: 1 for what saturates there, its largest for others. */
const unitScale = (values, from, count, activation) => {
  if (activation === "tanh" || activation === "sigmoid") return 1;
  let most = 1e-9;
  for (let k = from; k < from + count; k++) if (Math.abs(values[k]) > most) most = Math.abs(values[k]);
  return most;
};
