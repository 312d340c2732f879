// The graph: what is folded, where everything stands, and how it is drawn
import { asButton, make } from "./make.js";
import { fill, plain } from "./formulas.js";
import { heat, minus, peakText, shade, text, tuple } from "./numbers.js";

const ROW = 38, LABELLED = 54, PAD = 14, TITLE = 30, GAP = 28; // rows of scalars have room for labels between them
const LETTER = 7.3, TILE = { w: 92, h: 38 }, SMALL = 66, TALL = 92, WIDE = 64;
const BUTTONS = 48; // what those for zooming and folding take at the bottom
const COMFORTABLE = 1.12, READABLE = 1.4; // of the graph's units to a pixel
let mounted = 0;

export class Graph {
  // structure, numbers; select(step) and changed() are called for what a user does in it
  constructor(holder, structure, select) {
    Object.assign(this, { holder, structure, select, steps: structure.steps, groups: structure.groups });
    this.open = new Set([0]);
    this.rounds = new Map(); // the round that is shown of each loop
    this.arrow = `arrow${mounted++}`;
    this.svg = make("svg:svg", { role: "group", "aria-label": "Graph of the computation" });
    this.inside = this.groups.map(() => []);
    for (let g = this.groups.length - 1; g >= 0; g--) {
      for (const child of this.groups[g].children) {
        if (child >= 0) this.inside[g].push(child); else for (const step of this.inside[-child]) this.inside[g].push(step);
      }
    }
    // The rounds of a loop: its children that are not leaves
    this.roundsOf = this.groups.map(({ children, kind }) => kind === "loop" ? children.filter((child) => this.isRound(child)) : []);
    this.loopOf = this.groups.map(() => null);
    this.groups.forEach((group, g) => { this.roundsOf[g].forEach((child) => { if (child < 0) this.loopOf[-child] = g; }); });
    holder.append(this.svg);
    this.pan();
  }

  // Folding

  isRound(child) { return child < 0 ? this.groups[-child].kind !== "part" : Boolean(this.steps[child].op); }

  hidden(child, g) { // in a loop, all rounds but one
    if (this.groups[g].kind !== "loop") return false;
    return this.isRound(child) && this.roundsOf[g][this.rounds.get(g) ?? 0] !== child;
  }

  // Rounds of a loop are open all together.
  key(g) { return this.loopOf[g] === null ? g : -this.roundsOf[this.loopOf[g]].find((child) => child < 0); }
  isOpen(g) { return this.open.has(this.key(g)); }

  unfold(fits) { // from the outside, group by group, as long as what is drawn fits
    for (let level = [0]; level.length;) {
      const inner = level.flatMap((g) => this.groups[g].children.filter((child) => child < 0 && !this.hidden(child, g)).map((child) => -child));
      level = inner.filter((g) => {
        if (this.isOpen(g)) return true;
        this.open.add(this.key(g));
        if (fits()) return true;
        this.open.delete(this.key(g));
        return false;
      });
    }
  }

  drawn() { return [...this.open].reduce((sum, g) => sum + (this.groups[g].kind === "loop" ? 1 : this.groups[g].children.length), 0); }

  start() { // the whole of it first: unfolded as far as it can be read without scrolling
    this.open = new Set([0]);
    const { clientWidth, clientHeight } = this.holder;
    const fits = (scale) => () => {
      const { w, h } = this.place(0);
      return Math.max(w / (clientWidth - 24), h / (clientHeight - 24)) <= scale && this.drawn() <= 60;
    };
    this.unfold(fits(COMFORTABLE));
    if (this.drawn() < 6) this.unfold(fits(READABLE));
    this.overview();
  }

  overview() { // all of it; or if its text would be too small to read, its beginning
    this.draw();
    this.fit();
    if (this.scale() > READABLE + 0.01) this.beginning();
  }

  unfoldAll() { this.unfold(() => this.drawn() < 3000); this.overview(); }
  foldAll() { this.open = new Set([0]); this.overview(); }

