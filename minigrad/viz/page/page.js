"use strict";
// What the page shows is in `data`, as Explanation.to_dict() has it. Text from the program only
// ever becomes text: nothing here reads it as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const { steps, groups, reverse, result } = data;
const byId = (id) => document.getElementById(id);

function make(name, attributes = {}, ...children) {
  const [space, tag] = name.split(":");
  const spaces = { svg: "http://www.w3.org/2000/svg", math: "http://www.w3.org/1998/Math/MathML" };
  const element = tag ? document.createElementNS(spaces[space], tag) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

// Formulas, from trees as minigrad.viz.text.typeset has them

const SIGNS = { "*": "\u22c5", "@": "\u2062", "-": "\u2212", "!=": "\u2260", "<=": "\u2264", ">=": "\u2265", mod: "mod" };

function math([kind, ...parts]) {
  const inner = () => parts.map(math);
  switch (kind) {
    case "i": return name(parts[0]);
    case "n": return numeral(parts[0].replace(/-/g, "\u2212"));
    case "o": return make("math:mo", parts[0] === "@" ? { lspace: "0.2em" } : {}, SIGNS[parts[0]] ?? parts[0]);
    case "t": return make("math:mtext", {}, parts[0]);
    case "frac": return make("math:mfrac", {}, ...(parts.every(isDifferential) ? parts.map(([, text]) => differential(text.slice(1))) : inner()));
    case "sup": return make("math:msup", {}, ...inner());
    case "sub": return make("math:msub", {}, ...inner());
    case "sqrt": return make("math:msqrt", {}, ...inner());
    default: return make("math:mrow", {}, ...inner());
  }
}

function numeral(text) {
  const [digits, exponent] = text.split("e");
  if (!exponent) return make("math:mn", {}, text);
  return make("math:mrow", {}, make("math:mn", {}, digits), make("math:mo", {}, "\u22c5"),
    make("math:msup", {}, make("math:mn", {}, "10"), make("math:mn", {}, exponent.replace(/^\u22120?|^\+?0?/, (sign) => sign[0] === "\u2212" ? "\u2212" : ""))));
}

// dz is d and z, set as two
const isDifferential = ([kind, text]) => kind === "i" && /^d./.test(text);
const differential = (text) => make("math:mrow", {}, make("math:mi", {}, "d"), name(text));

function name(text) {
  const [, letters, digits] = text.match(/^(.*?)(\d*)$/s);
  const base = make("math:mi", {}, letters || digits);
  return letters && digits ? make("math:msub", {}, base, make("math:mn", {}, digits)) : base;
}

function equation(left, right) { // a formula for each link of the chain: lines break between them
  const links = right.map((tree) => make("math:math", {}, make("math:mrow", {}, make("math:mo", { form: "infix" }, "="), math(tree))));
  return make("span", {}, make("math:math", {}, left), ...links.flatMap((link) => [" ", link]));
}

const derivative = (label) => make("math:mfrac", {}, differential(result), differential(label));

const tuple = (sizes) => `(${sizes.join(", ")}${sizes.length === 1 ? "," : ""})`;

// Time: each value of the forward pass, then dz/dz = 1, then each term of the reverse pass

const seed = steps.length;
const end = seed + 1 + reverse.length;
const root = steps.length - 1;
const sentAt = steps.map((step) => step.contributions.map(() => 0));
reverse.forEach(([step, k], n) => { sentAt[step][k] = seed + 2 + n; });

let time = 0;
let selected = root;

function reached(step) { // how many contributions have come in
  const times = sentAt[step];
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle + 1; else high = middle;
  }
  return low;
}

const short = (value) => value.short ?? value.text;

function adjointNow(step) {
  if (step === root) return time > seed ? short(steps[root].adjoint) : null;
  const k = reached(step);
  return k ? short(steps[step].contributions[k - 1].running) : null;
}

function happening() { // the step in the light, and the contribution that is sent to it
  if (time === 0) return {};
  if (time <= seed) return { step: time - 1 };
  if (time === seed + 1) return { step: root };
  const [step, k] = reverse[time - seed - 2];
  return { step, use: steps[step].contributions[k] };
}

// Folding

const inside = groups.map(() => []);
const open = new Set([0]);
for (let g = groups.length - 1; g >= 0; g--) {
  for (const [kind, k] of groups[g].children) {
    if (kind === "step") inside[g].push(k); else for (const step of inside[k]) inside[g].push(step);
  }
}

