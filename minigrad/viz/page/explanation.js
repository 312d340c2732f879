// The explanation of a result: both passes, step by step, on its graph.
import { icon, iconButton, make } from "./make.js";
import { derivative, equation, evaluated, fill, math, ofText, op, pieces, plain, row } from "./formulas.js";
import { Graph } from "./graph.js";
import { entryOf, entryText, heat, isScalar, largestText, minus, Numbers, peakText, shade, statistics, text, tuple, unpack } from "./numbers.js";

const MISTAKES = {
  right: ["nothing", "This is the gradient."],
  order: ["topological order", "Each value sent its adjoint on when it was first reached. Where a value is used more than once, what came in later was never passed on: a value must wait until all that use it have sent their terms."],
  zeroing: ["gradients set to zero", "backward() ran a second time and added to the gradients of the first. Set them to zero, or to None, before each backward()."],
  unbroadcasting: ["un-broadcasting", "Where an input was broadcast, one entry was used many times. Its adjoint is the sum over all its uses; without that sum it has the wrong shape, and a wrong number."],
};
const MOST = 50; // rows of a table of contributions
const CELLS = 64; // entries of an array that are written out
const DIGITS = [4, 6, 8, 11, 14, 17]; // of numbers: as many as it takes for what is printed to give what is printed after it

/* Shows an explanation in an element.
 *
 * structure, numbers: as explanation_structure has it; and the arrays, packed by Python, or
 *   { arrays: [...] }, typed arrays in the order of minigrad/viz/page/numbers.py.
 * at: the number of a step to open at, when all its contributions have come in.
 * edit(step, entry, value): called when a user gives an entry of a leaf another value; it returns the new
 *   numbers, or a promise of them. Without it, nothing can be edited.
 *
 * Returns { update(numbers), go(time), element }.
 */
export function mountExplanation(element, structure, numbers, { at = null, edit = null } = {}) {
  return new ExplanationView(element, structure, numbers, at, edit);
}

class ExplanationView {
  constructor(element, structure, numbers, at, edit) {
    const { steps, reverse } = structure;
    Object.assign(this, { element, structure, steps, edit, root: steps.length - 1, selected: null, fault: "right" });
    // Time: each value of the forward pass, then dz/dz = 1, then each term of the reverse pass
    this.seed = steps.length;
    this.end = this.seed + 1 + reverse.length;
    this.sentAt = steps.map((step) => step.uses.map(() => 0));
    const names = steps.map(({ name }) => name).filter(Boolean);
    this.shared = new Set(names.filter((name, k) => names.indexOf(name) < k)); // by several steps
    reverse.forEach(([step, k], n) => { this.sentAt[step][k] = this.seed + 2 + n; });
    this.time = this.seed;
    this.take(numbers);
    this.build();
    this.graph = new Graph(this.parts.graph, structure, (step) => this.select(step));
    this.graph.redrawn = () => this.light();
    this.parts.graph.append(this.parts.tools);
    this.graph.start();
    this.go(this.seed, false);
    this.graph.overview(); // of the rounds that are shown now
    this.show("gradient");
    if (at !== null) {
      this.graph.reveal(at);
      this.select(at);
      this.go(Math.max(this.seed, ...this.sentAt[at], ...(at === this.root ? [this.seed + 1] : [])), true, at);
    }
  }

  take(numbers) {
    const arrays = numbers.arrays ?? unpack(this.structure, numbers);
    this.numbers = new Numbers(this.structure, arrays);
    this.extra = { checks: {}, wrong: {}, entries: {}, unchecked: 0, live: Boolean(numbers.arrays), ...numbers };
  }

  update(numbers) {
    this.take(numbers);
    this.light();
    this.story();
    this.details();
    this.gradient();
  }

  // The frame