  reveal(step) { // unfold what it is in, and show its round
    let changed = false;
    for (let child = step, g = this.steps[step].group; g !== null; child = -g, g = this.groups[g].parent) {
      if (!this.isOpen(g)) { this.open.add(this.key(g)); changed = true; }
      changed = this.turnTo(g, child) || changed;
    }
    if (changed) this.draw();
  }

  turnTo(g, child) {
    if (this.groups[g].kind !== "loop") return false;
    const n = this.roundsOf[g].indexOf(child);
    if (n < 0 || n === (this.rounds.get(g) ?? 0)) return false;
    this.rounds.set(g, n);
    return true;
  }

  follow(step) { // the round of what is going on, in loops that are open; and bring it into view
    let changed = false;
    for (let child = step, g = this.steps[step].group; g !== null; child = -g, g = this.groups[g].parent) {
      if (this.isOpen(g)) changed = this.turnTo(g, child) || changed;
    }
    if (changed) this.draw();
    const box = this.boxes.get(this.shown[step]), { view } = this;
    if (!box) return;
    if (box.x - box.w / 2 < view.x || box.x + box.w / 2 > view.x + view.w || box.y < view.y || box.y + box.h > view.y + view.h) {
      // In the middle, but for what would be empty at the edges
      const within = (middle, room, size) => size + 32 <= room ? (size - room) / 2 : Math.max(-16, Math.min(middle - room / 2, size + 16 - room));
      view.x = within(box.x, view.w, this.bounds.w);
      view.y = within(box.y + box.h / 2, view.h, this.bounds.h);
      this.look();
    }
  }

  // Places

  output(g) { return this.inside[g].reduce((last, step) => Math.max(last, step), 0); }

  title(k) {
    const step = this.steps[k];
    if (step.formula === null) return step.name ? `${step.label} = ${step.name}` : step.label;
    const slots = {};
    step.inputs.forEach((x, n) => { if (x !== null) slots[`_x${n}`] = ["i", this.steps[x].label]; });
    return `${step.label} = ${plain(fill(this.structure.formulas[step.formula], slots), true)}`;
  }

  stepSize(k) {
    const step = this.steps[k], scalar = !step.shape.length;
    const title = Math.min(this.title(k).length * 7.6, 250) + 24;
    const below = scalar ? (`d${this.structure.result}/d${step.label} = `.length + (step.dtype.startsWith("c") ? 20 : 12) + (step.uses.length > 1 ? ` (${step.uses.length} of ${step.uses.length})`.length : 0)) * LETTER : 2 * TILE.w + 36;
    return { w: Math.max(title, below, 128), h: scalar ? SMALL : TALL };
  }

  groupSize(g) {
    return { w: Math.max(this.groups[g].title.length * LETTER + 24, 132) + 2 * TILE.w + 36, h: WIDE };
  }

  place(g) { // the size of an open group, and the places in it
    const { children, kind } = this.groups[g];
    const size = children.map((child) => {
      if (this.hidden(child, g)) return null;
      if (child >= 0) return this.stepSize(child);
      if (!this.isOpen(-child)) return this.groupSize(-child);
      const inner = this.place(-child);
      return { w: inner.w + 2 * PAD, h: inner.h + 2 * PAD + TITLE, inner };
    });
    const places = [];
    let y = 0, gap = 0;
    const layers = kind === "loop" ? this.loopLayers(g, size) : this.structure.layouts[this.groups[g].layout].layers;
    const wide = layers.flat().filter(([k]) => size[k]?.inner);
    const shift = (x) => wide.reduce((sum, [k, at]) => sum + Math.sign(x - at) * Math.max(0, size[k].w - 200) / 2, x);
    for (const layer of layers) {
      const sizes = layer.map(([k]) => size[k] ?? { w: 0, h: 0 });
      const xs = apart(layer.map(([, x]) => shift(x)), sizes.map(({ w }) => w));
      const height = Math.max(...sizes.map(({ h }) => h));
      layer.forEach(([k], n) => { places[k] = { x: xs[n], y: y + (height - sizes[n].h) / 2, ...sizes[n] }; });
      gap = height === 0 ? 10 : sizes.some(({ h }) => h === SMALL) ? LABELLED : ROW; // of ports and bends alone, little
      y += height + gap;
    }
    const left = Math.min(...places.filter(Boolean).map(({ x, w }) => x - w / 2));
    const right = Math.max(...places.filter(Boolean).map(({ x, w }) => x + w / 2));
    for (const at of places) if (at) at.x -= left;
    const least = this.groups[g].title.length * 8 + (kind === "loop" ? 240 : 60);
    const w = Math.max(right - left, g ? least : 0), spare = (w - right + left) / 2;
    for (const at of places) if (at) at.x += spare;
    return { w, h: y - gap, places };
  }