function unfoldOnce(limit) { // level by level, as long as the boxes can be taken in
  for (let level = [0]; level.length;) {
    const next = level.flatMap((g) => groups[g].children.filter(([kind]) => kind === "group").map(([, k]) => k));
    const closed = next.filter((g) => !open.has(g));
    if (closed.length) {
      const added = closed.reduce((sum, g) => sum + groups[g].children.length, 0);
      if (boxes.size + added > limit) return false;
      closed.forEach((g) => open.add(g));
      return true;
    }
    level = next;
  }
  return false;
}

function holders(step) { // what it is drawn in, from the outermost group, and what is drawn for it
  const path = [];
  for (let g = steps[step].group; g !== null; g = groups[g].parent) path.unshift(`g${g}`);
  const closed = path.findIndex((holder) => !open.has(Number(holder.slice(1))));
  return closed < 0 ? [...path, `s${step}`] : path.slice(0, closed + 1);
}

function reveal(step) {
  for (let g = steps[step].group; g !== null; g = groups[g].parent) open.add(g);
}

// Places

const ROW = 38, PAD = 14, TITLE = 24, GAP = 28;
const STEP_HEIGHT = 66, GROUP_HEIGHT = 46;

function apart(wanted, widths) { // as minigrad.viz.draw.layout.apart
  const offsets = [0];
  for (let k = 1; k < widths.length; k++) offsets.push(offsets[k - 1] + (widths[k - 1] + widths[k]) / 2 + GAP);
  const blocks = [];
  wanted.forEach((place, k) => {
    let mean = place - offsets[k], count = 1;
    while (blocks.length && blocks[blocks.length - 1][0] > mean) {
      const [other, more] = blocks.pop();
      mean = (mean * count + other * more) / (count + more);
      count += more;
    }
    blocks.push([mean, count]);
  });
  return blocks.flatMap(([mean, count]) => Array(count).fill(mean)).map((start, k) => start + offsets[k]);
}

function place(g) { // the size of an open group, and the places in it
  const { children, layers } = groups[g];
  const size = children.map(([kind, k]) => {
    if (kind === "step") return { w: steps[k].width, h: STEP_HEIGHT };
    if (!open.has(k)) return { w: Math.max(150, groups[k].title.length * 7.6 + 40), h: GROUP_HEIGHT };
    const inner = place(k);
    return { w: inner.w + 2 * PAD, h: inner.h + 2 * PAD + TITLE, inner };
  });
  const wide = layers.flat().filter(([k]) => size[k]?.inner);
  const shift = (x) => wide.reduce((sum, [k, at]) => sum + Math.sign(x - at) * Math.max(0, size[k].w - 200) / 2, x);
  const places = [];
  let y = 0;
  for (const layer of layers) {
    const sizes = layer.map(([k]) => size[k] ?? { w: 0, h: 0 });
    const xs = apart(layer.map(([, x]) => shift(x)), sizes.map(({ w }) => w));
    const height = Math.max(...sizes.map(({ h }) => h));
    layer.forEach(([k], n) => { places[k] = { x: xs[n], y: y + (height - sizes[n].h) / 2, ...sizes[n] }; });
    y += height + ROW;
  }
  const left = Math.min(...places.filter(Boolean).map(({ x, w }) => x - w / 2));
  const right = Math.max(...places.filter(Boolean).map(({ x, w }) => x + w / 2));
  for (const at of places) if (at) at.x -= left;
  return { w: Math.max(right - left, groups[g].title.length * 7.6), h: y - ROW, places };
}

// Drawing: boxes of steps and of folded groups, by "s3" and "g2"

const svg = make("svg:svg", { role: "group", "aria-label": "Graph of the computation" });
byId("graph").append(svg);
let boxes = new Map(), edges = new Map(), shown = [], bounds = { w: 1, h: 1 };
let view = null;