  build() {
    const { end, seed } = this, parts = this.parts = {};
    const p = (name, element) => { parts[name] = element; element.classList.add(`e-${name}`); return element; };
    const find = make("form", { role: "search", class: "bar" },
      p("search", make("input", { type: "search", placeholder: "Find a name, op or module", "aria-label": "Find", autocomplete: "off", size: 24 })), p("found", make("output", { class: "small faint" })));
    find.addEventListener("submit", (event) => { event.preventDefault(); this.find(1); });
    parts.search.addEventListener("input", () => { this.matches = null; this.find(0); });
    p("slider", make("input", { type: "range", min: 0, max: end, value: this.time, "aria-label": "Step", style: `--half: ${(100 * (seed + 0.5)) / end}%` }));
    parts.slider.addEventListener("input", () => this.go(Number(parts.slider.value)));
    p("play", iconButton("play", "Play", () => this.play()));
    parts.play.classList.add("primary");
    p("tools", make("div", { role: "group", "aria-label": "View" },
      iconButton("unfold", "Unfold", () => this.graph.unfoldAll()), iconButton("fold", "Fold", () => this.graph.foldAll()),
      iconButton("closer", "Zoom in", () => this.graph.zoom(0.8)), iconButton("farther", "Zoom out", () => this.graph.zoom(1.25)), iconButton("whole", "Fit", () => this.graph.fit())));
    const tabs = make("div", { role: "tablist", "aria-label": "Details", class: "e-tabs" });
    const tab = (name, title, content) => {
      const button = make("button", { type: "button", role: "tab", "data-tab": name, "aria-selected": "false", tabindex: "-1" }, title);
      button.addEventListener("click", (event) => {
        this.show(name);
        if (event.detail) button.blur(); // after a click by mouse, the arrow keys step
      });
      button.addEventListener("keydown", (event) => {
        if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
        event.preventDefault(); event.stopPropagation();
        const other = (event.key === "ArrowRight" ? button.nextElementSibling : button.previousElementSibling) ?? (event.key === "ArrowRight" ? tabs.firstChild : tabs.lastChild);
        this.show(other.dataset.tab); other.focus();
      });
      tabs.append(button);
      return p(name, make("section", { role: "tabpanel", "aria-label": title, tabindex: "0" }, ...content));
    };
    const faults = make("div", { class: "choices" });
    for (const [kind, [title]] of Object.entries(MISTAKES)) {
      const choice = make("input", { type: "radio", name: `fault-${this.graphId()}`, value: kind });
      choice.checked = kind === this.fault;
      choice.addEventListener("change", () => { this.fault = kind; this.gradient(); });
      faults.append(make("label", { class: "choice" }, choice, title));
    }
    const gradientTab = tab("gradient", "Gradient", [
      p("faults", make("fieldset", {}, make("legend", {}, "What if it were done without \u2026"), faults)), p("why", make("p", { "aria-live": "polite" })),
      make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Gradient" }, p("leaves", make("table"))), p("along", make("p", { class: "small faint" })), p("unchecked", make("p", { class: "small faint" })), p("note", make("p", { class: "small" })), p("memory", make("div", { class: "small" }))]);
    const stepTab = tab("details", "This step", [p("head", make("div")), p("editing", make("div")), p("body", make("div"))]);
    const programTab = tab("program", "Program", [p("lines", make("div", { role: "region", "aria-label": "Lines of the program" }, this.structure.sources.length ? "" : "There is no file with the lines of this program."))]);
    const kind = p("phase", make("p", {}));
    this.element.classList.add("explanation");
    this.element.replaceChildren(
      make("header", { class: "top" }, p("title", make("h1")), find),
      make("nav", { class: "bar steps", "aria-label": "Steps" }, iconButton("first", "To the start", () => this.go(0)), iconButton("back", "One step back", () => this.go(this.time - 1)), parts.play,
        iconButton("on", "One step on", () => this.go(this.time + 1)), iconButton("last", "To the end", () => this.go(end)), parts.slider, kind),
      p("now", make("div", { "aria-live": "polite" })),
      make("main", {}, p("graph", make("section", { "aria-label": "Graph" })), make("aside", { "aria-label": "Details" }, tabs, gradientTab, stepTab, programTab)));
    parts.tabs = tabs;
    parts.title.append(...this.heading());
    parts.title.setAttribute("aria-label", [...parts.title.childNodes].map((part) => part.spoken ?? part.textContent).join(""));
    if (this.structure.memory) parts.memory.append(make("p", { class: "label" }, "Memory"), ...this.structure.memory.summary.map((line) => make("p", {}, `${line[0].toUpperCase()}${line.slice(1)}.`)));
    parts.note.textContent = this.structure.note && `Complex numbers: ${this.structure.note}.`;
    this.element.addEventListener("keydown", (event) => this.key(event));
    if (this.element === document.body) document.addEventListener("keydown", (event) => { if (event.target === document.body || event.target === document.documentElement) this.key(event); });
  }

  graphId() { ExplanationView.count = (ExplanationView.count ?? 0) + (this.number ? 0 : 1); return this.number ??= ExplanationView.count; }

  key(event) {
    if (event.defaultPrevented || event.target.closest?.("input, summary, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = { ArrowRight: () => this.go(this.time + 1), ArrowLeft: () => this.go(this.time - 1), Home: () => this.go(0), End: () => this.go(this.end), "+": () => this.graph.zoom(0.8), "-": () => this.graph.zoom(1.25) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  heading() { // the whole formula, if it is short; or what it is made of
    const whole = this.expression(this.root, 48), { result, groups } = this.structure;
    if (whole) {
      const formula = row(["i", result], op("="), whole);
      return [Object.assign(make("math:math", {}, math(formula)), { spoken: plain(formula) })];
    }
    const main = groups[0].children.filter((child) => child < 0 && ["module", "call"].includes(groups[-child].kind)).map((child) => groups[-child].title);
    return [make("math:math", {}, math(["i", result])), main.length ? `: ${main.join(" \u2192 ")}` : `: ${this.steps.length.toLocaleString("en")} steps`];
  }

  expression(step, room) {
    const { formula, name, label, inputs } = this.steps[step];
    if (formula === null) return ["i", name && !this.shared.has(name) ? name : label];
    const slots = {};
    for (const [k, x] of inputs.entries()) {
      if (x === null) continue;
      const inner = room > 0 ? this.expression(x, room - 12) : null;
      if (!inner) return null;
      slots[`_x${k}`] = inner;
    }
    const filled = fill(this.structure.formulas[formula], slots);
    return plain(filled).length <= room ? filled : null;
  }

  // Time

  go(to, select = true, step = null) {
    this.time = Math.max(0, Math.min(this.end, to));
    if (this.time === this.end) this.pause();
    const { time, seed, end, parts } = this, now = this.happening();
    parts.slider.value = time;
    const [pass, at, all] = time <= seed ? ["Forward", time, seed] : ["Reverse", time - seed, end - seed];
    if (time === 0) parts.phase.textContent = "Before the forward pass";
    else parts.phase.replaceChildren(`${pass}: `, make("span", {}, `${at.toLocaleString("en")} of ${all.toLocaleString("en")}`));
    parts.phase.dataset.pass = pass.toLowerCase();
    parts.slider.setAttribute("aria-valuetext", parts.phase.textContent);
    if (now.step !== undefined && select) {
      this.selected = step ?? now.step;
      this.graph.follow(this.selected);
      if (this.shown === "gradient") this.show("details");
    } else if (now.step === undefined) this.selected = null;
    this.light();
    this.story();
    this.details();
    this.program(now);
  }

  play() {
    if (this.timer) return this.pause();
    if (this.time === this.end) this.go(0);
    const delay = Math.min(1100, Math.max(40, 90_000 / this.end));
    this.timer = setInterval(() => this.go(this.time + 1), delay);
    this.playing(true);
    this.go(this.time + 1);
  }

  pause() { clearInterval(this.timer); this.timer = null; this.playing(false); }

  playing(on) {
    const { play } = this.parts;
    play.replaceChildren(icon(on ? "pause" : "play"));
    play.setAttribute("aria-label", on ? "Pause" : "Play");
    play.title = on ? "Pause" : "Play";
  }

  happening() { // the step in the light, and the contribution that is sent to it
    const { time, seed } = this;
    if (time === 0) return {};
    if (time <= seed) return { step: time - 1 };
    if (time === seed + 1) return { step: this.root };
    const [step, n] = this.structure.reverse[time - seed - 2];
    return { step, use: this.use(step, n) };
  }

  use(step, n) {
    const [user, position, template] = this.steps[step].uses[n];
    return { n, user, position, ...this.structure.templates[template] };
  }

  cameIn(step) { // how many contributions have come in
    const times = this.sentAt[step];
    let low = 0, high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] <= this.time) low = middle + 1; else high = middle;
    }
    return low;
  }

  partial(step) { // the adjoint so far
    if (step === this.root) return this.time > this.seed ? { array: this.numbers.adjoint(step), complete: true, count: "" } : null;
    const k = this.cameIn(step), all = this.steps[step].uses.length;
    return k ? { array: this.numbers.running(step, k - 1), complete: k === all, count: `${k} of ${all}` } : null;
  }

  light() {
    if (!this.graph) return;
    this.graph.light({
      ...this.happening(), numbers: this.numbers, selected: this.selected, reversing: this.time > this.seed,
      known: (k) => k < this.time, partial: (k) => this.partial(k), sent: (k, n) => this.sentAt[k][n] <= this.time,
      carried: ([k, n], active) => this.carried(k, n, active),
    });
  }

  carried(step, n, active) { // what an edge carries back: upstream times local derivative
    const cotangent = this.numbers.cotangent(step, n), local = this.numbers.local(step, n), { user, real } = this.use(step, n);
    if (!isScalar(cotangent)) return active ? largestText(cotangent) : "";
    if (!local || !isScalar(local)) return said(cotangent);
    const product = [this.numbers.adjoint(user), local].map((x) => bracketed(text(x))).join(" \u00d7 ");
    return (real ? `real(${product})` : product) + (active ? ` = ${said(cotangent)}` : "");
  }

  // Formulas

  name(step) { return ["i", this.steps[step].label]; }
  adjointName(step) { return derivative(this.structure.result, this.steps[step].label); }

  slots(user, of = (k) => this.name(k)) { // for templates: names, or what is given for a step
    const { inputs } = this.steps[user];
    const slots = { _y: of(user), _g: this.adjointName(user) };
    inputs.forEach((x, n) => { if (x !== null) slots[`_x${n}`] = of(x); });
    return slots;
  }

  allScalar(user) { return [user, ...this.steps[user].inputs].every((x) => x === null || !this.steps[x].shape.length) && !/^c/.test(this.steps[user].dtype); }

  chain(step, use) { // dz/du * du/dv
    const same = this.steps[use.user].inputs.map((x, k) => x === step ? k : -1).filter((k) => k >= 0);
    const below = same.length > 1 ? ["sub", this.name(step), ["t", `, ${ordinal(same.indexOf(use.position) + 1)}`]] : this.steps[step].label;
    return part(use, row(this.adjointName(use.user), op("*"), derivative(this.steps[use.user].label, below)));
  }

  written(step, use) { return fill(use.formula, this.slots(use.user)); }

  inNumbers(step, use, digits) { // upstream times local derivative
    const [upstream, local] = [this.numbers.adjoint(use.user), this.numbers.local(step, use.n)].map((x) => x && isScalar(x) ? factor(text(x, digits)) : null);
    return upstream && local && isScalar(this.numbers.cotangent(step, use.n)) ? part(use, row(upstream, op("*"), local)) : null;
  }

  definition(step) { // links of w3 = w1*w2 = 2*3 = 6
    const { formula, name, inputs } = this.steps[step], links = [];
    if (name && name !== this.structure.result) links.push(["i", name]);
    if (formula !== null) {
      const tree = this.structure.formulas[formula];
      links.push(fill(tree, this.slots(step)));
      if (this.allScalar(step) && inputs.some((x) => x !== null)) {
        links.push(exact((digits) => fill(tree, this.slots(step, (k) => ofText(text(this.numbers.value(k), digits)))), this.numbers.value(step)));
      }
    }
    return isScalar(this.numbers.value(step)) ? [...links, value(this.numbers.value(step))] : links;
  }

  derivation(step) { // links of dz/dw1 = dz/dw3*dw3/dw1 + ... = dz/dw3*w2 + ... = 1*3 + ... = 2.584
    const uses = this.steps[step].uses.map((_, n) => this.use(step, n)).sort((a, b) => a.user - b.user || a.position - b.position);
    if (!uses.length) return [];
    const sum = (terms) => row(...terms.flatMap((term, k) => !k ? [term] : isNegative(term) ? [op("-"), row(...term.slice(2))] : [op("+"), term]));
    const cut = (terms) => terms.length > 12 ? [...terms.slice(0, 12), ["t", `\u2026 (${(terms.length - 12).toLocaleString("en")} more)`]] : terms;
    const links = uses.every(({ chain }) => chain) ? [sum(cut(uses.map((use) => this.chain(step, use))))] : [];
    links.push(sum(cut(uses.map((use) => this.written(step, use)))));
    if (uses.every((use) => this.inNumbers(step, use))) {
      const all = (digits) => uses.map((use) => this.inNumbers(step, use, digits));
      links.push(uses.length > 12 ? sum(cut(all())) : exact((digits) => sum(all(digits)), this.numbers.adjoint(step)));
    }
    return links;
  }

  // The caption: a line of mathematics, and a line of words

  story() {
    const { step, use } = this.happening(), { time, seed } = this, { now } = this.parts;
    const line = (left, links, sign) => make("p", { class: "e-formula" }, equation(left, links, sign));
    const words = (...parts) => make("p", { class: "e-words" }, ...parts);
    if (step === undefined) {
      now.replaceChildren(words("Press play, or the arrow keys, to step through both passes: first each value from those before it, then each derivative from those after it."));
    } else if (time <= seed) {
      const last = time === seed;
      now.replaceChildren(line(this.name(step), this.definition(step)),
        words(last ? `The forward pass is done: ${this.structure.result} = ${minus(text(this.numbers.value(step)))}. Step on to send derivatives back.` : inWords(this.steps[step]) + (isScalar(this.numbers.value(step)) ? "" : ` ${said(this.numbers.value(step))}.`)));
    } else if (time === seed + 1) {
      now.replaceChildren(line(this.adjointName(step), [["n", "1"]]), words(`The reverse pass starts at ${this.structure.result}: its derivative by itself is 1.`));
    } else {
      const cotangent = this.numbers.cotangent(step, use.n), count = this.steps[step].uses.length;
      const scalars = this.inNumbers(step, use) && exact((digits) => this.inNumbers(step, use, digits), cotangent);
      const links = [...(use.chain ? [this.chain(step, use)] : []), this.written(step, use), ...(scalars ? [scalars] : []), ...(isScalar(cotangent) ? [value(cotangent)] : [])];
      const to = make("em", {}, plain(this.adjointName(step)));
      const nth = count === 1 ? "The only contribution to " : `Contribution ${use.n + 1} of ${count} to `;
      const local = this.numbers.local(step, use.n), upstream = this.numbers.adjoint(use.user);
      const how = local ? `: ${use.real ? "the real part of " : ""}upstream ${said(upstream)} times the local derivative ${said(local)}${isScalar(cotangent) ? "" : ` is ${said(cotangent)}`}` : `: the vjp of ${this.steps[use.user].op} takes upstream ${said(upstream)} to ${said(cotangent)}`;
      const over = use.summed.length ? `, summed over ${use.summed.length > 1 ? "axes" : "axis"} ${use.summed.join(", ")}, along which it was broadcast` : "";
      const sum = this.partial(step), done = sum.complete ? (count > 1 ? `. All ${count} are in: their sum is ${said(sum.array)}.` : ".") : `. So far the sum is ${sum.array ? said(sum.array) : "\u2026"}.`;
      now.replaceChildren(line(this.adjointName(step), links, count > 1 ? "+=" : "="), words(nth, to, how, over, done));
    }
  }

  // The panel

  show(name) {
    this.shown = name;
    for (const tab of this.parts.tabs.children) {
      const on = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      this.parts[tab.dataset.tab].hidden = !on;
    }
    if (name === "gradient") this.gradient();
    if (name === "details") this.details();
    if (name === "program") this.scrollToLine();
  }

  select(step) { this.selected = step; this.show("details"); this.program({ step }); this.light(); }

  details() {
    if (this.shown !== "details") return;
    const { head, editing, body } = this.parts, k = this.selected;
    if (k === null) {
      head.replaceChildren(make("p", { class: "faint" }, "Click on a box of the graph, or step on."));
      editing.replaceChildren();
      body.replaceChildren();
      return;
    }
    const it = this.steps[k], known = k < this.time, sum = this.partial(k), array = this.numbers.value(k), { entry } = head.querySelector("[data-entry]:focus")?.dataset ?? {};
    const source = it.line && this.structure.sources[it.line[0]], code = source?.lines[it.line[1] - source.first];
    const rows = [["op", it.op ? `${it.op} (${it.family})` : it.family], ["type", it.shape.length ? `${it.dtype}, shape ${tuple(it.shape)}` : it.dtype]];
    const { memory } = this.structure;
    if (memory && (it.op || memory.kept[k])) rows.push(["kept", memory.kept[k] ?? "nothing more"]);
    head.replaceChildren(...[make("h2", {}, it.name ? `${it.label} = ${it.name}` : it.label),
      code ? make("p", { class: "from small" }, make("span", { class: "faint" }, `${source.file}, line ${it.line[1]}`), make("code", {}, code.trim())) : null,
      make("dl", { class: "facts small" }, ...rows.flatMap(([term, written]) => [make("dt", {}, term), make("dd", {}, written)])),
      make("h3", {}, "Value"), known ? make("div", { class: "e-formula" }, equation(this.name(k), this.definition(k))) : pending("not computed yet"), known ? this.cells(k, array, "value") : null].filter(Boolean));
    if (entry !== undefined) head.querySelector(`[data-entry="${entry}"]`)?.focus();
    const editable = this.canEdit(k) && isScalar(array);
    if (editable && editing.firstChild?.dataset.edit === String(k)) editing.firstChild.take();
    else editing.replaceChildren(...(editable ? [this.editor(k)] : []));
    const children = [];
    if (it.adjoint) {
      children.push(make("h3", { class: "reverse" }, `Adjoint${!sum || sum.complete ? "" : `, so far ${sum.count} contributions`}`));
      children.push(this.flow(k));
      if (!sum) children.push(pending("no contribution has come in yet"));
      else if (sum.complete) {
        const links = [...this.derivation(k), ...(isScalar(sum.array) || k === this.root ? [value(sum.array)] : [])];
        children.push(make("div", { class: "e-formula" }, equation(this.adjointName(k), links)), this.cells(k, sum.array, "adjoint"), this.lossNote(k));
      } else if (sum.array) children.push(make("div", { class: "e-formula" }, equation(this.adjointName(k), [row(value(sum.array), op("+"), ["t", "\u2026"])])), this.cells(k, sum.array, "sum so far"));
      children.push(this.uses(k));
    } else if (it.family !== "constant" || it.op) children.push(pending("No gradient flows back to it."));
    body.replaceChildren(...children.filter(Boolean));
  }

  canEdit(k) { return this.edit !== null && this.steps[k].op === null && /^float(32|64)$/.test(this.steps[k].dtype); }

  flow(k) { // of arrays, the contribution that comes in, as tiles: upstream, local derivative, and what they give
    const { step, use } = this.happening();
    if (step !== k || !use) return null;
    const local = this.numbers.local(k, use.n), upstream = this.numbers.adjoint(use.user), cotangent = this.numbers.cotangent(k, use.n);
    if (isScalar(upstream)) return null;
    const tile = (array, what) => {
      const drawn = heat(array, 16);
      return make("figure", {}, drawn ? this.grid(drawn, `${what}: ${text(array)}`) : make("span", {}, said(array)), make("figcaption", { class: "small faint" }, what));
    };
    const sign = (mark) => make("span", { class: "faint" }, mark);
    return make("div", { class: "e-flow" }, tile(upstream, "upstream"), ...(local ? [sign("\u00d7"), tile(local, "local derivative")] : []), sign(use.summed.length ? "\u2192 \u03a3" : local && !use.real ? "=" : "\u2192"), tile(cotangent, "contribution"));
  }

  grid({ columns, parts }, label) {
    return make("div", { class: "map", role: "img", "aria-label": label, style: `--columns: ${columns}` }, ...parts.map((part) => make("span", { class: shade(part) })));
  }

  lossNote(k) {
    const group = this.structure.groups.find(({ note }) => note?.logits === this.steps[k].label);
    if (!group) return null;
    const by = group.note.count > 1 ? `, divided by ${group.note.count}` : "";
    return make("p", { class: "panel small" }, `Through the ${group.title} as a whole: softmax minus one-hot${by}. Each row is the predicted probabilities, less 1 at the target.`);
  }

  cells(k, array, what) { // the entries of a small array are buttons: they show what they add up from
    const it = this.steps[k];
    if (isScalar(array)) return null;
    const drawn = heat(array, 32);
    if (!drawn) return null;
    const size = it.shape.reduce((a, b) => a * b, 1), written = size <= CELLS && array.data && !drawn.blocks, entries = this.extra.entries[k];
    const editable = written && what === "value" && this.canEdit(k);
    const grid = make("div", { class: `map${written ? " written" : ""}`, role: written ? "group" : "img", "aria-label": `${what}: ${text(array)}`, style: `--columns: ${drawn.columns}` });
    const order = new Map();
    if (written) for (let i = 0; i < size; i++) order.set(drawn.place(i), i);
    drawn.parts.forEach((part, at) => {
      const kind = shade(part), i = order.get(at);
      if (!written || i === undefined) return grid.append(make("span", { class: kind }));
      const label = entryText(array, i, drawn.columns > 8 ? 2 : drawn.columns > 5 ? 3 : 4);
      if (!editable && !entries) return grid.append(make("span", { class: kind }, minus(label)));
      const cell = make("button", { type: "button", class: kind, "data-entry": i }, minus(label));
      cell.addEventListener("click", () => {
        if (editable) this.cellEditor(cell, k, i);
        else this.tell(grid.parentElement, k, entries[i]);
      });
      grid.append(cell);
    });
    const most = peakText(array, drawn), scale = array.type.startsWith("c") || array.type === "bool" ? null
      : make("span", { class: "scale" }, make("span", {}, `\u2212${most}`), make("i"), make("span", {}, most));
    return make("figure", { class: "tilemap" }, grid, make("figcaption", { class: "small faint" }, scale, make("span", {}, minus(statistics(array)) + (drawn.blocks ? "; means of blocks" : ""))));
  }

  tell(figure, k, told) { // below its array, what an entry was computed from, and its derivative when that is known
    this.element.querySelector(".entry")?.remove();
    const entry = make("pre", { class: "entry", "aria-live": "polite" });
    figure.append(entry);
    entry.textContent = this.partial(k)?.complete ? told : told.split(`\nd${this.structure.result}/d`)[0];
  }

  field(k, entry, done) { // done(x) is called with another number, and with null for what is none
    const field = make("input", { type: "number", step: "any", "aria-label": `${this.steps[k].name ?? this.steps[k].label}, new value` });
    field.take = () => Object.assign(field, { value: shortest(this.numbers.value(k), entry), placeholder: entryText(this.numbers.value(k), entry) });
    field.take();
    field.commit = () => done(field.value !== "" && Number.isFinite(field.valueAsNumber) ? field.valueAsNumber : null);
    field.addEventListener("change", field.commit);
    return field;
  }

  editor(k) { // of a number: a field and a slider, of which each follows the other
    const name = this.steps[k].name ?? this.steps[k].label, range = make("input", { type: "range", step: "any", "aria-label": `${name}, by a slider` });
    const bar = make("div", { class: "bar editor", "data-edit": k }, this.field(k, 0, (x) => x === null ? bar.take() : this.change(k, 0, x)), range);
    bar.take = () => { // the slider is around the number, to both sides as far as 0, and 4 at least
      const x = Number(entryOf(this.numbers.value(k), 0)), middle = Number.isFinite(x) ? x : 0, reach = Math.max(4, Math.abs(middle));
      bar.firstChild.take();
      if (range.max === "" || middle < Number(range.min) || middle > Number(range.max)) Object.assign(range, { min: middle - reach, max: middle + reach });
      range.value = middle;
    };
    range.addEventListener("input", () => {
      const unit = 10 ** Math.floor(Math.log10(range.max - range.min) - 3.8), x = Number((Math.round(range.valueAsNumber / unit) * unit).toPrecision(12));
      this.slide(k, x);
    });
    bar.take();
    return bar;
  }

  cellEditor(cell, k, entry) { // in place of the entry, until it is changed or left
    const field = this.field(k, entry, (x) => x === null ? field.take() : this.change(k, entry, x));
    const before = field.value, changed = () => field.value !== before;
    let open = true;
    const back = () => {
      if (!open || changed()) return;
      open = false;
      field.replaceWith(cell);
    };
    field.dataset.entry = entry; // where the focus is to be when the entries are drawn again
    field.addEventListener("blur", back);
    field.addEventListener("keydown", (event) => {
      const on = { Escape: 0, Enter: 0, Tab: event.shiftKey ? -1 : 1 }[event.key], to = on === 0 ? cell : field.parentElement.querySelector(`[data-entry="${entry + on}"]`);
      if (!to) return;
      event.preventDefault();
      field.dataset.entry = entry + on;
      if (event.key === "Escape") field.take();
      if (changed()) field.commit();
      else { back(); to.focus(); }
    });
    cell.replaceWith(field);
    field.focus();
    field.select();
  }

  slide(step, x) { // of many numbers in a frame, the first and the last
    this.wanted = [step, 0, x];
    if (this.frame) return;
    const next = () => {
      const given = this.wanted;
      this.wanted = null;
      this.frame = given && requestAnimationFrame(next);
      if (given) this.change(...given);
    };
    next();
  }

  async change(step, entry, x) {
    const turn = this.turn = (this.turn ?? 0) + 1;
    try {
      const numbers = await this.edit(step, entry, x);
      if (turn < this.turn) return; // those of a later change have this one, too
      this.take(numbers);
    } catch (error) {
      this.parts.now.replaceChildren(make("p", { class: "wrong e-words", role: "alert" }, error.message));
      return;
    }
    this.light();
    this.story();
    this.details();
    if (this.shown === "gradient") this.leavesRows();
  }

  uses(k) {
    const it = this.steps[k];
    if (!it.uses.length) return null;
    const came = this.cameIn(k), all = it.uses.length;
    const rows = it.uses.slice(0, MOST).map((_, n) => {
      const use = this.use(k, n), sent = n < came, sum = sent ? this.numbers.running(k, n) : null;
      return make("tr", { class: sent ? "" : "faint" }, make("td", {}, all > 1 ? `${n + 1} of ${all}` : "only"), make("td", {}, ...pieces(this.written(k, use))),
        make("td", {}, sent ? minus(text(this.numbers.cotangent(k, n))) + (use.summed.length ? `, summed over ${use.summed.join(", ")}` : "") : "to come"), make("td", {}, sum ? minus(text(sum)) : ""));
    });
    const head = make("tr", {}, ...["", "upstream \u22c5 local", "contribution", "sum so far"].map((title) => title ? make("th", { scope: "col" }, title) : make("td")));
    return make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Contributions" }, make("table", {}, head, ...rows), all > MOST ? make("p", { class: "small faint" }, `and ${(all - MOST).toLocaleString("en")} more`) : null);
  }

  program({ step, use }) {
    const line = step === undefined ? null : (use ? this.steps[use.user] : this.steps[step]).line, { lines } = this.parts;
    if (!line) return;
    const [file, row] = line, source = this.structure.sources[file];
    if (this.file !== file) {
      this.file = file;
      lines.replaceChildren(make("p", { class: "label" }, source.file), ...source.lines.map((written, k) =>
        make("div", {}, make("span", { class: "e-number" }, String(source.first + k)), make("code", {}, written))));
    }
    lines.querySelectorAll("div").forEach((each, k) => each.classList.toggle("current", source.first + k === row));
    this.scrollToLine();
  }

  scrollToLine() {
    const current = this.parts.lines.querySelector(".current"), { program } = this.parts;
    if (current && !program.hidden) program.scrollTop = current.offsetTop - program.offsetTop - 80;
  }

  // The gradient, right and wrong

  gradient() {
    if (this.shown !== "gradient") return;
    const { fault, extra, parts } = this, fresh = !extra.live;
    parts.faults.hidden = !fresh;
    parts.why.textContent = fresh ? MISTAKES[fault][1] : "";
    const arrays = this.steps.some((step, k) => extra.checks[k] && step.shape.length);
    if (fresh) parts.along.textContent = fault === "right" && arrays ? "Of an array, finite differences are taken along a random direction, and compared with the gradient along it." : "";
    parts.unchecked.textContent = extra.unchecked ? `${extra.unchecked.toLocaleString("en")} leaves were not checked by finite differences: there are too many.` : "";
    const leaves = this.steps.map((step, k) => k).filter((k) => this.steps[k].family === "leaf").slice(0, 300);
    const wrongs = fresh && fault !== "right" ? leaves.filter((k) => extra.wrong[k]?.[fault]) : [];
    if (fault !== "right" && fresh && !wrongs.length) parts.why.textContent += " Here it changes nothing.";
    const titles = ["", ...(this.edit ? ["value"] : []), "gradient", ...(!fresh ? [] : fault === "right" ? ["finite differences", "error"] : ["without it"])];
    const rows = leaves.map((k) => {
      const { name, label, adjoint } = this.steps[k], wrong = extra.wrong[k]?.[fault], check = extra.checks[k], value = this.numbers.value(k);
      const cells = !fresh ? [] : fault === "right" ? [minus(check?.differences ?? ""), minus(check?.error ?? "")] : [minus(wrong ?? "the same")];
      return make("tr", {}, make("th", { scope: "row" }, this.shared.has(name) ? `${name} (${label})` : name ?? label), ...(this.edit ? [make("td", {}, isScalar(value) && this.canEdit(k) ? this.editor(k) : said(value))] : []),
        make("td", { "data-gradient": k }, adjoint ? said(this.numbers.adjoint(k)) : "none"), ...cells.map((written) => make("td", wrong && fault !== "right" ? { class: "wrong" } : { class: "number" }, written)));
    });
    parts.leaves.replaceChildren(make("tr", {}, ...titles.map((title) => title ? make("th", { scope: "col" }, title) : make("td"))), ...rows);
  }

  leavesRows() { // beside a field that is being edited: checks and mistakes are of other numbers
    const { faults, why, leaves } = this.parts;
    if (!faults.hidden) {
      faults.hidden = true;
      why.textContent = "";
      this.parts.along.textContent = "Computed again by the same steps: what the program decided in Python, such as if x > 0, or detached, stays as it was.";
      for (const row of leaves.rows) while (row.cells.length > 3) row.lastChild.remove();
    }
    for (const editor of leaves.querySelectorAll(".editor")) editor.take();
    for (const cell of leaves.querySelectorAll("[data-gradient]")) {
      const k = Number(cell.dataset.gradient);
      cell.textContent = this.steps[k].adjoint ? said(this.numbers.adjoint(k)) : "none";
    }
  }

  // Finding

  find(on) {
    const wanted = this.parts.search.value.trim().toLowerCase(), { steps } = this, { groups } = this.structure;
    if (!this.matches && wanted) {
      const titled = new Set(groups.flatMap(({ title }, g) => g && title.toLowerCase().includes(wanted) ? this.graph.inside[g].slice(0, 1) : []));
      this.matches = steps.map((_, k) => k).filter((k) => titled.has(k) || [steps[k].label, steps[k].name, steps[k].op].some((each) => each?.toLowerCase().includes(wanted)));
      this.match = 0;
    } else if (this.matches?.length) this.match = (this.match + on) % this.matches.length;
    this.parts.found.textContent = wanted ? this.matches.length ? `${this.match + 1} of ${this.matches.length.toLocaleString("en")}` : "none" : "";
    if (!wanted || !this.matches.length) return;
    const step = this.matches[this.match];
    this.graph.reveal(step);
    this.select(step);
    this.graph.follow(step);
  }
}

const shortest = ({ type, data }, entry) => { // the number in as few digits as are read as the same
  const x = Number(entryOf({ type, data }, entry)), same = (digits) => Math.fround(Number(x.toPrecision(digits))) === x;
  const digits = type === "float32" ? [6, 7, 8, 9].find(same) : undefined;
  return String(digits ? Number(x.toPrecision(digits)) : x);
};
const pending = (words) => make("p", { class: "faint small" }, words);
const ordinal = (n) => `${n}${n % 100 > 10 && n % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th"}`;
const bracketed = (written) => /^-|.[-+]/.test(written.replace(/e[-+]/, "")) ? `(${minus(written)})` : minus(written);
const part = ({ real }, term) => real ? row(["t", "real"], op("("), term, op(")")) : term;
const isNegative = (tree) => tree[0] === "row" && tree[1][0] === "o" && tree[1][1] === "-";
const exact = (written, array) => { // in digits that give the array's number, to three of them
  const right = entryOf(array, 0), close = (x) => x === null || Object.is(x, right) || x === right || Math.abs(x - right) <= 1e-3 * Math.abs(right);
  return typeof right === "number" ? written(DIGITS.find((digits) => close(evaluated(written(digits)))) ?? DIGITS.at(-1)) : written();
};
const factor = (written) => written.startsWith("-") || ofText(written)[0] === "t" ? row(op("("), ofText(written), op(")")) : ofText(written);
const value = (array) => isScalar(array) ? ofText(text(array)) : ["t", minus(text(array))];
const said = (array) => minus(text(array));
const inWords = ({ op: called, family, name, shape }) => called ? `${called}: computed from values before it.` : family === "leaf" ? `${name ?? "A leaf"}${shape.length ? `, an array of shape ${tuple(shape)}` : ""}: its gradient is wanted.` : `${name ?? "A constant"}: it is given, and needs no gradient.`;