  loopLayers(g, size) {
    const { children } = this.groups[g];
    const leaves = children.map((child, k) => [child, k]).filter(([child]) => !this.isRound(child)).map(([, k]) => [k, 0]);
    const round = children.findIndex((child, k) => this.isRound(child) && size[k]);
    return [...(leaves.length ? [leaves] : []), [[round, 0]]];
  }

  // Drawing: boxes of steps, folded groups and loops, by "s3", "g2"

  draw() {
    this.boxes = new Map(); this.edges = new Map(); this.shown = []; this.frames = new Map();
    const { groups, steps, structure } = this;
    const frames = make("svg:g"), lines = make("svg:g", { "aria-hidden": "true" }), front = make("svg:g"), labels = make("svg:g", { class: "labels", "aria-hidden": "true" });
    const bends = new Map(), ports = new Map();
    const id = (child) => child < 0 ? `g${-child}` : `s${child}`;
    const visit = (g, laid, left, top) => {
      groups[g].children.forEach((child, n) => {
        const at = laid.places[n];
        if (!at || this.hidden(child, g)) return;
        const box = { ...at, x: left + at.x, y: top + at.y };
        if (child >= 0) { front.append(this.stepBox(child, box)); this.shown[child] = `s${child}`; }
        else if (!this.isOpen(-child)) { front.append(this.groupBox(-child, box)); for (const step of this.inside[-child]) this.shown[step] = `g${-child}`; }
        else {
          frames.append(this.frame(-child, box));
          visit(-child, at.inner, box.x - at.w / 2 + PAD, box.y + PAD + TITLE);
        }
      });
      if (groups[g].layout === null) return;
      const own = structure.layouts[groups[g].layout], { children } = groups[g];
      const where = (k) => [left + laid.places[k].x, top + laid.places[k].y];
      for (const [child, k] of own.ports) ports.set(`g${g}>${id(children[child])}`, where(k));
      for (const [a, b, by] of own.edges) if (by.length) bends.set(`${id(children[a])}>${id(children[b])}`, by.map(where));
    };
    this.bounds = this.place(0);
    visit(0, this.bounds, 0, 0);
    const holders = (step) => {
      const path = [];
      for (let g = steps[step].group; g !== null; g = groups[g].parent) path.unshift(g);
      const closed = path.findIndex((g) => !this.isOpen(g));
      return closed < 0 ? [...path.map((g) => `g${g}`), `s${step}`] : path.slice(0, closed + 1).map((g) => `g${g}`);
    };
    const route = (source, target) => { // by the bends between the groups, then in by their ports
      const a = holders(source), b = holders(target);
      let n = a.findIndex((holder, k) => holder !== b[k]);
      const points = [...(bends.get(`${a[n]}>${b[n]}`) ?? [])];
      for (; n + 1 < b.length; n++) points.push(ports.get(`${b[n]}>${b[n + 1]}`));
      return points.filter(Boolean);
    };
    steps.forEach((step, k) => step.inputs.forEach((source, position) => {
      if (source === null) return;
      const [from, to] = [this.shown[source], this.shown[k]];
      if (!from && !to) return;
      const ends = from && to ? [this.boxes.get(from), this.boxes.get(to)] : this.stub(source, k);
      if (!ends || from === to) return;
      const key = `${from ?? "-"}>${to ?? "-"}`;
      if (!this.edges.has(key)) {
        const points = from && to ? route(source, k) : [];
        const line = make("svg:path", { class: from && to ? "edge" : "edge stub", d: curve(ends[0], points, ends[1]) });
        const [x, y] = this.labelPlace([[ends[0].x, ends[0].y + ends[0].h], ...points, [ends[1].x, ends[1].y]], step.inputs, steps[source].uses);
        const label = make("svg:g", { class: "label", transform: `translate(${x},${y})` }, make("svg:rect", { rx: 9 }), make("svg:text", { "text-anchor": "middle", y: 4.5 }));
        this.edges.set(key, { line, label, uses: [] });
        lines.append(line);
        labels.append(label);
      }
      const n = steps[source].uses.findIndex(([user, at]) => user === k && at === position);
      if (n >= 0) this.edges.get(key).uses.push([source, n]);
    }));
    const tip = (name, kind) => make("svg:marker", { id: `${this.arrow}${name}`, class: kind, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9, orient: "auto-start-reverse", markerUnits: "userSpaceOnUse" },
      make("svg:path", { d: "M0,0.5L8,4L0,7.5z" }));
    this.svg.replaceChildren(make("svg:defs", {}, tip("", "tip"), tip("r", "tip turned")), frames, lines, front, labels);
    if (!this.view) this.fit(); else this.look();
    this.redrawn?.();
  }