function draw() {
  boxes = new Map(); edges = new Map(); shown = [];
  const frames = make("svg:g"), lines = make("svg:g", { "aria-hidden": "true" }), front = make("svg:g");
  const bends = new Map(), ports = new Map();
  const visit = (g, laid, left, top) => {
    const { children, edges: inner } = groups[g];
    children.forEach(([kind, k], n) => {
      const at = laid.places[n];
      const box = { ...at, x: left + at.x, y: top + at.y };
      if (kind === "step") { front.append(stepBox(k, box)); shown[k] = `s${k}`; }
      else if (!open.has(k)) { front.append(groupBox(k, box)); for (const step of inside[k]) shown[step] = `g${k}`; }
      else {
        frames.append(frame(k, box));
        visit(k, at.inner, box.x - at.w / 2 + PAD, box.y + PAD + TITLE);
      }
    });
    for (const [child, k] of groups[g].ports) ports.set(`g${g}>${id(children[child])}`, [left + laid.places[k].x, top + laid.places[k].y]);
    for (const [a, b, by] of inner) {
      if (by.length) bends.set(id(children[a]) + ">" + id(children[b]), by.map((k) => [left + laid.places[k].x, top + laid.places[k].y]));
    }
  };
  const id = ([kind, k]) => kind[0] + k;
  const route = (source, target) => { // by the bends between the groups, then in by their ports
    const a = holders(source), b = holders(target);
    let n = a.findIndex((holder, k) => holder !== b[k]);
    const points = [...(bends.get(`${a[n]}>${b[n]}`) ?? [])];
    for (; n + 1 < b.length; n++) points.push(ports.get(`${b[n]}>${b[n + 1]}`));
    return points;
  };
  const laid = place(0);
  bounds = laid;
  visit(0, laid, 0, 0);
  steps.forEach((step, k) => step.inputs.forEach((source) => {
    const from = shown[source], to = shown[k], key = `${from}>${to}`;
    if (from === to || edges.has(key)) return;
    const line = make("svg:path", { class: "edge", d: curve(boxes.get(from), route(source, k), boxes.get(to)), "marker-end": "url(#arrow)" });
    edges.set(key, line);
    lines.append(line);
  }));
  const arrow = make("svg:marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto-start-reverse", markerUnits: "userSpaceOnUse" },
    make("svg:path", { d: "M0,0 L8,4 L0,8 z", style: "fill: var(--edge)" }));
  svg.replaceChildren(make("svg:defs", {}, arrow), frames, lines, front);
  if (!view) fit(); else look();
  light();
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

function button(element, label, act) {
  element.setAttribute("role", "button");
  element.setAttribute("tabindex", "0");
  element.setAttribute("aria-label", label);
  element.addEventListener("click", act);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act(); }
  });
  return element;
}

const clipped = (text, width) => text.length * 7.8 > width - 12 ? text.slice(0, Math.floor((width - 12) / 7.8) - 1) + "\u2026" : text;
const write = (text, box, line, kind) =>
  make("svg:text", { x: box.x, y: box.y + 18 + 18 * line, "text-anchor": "middle", class: kind }, clipped(text, box.w));
const rectangle = ({ x, y, w, h }) => make("svg:rect", { x: x - w / 2, y, width: w, height: h, rx: 7 });

function stepBox(k, box) {
  const step = steps[k];
  const title = step.op ? `${step.label} = ${step.definition[step.definition.length - 2]}` : step.name ? `${step.label} = ${step.name}` : step.label;
  const element = make("svg:g", { class: `box ${step.family}`, "data-step": k }, rectangle(box),
    write(title, box, 0, "name"), write(short(step.value), box, 1, "value"), write("", box, 2, "adjoint"),
    make("svg:title", {}, `${title}, ${step.op ?? step.family}`));
  boxes.set(`s${k}`, { ...box, element });
  return button(element, title, () => select(k));
}

function groupBox(g, box) {
  const { title, size } = groups[g];
  const element = make("svg:g", { class: "box folded", "data-group": g }, rectangle(box), write(title, box, 0, "name"),
    write(`${size.toLocaleString("en")} steps`, box, 1, "faint"));
  boxes.set(`g${g}`, { ...box, element });
  return button(element, `unfold ${title}, ${size} steps`, () => { open.add(g); draw(); });
}

function frame(g, box) {
  const { title } = groups[g];
  const head = make("svg:text", { x: box.x - box.w / 2 + PAD, y: box.y + 20, class: "title faint" }, title);
  button(head, `fold ${title}`, () => { open.delete(g); draw(); });
  return make("svg:g", { class: "frame" }, rectangle(box), head);
}

// Light: what the moment shows

function light() {
  const now = happening();
  for (const [key, { element, w }] of boxes) {
    element.classList.remove("active", "selected");
    if (key[0] !== "s") continue;
    const k = Number(key.slice(1)), adjoint = adjointNow(k);
    element.classList.toggle("known", k < time);
    element.classList.toggle("reached", adjoint !== null);
    element.querySelector(".adjoint").textContent = adjoint === null ? "" : clipped(`d${result}/d${steps[k].label} = ${adjoint}`, w);
  }
  boxes.get(shown[selected])?.element.classList.add("selected");
  if (now.step !== undefined) boxes.get(shown[now.step])?.element.classList.add("active");
  svg.querySelectorAll(".edge.active").forEach((edge) => edge.classList.remove("active"));
  if (now.use) edges.get(`${shown[now.step]}>${shown[now.use.user]}`)?.classList.add("active");
}

function go(to) {
  time = Math.max(0, Math.min(end, to));
  byId("slider").value = time;
  const now = happening();
  byId("phase").textContent = time === 0 ? "Before the forward pass" : time <= seed
    ? `Forward: ${time.toLocaleString("en")} of ${seed.toLocaleString("en")}`
    : `Reverse: ${(time - seed).toLocaleString("en")} of ${(end - seed).toLocaleString("en")}`;
  byId("slider").setAttribute("aria-valuetext", byId("phase").textContent);
  byId("now").replaceChildren(...story(now));
  if (now.step !== undefined) { selected = now.step; follow(now.step); details(); program(now); }
  light();
}

function story({ step, use }) {
  if (step === undefined) return ["Step through both passes: the buttons, the slider, or the arrow keys."];
  const it = steps[step];
  if (time <= seed) return [equation(name(it.label), it.math.definition)];
  if (time === seed + 1) return [equation(derivative(it.label), [["n", "1"]]), ": where the reverse pass starts"];
  const user = steps[use.user];
  const summed = use.summed.length ? `, summed over axes ${use.summed.join(", ")} from shape ${tuple(use.from)}` : "";
  const which = it.contributions.length > 1 ? `${use.nth} contributions` : "The only contribution";
  return [`${which} to `, make("math:math", {}, derivative(it.label)), `: upstream ${user.adjoint.text}, by `,
    make("math:math", {}, math(use.math)), `${use.numbers ? ` = ${use.numbers}` : ""}${summed} = ${use.cotangent.text}; the sum so far is ${use.running.text}`];
}

function follow(step) {
  const box = boxes.get(shown[step]);
  if (box && (box.x - box.w / 2 < view.x || box.x + box.w / 2 > view.x + view.w || box.y < view.y || box.y + box.h > view.y + view.h)) {
    view.x = box.x - view.w / 2;
    view.y = box.y - view.h / 2;
    look();
  }
}

// The panel

function select(step) { selected = step; details(); program({ step }); light(); }

function details() {
  const it = steps[selected];
  const rows = [["op", it.op ? `${it.op} (${it.family})` : it.family], ["name", it.name], ["shape", it.value.shape ? `${tuple(it.value.shape)} ${it.value.dtype}` : null],
    ["value", it.value.exact ?? it.value.text], ["adjoint", it.adjoint ? it.adjoint.exact ?? it.adjoint.text : "no gradient flows back to it"]];
  const list = make("dl", {}, ...rows.filter(([, text]) => text).flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)]));
  byId("details").replaceChildren(make("h2", {}, it.name ? `${it.label} = ${it.name}` : it.label), list, map(it, it.value, "value"),
    make("div", { class: "formula", tabindex: 0 }, equation(name(it.label), it.math.definition)),
    ...(it.adjoint ? [make("div", { class: "formula", tabindex: 0 }, equation(derivative(it.label), it.math.derivation)), map(it, it.adjoint, "adjoint"), make("pre", { id: "entry", "aria-live": "polite" })] : []),
    uses(it));
}