  labelPlace(along, inputs, uses) { // in the middle of an edge, or nearer to the end where fewer edges meet
    const middle = Math.floor((along.length - 1) / 2), [[x, y], [u, v]] = along.slice(middle, middle + 2);
    const meet = inputs.filter((input) => input !== null).length - uses.length, t = meet > 0 ? 0.4 : meet < 0 ? 0.6 : 0.5;
    return [x + (u - x) * (3 * t ** 2 - 2 * t ** 3), y + (v - y) * (1.5 * t - 1.5 * t ** 2 + t ** 3)];
  }

  stub(source, target) { // an edge to a round that is not shown ends at the frame of the loop
    if (!this.steps[source].op) return null;
    const [inner, other] = this.shown[source] ? [source, target] : [target, source];
    const box = this.boxes.get(this.shown[inner]);
    for (let g = this.steps[other].group; g !== null; g = this.groups[g].parent) {
      const frame = this.frames.get(g);
      if (!frame || this.groups[g].kind !== "loop") continue;
      const within = this.inside[g].includes(inner);
      if (inner === target) return within ? [{ x: box.x, y: frame.y + TITLE, h: -4 }, box] : [{ x: frame.x, y: frame.y, h: frame.h }, box];
      return within ? [box, { x: box.x, y: frame.y + frame.h - 2 }] : null;
    }
    return null;
  }

  write(written, x, y, kind, anchor = "middle") { return make("svg:text", { x, y, "text-anchor": anchor, class: kind }, written); }

  stepBox(k, box) {
    const step = this.steps[k], title = this.title(k), scalar = !step.shape.length;
    const { x, y } = box, room = Math.floor((box.w - 20) / (LETTER + (step.family === "leaf" ? 0.8 : 0.2)));
    const element = make("svg:g", { class: `box ${step.family}`, "data-step": k }, rectangle(box), this.write(clip(title, room), x, y + 19, "e-name"),
      ...(scalar ? [this.write("", x, y + 38, "value"), this.write("", x, y + 57, "adjoint")] : this.tilePlaces(box)),
      make("svg:title", {}, `${title}, ${step.op ?? step.family}`));
    this.boxes.set(`s${k}`, { ...box, element, step: k });
    return asButton(element, title, () => this.select(k));
  }

  tilePlaces({ x, y }) { // the tile of the value at the left, of the adjoint at the right, and below each its scale
    const at = (side, kind) => make("svg:g", { class: `${kind} e-tile`, transform: `translate(${x + side * (TILE.w / 2 + 6)},${y + 29})` });
    return [at(-1, "value"), at(1, "adjoint")];
  }