function map(it, value, what) { // the entries of small arrays are buttons: they show what they add up from
  if (!value.heat?.length) return make("span");
  const columns = value.heat[0].length;
  const cells = value.cells && value.cells.length === value.heat.flat().length ? value.cells : null;
  const grid = make("div", { class: "map", role: cells && it.entries ? "group" : "img", "aria-label": `${what}: ${value.text}`, style: `grid-template-columns: repeat(${columns}, max-content)`, ...(cells && !it.entries ? { tabindex: 0 } : {}) });
  value.heat.flat().forEach((part, k) => {
    const color = part === null ? "var(--wrong)" : `color-mix(in srgb, var(--${part < 0 ? "low" : "high"}) ${Math.round(Math.abs(part) * 60)}%, var(--paper))`;
    const style = `background: ${color}`;
    if (!cells || !it.entries) return grid.append(make("span", { style }, cells ? cells[k] : ""));
    const cell = make("button", { type: "button", style }, cells[k]);
    cell.addEventListener("click", () => { byId("entry").textContent = it.entries[k]; });
    grid.append(cell);
  });
  return grid;
}

function uses(it) {
  if (!it.contributions.length) return make("p");
  const most = 50;
  const rows = it.contributions.slice(0, most).map((use) => make("tr", {}, make("td", {}, it.contributions.length > 1 ? use.nth : "only"), make("td", {}, make("math:math", {}, math(use.math))),
    make("td", {}, use.cotangent.text + (use.summed.length ? `, summed over axes ${use.summed.join(", ")}` : "")), make("td", {}, use.running.text)));
  const head = make("tr", {}, ...["", "upstream \u22c5 local", "contribution", "sum so far"].map((title) => title ? make("th", { scope: "col" }, title) : make("td")));
  const left = it.contributions.length - most;
  return make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Contributions" }, make("table", {}, head, ...rows), left > 0 ? make("p", {}, `and ${left.toLocaleString("en")} more`) : null);
}

let showing = null;
function program({ step, use }) {
  const line = (use ? steps[use.user] : steps[step]).line ?? null;
  if (!line) return;
  const [file, number] = line, source = data.sources[file];
  if (showing !== file) {
    showing = file;
    byId("lines").replaceChildren(make("p", {}, source.file), ...source.lines.map((text, k) =>
      make("div", {}, make("span", { class: "number" }, String(source.first + k)), text)));
  }
  const rows = byId("lines").querySelectorAll("div");
  rows.forEach((row, k) => row.classList.toggle("current", source.first + k === number));
  const current = rows[number - source.first];
  if (current) byId("lines").scrollTop = current.offsetTop - byId("lines").offsetTop - 60;
}

// The gradient, right and wrong

const FAULTS = {
  right: ["nothing: this is the gradient", ""],
  order: ["topological order", "Each value sent its adjoint on when it was first reached. Where a value is used more than once, what came in later was never passed on: a value must wait until all that use it have sent their terms."],
  zeroing: ["gradients set to zero", "backward() ran a second time and added to the gradients of the first. Set them to zero, or to None, before each backward()."],
  unbroadcasting: ["un-broadcasting", "Where an input was broadcast, one entry was used many times. Its adjoint is the sum over all its uses; without that sum it has the wrong shape, and a wrong number."],
};
let fault = "right";

function gradient() {
  const leaves = steps.filter((step) => step.family === "leaf");
  const wrongs = fault === "right" ? [] : leaves.filter((leaf) => leaf.wrong[fault]);
  const titles = ["", "gradient", ...(fault === "right" ? ["finite differences", "error"] : ["without it"])];
  const rows = leaves.slice(0, 300).map((leaf) => {
    const wrong = leaf.wrong[fault];
    const cells = fault === "right" ? [leaf.check?.differences ?? "", leaf.check?.error ?? ""] : [wrong ? wrong.error ?? wrong.text : "the same"];
    const right = leaf.adjoint ? leaf.adjoint.text : "none";
    const direction = fault === "right" && leaf.check && leaf.value.shape ? `; along a random direction ${leaf.check.reverse}` : "";
    return make("tr", {}, make("th", { scope: "row" }, leaf.name ?? leaf.label), make("td", {}, right + direction),
      ...cells.map((text) => make("td", wrong && fault !== "right" ? { class: "wrong" } : {}, text)));
  });
  byId("gradient").replaceChildren(make("tr", {}, ...titles.map((title) => title ? make("th", { scope: "col" }, title) : make("td"))), ...rows);
  byId("why").textContent = FAULTS[fault][1] + (fault !== "right" && !wrongs.length ? " Here it changes nothing." : "");
  byId("unchecked").textContent = data.unchecked ? `${data.unchecked.toLocaleString("en")} leaves were not checked by finite differences: there are too many.` : "";
}