  groupBox(g, box) { // its title and the scales at the left, the tiles of its output at the right
    const { title } = this.groups[g], count = this.inside[g].length, k = this.output(g), scalar = !this.steps[k].shape.length;
    const { x, y, w, h } = box, left = x - w / 2 + 12, right = x + w / 2 - 12;
    const tile = (kind, middle, line) => {
      const place = make("svg:g", { class: `${kind} e-tile`, transform: `translate(${middle},${y + 13})` });
      place.scaleAt = [left - middle, line, "start"];
      return place;
    };
    const element = make("svg:g", { class: "box folded", "data-group": g }, make("svg:rect", { class: "under", x: x - w / 2 + 4, y: y + 4, width: w, height: h, rx: 10 }), rectangle(box),
      this.write(title, left, y + 20, "e-name", "start"),
      ...(scalar ? [this.write("", right, y + 29, "value", "end"), this.write("", right, y + 49, "adjoint", "end"), this.write(`${count.toLocaleString("en")} steps`, left, y + 38, "faint", "start")]
        : [tile("value", right - 1.5 * TILE.w - 8, 25), tile("adjoint", right - TILE.w / 2, 40)]),
      make("svg:title", {}, `${title}: ${count} steps; open it`));
    this.boxes.set(`g${g}`, { ...box, element, step: k });
    return asButton(element, `unfold ${title}, ${count} steps`, () => { this.open.add(this.key(g)); this.draw(); });
  }

  frame(g, box) {
    const { title, kind } = this.groups[g], left = box.x - box.w / 2;
    const head = make("svg:g", { class: "title" }, make("svg:rect", { x: left + 4, y: box.y + 4, width: title.length * 8 + 28, height: 24, rx: 6 }),
      make("svg:path", { d: `M${left + 12},${box.y + 13}l4,5l4,-5`, class: "turn" }), this.write(title, left + 26, box.y + 20, "e-name", "start"));
    asButton(head, `fold ${title}`, () => { this.open.delete(this.key(g)); this.draw(); });
    this.frames.set(g, box);
    return make("svg:g", { class: "frame" }, rectangle(box), head, kind === "loop" ? this.roundSlider(g, box) : null);
  }

  roundSlider(g, box) {
    const count = this.roundsOf[g].length, now = this.rounds.get(g) ?? 0;
    const slider = make("input", { type: "range", min: 1, max: count, value: now + 1, "aria-label": `Round of ${this.groups[g].title}`, "data-loop": g });
    const said = make("output", {}, `${now + 1} of ${count.toLocaleString("en")}`);
    slider.addEventListener("input", () => {
      this.rounds.set(g, Number(slider.value) - 1);
      this.draw();
      this.svg.querySelector(`[data-loop="${g}"]`)?.focus();
    });
    const width = 220;
    return make("svg:foreignObject", { x: box.x + box.w / 2 - width - 8, y: box.y + 3, width, height: 28 }, make("div", { class: "rounds" }, slider, said));
  }

  // Light: what the moment shows. `now` has known(k), partial(k) -> { array, complete, text } or null, active, use, reversing

  light(now) {
    const { structure } = this;
    for (const { element, step: k, w } of this.boxes.values()) {
      element.classList.remove("active", "selected");
      const sum = now.partial(k), known = now.known(k);
      element.classList.toggle("known", known);
      element.classList.toggle("reached", sum !== null);
      element.classList.toggle("part", sum !== null && !sum.complete);
      const value = element.querySelector(".value"), adjoint = element.querySelector(".adjoint");
      if (value.tagName === "text") {
        value.textContent = clip(minus(text(now.numbers.value(k))), Math.floor((w - 16) / 8.5));
        adjoint.textContent = sum ? clip(`d${structure.result}/d${this.steps[k].label} = ${sum.array ? minus(text(sum.array)) : "\u2026"}${sum.complete ? "" : ` (${sum.count})`}`, Math.floor((w - 8) / LETTER)) : "";
      } else {
        this.tile(value, known ? now.numbers.value(k) : null, `${tuple(this.steps[k].shape)} `);
        this.tile(adjoint, sum?.array ?? null, sum && !sum.complete ? `${sum.count}: ` : "");
      }
    }
    this.boxes.get(this.shown[now.selected])?.element.classList.add("selected");
    if (now.step !== undefined) this.boxes.get(this.shown[now.step])?.element.classList.add("active");
    for (const [key, { line, label, uses }] of this.edges) {
      const sent = uses.filter(([k, n]) => now.sent(k, n)), active = now.use && uses.some(([k, n]) => k === now.step && n === now.use.n);
      const turned = now.reversing && uses.length > 0;
      line.setAttribute("class", `edge${key.includes("-") ? " stub" : ""}${turned ? " turned" : ""}${sent.length ? " sent" : ""}${active ? " active" : ""}`);
      line.setAttribute("marker-end", turned ? "none" : `url(#${this.arrow})`);
      line.setAttribute("marker-start", turned ? `url(#${this.arrow}${sent.length ? "r" : ""})` : "none");
      const written = sent.length && (active || !key.includes("-")) ? now.carried(active ? [now.step, now.use.n] : sent.at(-1), active) : "";
      label.classList.toggle("active", Boolean(active));
      label.toggleAttribute("hidden", !written);
      if (written) {
        const [frame, words] = label.children, width = written.length * 7 + 16;
        words.textContent = written;
        for (const [name, at] of [["x", -width / 2], ["y", -9], ["width", width], ["height", 18]]) frame.setAttribute(name, at);
      }
    }
  }

  tile(place, array, words) { // a heat map of one path for each shade, and a line below it
    if (place.shownArray === array && place.words === words) return;
    Object.assign(place, { shownArray: array, words });
    if (!array) { place.replaceChildren(); return; }
    const drawn = heat(array, 24);
    if (!drawn) { place.replaceChildren(this.write("empty", 0, 20, "faint")); return; }
    const fits = (room, count) => Math.min(room / count, 16), [across, down] = [fits(TILE.w, drawn.columns), fits(TILE.h, drawn.rows)];
    const thin = Math.min(across, down) * Math.min(drawn.columns, drawn.rows) < 16 ? 3 : 1; // a long strip is stretched
    const [cw, ch] = [Math.min(across, thin * down), Math.min(down, thin * across)], [w, h] = [cw * drawn.columns, ch * drawn.rows];
    const paths = new Map();
    drawn.parts.forEach((part, k) => {
      const kind = shade(part);
      if (!kind) return;
      const x = (k % drawn.columns) * cw - w / 2, y = Math.floor(k / drawn.columns) * ch + (TILE.h - h) / 2;
      paths.set(kind, `${paths.get(kind) ?? ""}M${x.toFixed(1)},${y.toFixed(1)}h${cw.toFixed(2)}v${ch.toFixed(2)}h${(-cw).toFixed(2)}z`);
    });
    place.replaceChildren(...[...paths].map(([kind, d]) => make("svg:path", { d, class: kind })),
      make("svg:rect", { class: "rim", x: -w / 2, y: (TILE.h - h) / 2, width: w, height: h }),
      this.write(words + scaleText(array, drawn), place.scaleAt?.[0] ?? 0, place.scaleAt?.[1] ?? TILE.h + 15, "e-caption", place.scaleAt?.[2]));
  }

  // Looking around

  look() { const { x, y, w, h } = this.view; this.svg.setAttribute("viewBox", `${x} ${y} ${w} ${h}`); }
  scale() { return this.view.w / (this.holder.clientWidth || this.view.w); }

  fit() { // on a phone above the buttons, which are as wide as half of it
    const { clientWidth: w, clientHeight: h } = this.holder, { bounds } = this, room = h - (w < 600 ? BUTTONS : 0);
    const scale = Math.max(bounds.w / Math.max(w - 32, 100), bounds.h / Math.max(room - 32, 100), 0.7);
    this.size = { w, h };
    this.view = !w || !h ? { x: 0, y: 0, ...bounds } : { x: (bounds.w - w * scale) / 2, y: (bounds.h - room * scale) / 2, w: w * scale, h: h * scale };
    this.look();
  }

  beginning() {
    const first = this.boxes.get(this.shown.find(Boolean));
    this.zoom(READABLE / this.scale());
    this.view.x = first.x - this.view.w / 2;
    this.view.y = -16;
    this.look();
  }

  zoom(by, x = this.view.x + this.view.w / 2, y = this.view.y + this.view.h / 2) {
    const { view } = this;
    this.view = { x: x - (x - view.x) * by, y: y - (y - view.y) * by, w: view.w * by, h: view.h * by };
    this.look();
  }