for (const [kind, [title]] of Object.entries(FAULTS)) {
  const choice = make("input", { type: "radio", name: "fault", value: kind });
  choice.checked = kind === fault;
  choice.addEventListener("change", () => { fault = kind; gradient(); });
  byId("faults").append(make("label", {}, choice, ` ${title}`));
}

// Looking around

function look() { svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`); }

function fit() {
  const { clientWidth: w, clientHeight: h } = byId("graph");
  const scale = Math.max(bounds.w / Math.max(w - 40, 100), bounds.h / Math.max(h - 40, 100), 0.7);
  const shape = { w: w * scale, h: h * scale };
  view = { x: bounds.w / 2 - shape.w / 2, y: bounds.h / 2 - shape.h / 2, ...shape };
  look();
}

function start() { // all of it; or if its text would be too small to read, its beginning
  fit();
  if (scaleNow() <= READABLE) return;
  const first = boxes.get(shown[0]);
  zoom(READABLE / scaleNow());
  view.x = first.x - view.w / 2;
  view.y = first.y - 40;
  look();
}

function zoom(by, x = view.x + view.w / 2, y = view.y + view.h / 2) {
  view = { x: x - (x - view.x) * by, y: y - (y - view.y) * by, w: view.w * by, h: view.h * by };
  look();
}

const READABLE = 1.3; // of the graph's units to a pixel
const scaleNow = () => view.w / svg.clientWidth;
svg.addEventListener("wheel", (event) => {
  event.preventDefault();
  const frame = svg.getBoundingClientRect();
  zoom(Math.exp(event.deltaY / 500), view.x + (event.clientX - frame.x) * scaleNow(), view.y + (event.clientY - frame.y) * scaleNow());
}, { passive: false });
let held = null;
svg.addEventListener("pointerdown", (event) => { held = event; });
addEventListener("pointerup", () => { held = null; });
addEventListener("pointermove", (event) => {
  if (!held) return;
  view.x -= (event.clientX - held.clientX) * scaleNow();
  view.y -= (event.clientY - held.clientY) * scaleNow();
  held = event;
  look();
});

let matches = [], match = 0;
byId("finder").addEventListener("submit", (event) => { event.preventDefault(); find(1); });
byId("search").addEventListener("input", () => { matches = []; find(0); });
function find(on) {
  const wanted = byId("search").value.trim().toLowerCase();
  if (!matches.length && wanted) {
    const titled = new Set(groups.flatMap(({ title }, g) => title.toLowerCase().includes(wanted) ? inside[g].slice(0, 1) : []));
    matches = steps.map((_, k) => k).filter((k) => titled.has(k) || [steps[k].label, steps[k].name, steps[k].op].some((text) => text?.toLowerCase().includes(wanted)));
    match = 0;
  } else if (matches.length) match = (match + on) % matches.length;
  byId("found").textContent = wanted ? matches.length ? `${match + 1} of ${matches.length.toLocaleString("en")}` : "none" : "";
  if (!wanted || !matches.length) return;
  reveal(matches[match]);
  draw();
  select(matches[match]);
  follow(matches[match]);
}

const press = { first: () => go(0), back: () => go(time - 1), on: () => go(time + 1), last: () => go(end),
  closer: () => zoom(0.8), farther: () => zoom(1.25), whole: fit,
  unfold: () => { unfoldOnce(Infinity); draw(); }, fold: () => { open.clear(); open.add(0); draw(); start(); } };
for (const [id, act] of Object.entries(press)) byId(id).addEventListener("click", act);
byId("slider").max = end;
byId("slider").addEventListener("input", () => go(Number(byId("slider").value)));
addEventListener("keydown", (event) => {
  if (event.target.matches("input, summary") || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = { ArrowRight: "on", ArrowLeft: "back", Home: "first", End: "last", "+": "closer", "-": "farther" }[event.key];
  if (act) { event.preventDefault(); press[act](); }
});

byId("note").textContent = data.note && `Complex numbers: ${data.note}.`;
byId("title").textContent = `${result}: forward and reverse, step by step`;
draw();
while (unfoldOnce(60)) draw();
start();
gradient();
details();
program({ step: root });
go(0);
document.documentElement.dataset.ready = "yes";