  pan() { // by wheel and by dragging, with mouse and fingers
    const { svg } = this;
    svg.addEventListener("wheel", (event) => {
      event.preventDefault();
      const frame = svg.getBoundingClientRect();
      this.zoom(Math.exp(event.deltaY / 500), this.view.x + (event.clientX - frame.x) * this.scale(), this.view.y + (event.clientY - frame.y) * this.scale());
    }, { passive: false });
    const held = new Map(); // the pointers that are down: one drags, two also zoom
    const middle = () => { // of the pointers, and how far apart they are
      const at = [...held.values()], [x, y] = ["clientX", "clientY"].map((name) => at.reduce((sum, each) => sum + each[name], 0) / at.length);
      return { x, y, apart: Math.hypot(at[0].clientX - at.at(-1).clientX, at[0].clientY - at.at(-1).clientY) };
    };
    const moved = (event) => {
      if (!event.buttons) released(event); // it was let go where no event came from
      if (!held.has(event.pointerId)) return;
      const before = middle(), frame = svg.getBoundingClientRect();
      held.set(event.pointerId, event);
      const now = middle();
      this.view.x -= (now.x - before.x) * this.scale();
      this.view.y -= (now.y - before.y) * this.scale();
      if (before.apart && now.apart) this.zoom(before.apart / now.apart, this.view.x + (now.x - frame.x) * this.scale(), this.view.y + (now.y - frame.y) * this.scale());
      this.look();
    };
    const released = ({ pointerId }) => {
      held.delete(pointerId);
      if (!held.size) listening(removeEventListener);
    };
    const listening = (listen) => { for (const [name, to] of [["pointermove", moved], ["pointerup", released], ["pointercancel", released]]) listen(name, to); };
    svg.addEventListener("pointerdown", (event) => {
      if (event.target.closest("input")) return;
      held.set(event.pointerId, event);
      listening(addEventListener);
    });
    new ResizeObserver(() => { // keep the middle and the scale
      const { clientWidth: w, clientHeight: h } = this.holder;
      if (!this.view || !w || !h) return;
      if (!this.size.w || !this.size.h) { this.start(); return; } // it was hidden until now
      const scale = this.view.w / this.size.w;
      this.view = { x: this.view.x + (this.view.w - w * scale) / 2, y: this.view.y + (this.view.h - h * scale) / 2, w: w * scale, h: h * scale };
      this.size = { w, h };
      this.look();
    }).observe(this.holder);
  }
}

const rectangle = ({ x, y, w, h }) => make("svg:rect", { x: x - w / 2, y, width: w, height: h, rx: 10 });
const scaleText = (array, drawn) => array.type === "bool" ? "" : `\u00b1${peakText(array, drawn, 3)}`.replace(/\u00b1(?=nan|inf)/, "");
const clip = (written, most) => written.length > most ? `${written.slice(0, Math.max(most - 1, 1))}\u2026` : written;

function apart(wanted, widths) { // as minigrad.viz.draw.layout.apart
  const offsets = [0];
  for (let k = 1; k < widths.length; k++) offsets.push(offsets[k - 1] + (widths[k - 1] + widths[k]) / 2 + GAP);
  const blocks = [];
  wanted.forEach((place, k) => {
    let mean = place - offsets[k], count = 1;
    while (blocks.length && blocks.at(-1)[0] > mean) {
      const [other, more] = blocks.pop();
      mean = (mean * count + other * more) / (count + more);
      count += more;
    }
    blocks.push([mean, count]);
  });
  return blocks.flatMap(([mean, count]) => Array(count).fill(mean)).map((start, k) => start + offsets[k]);
}

function curve(from, bends, to) {
  const points = [[from.x, from.y + from.h], ...bends, [to.x, to.y]];
  let d = `M${points[0]}`;
  for (let k = 1; k < points.length; k++) {
    const [[x, y], [u, v]] = [points[k - 1], points[k]];
    d += ` C${x},${(y + v) / 2} ${u},${(y + v) / 2} ${u},${v}`;
  }
  return d;
}
