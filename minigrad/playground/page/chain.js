// What is selected in the network, in symbols and in this step's numbers: the chain rule of a weight,
// a term for each example; of a unit, the sum that it computes and the sum that its gradient is.

import { Sparkline } from "./charts.js";
import { briefly, digits, inputLabel, say, signed } from "./dom.js";
import { make } from "../../viz/page/make.js";
import { isBox, parametersOf } from "./network.js";

// Formulas

const mi = (text) => make("math:mi", {}, text);
const mo = (text) => make("math:mo", {}, text);
const mrow = (...parts) => make("math:mrow", {}, ...parts);
const sub = (base, ...indices) => make("math:msub", {}, base, mrow(...indices.map((k) => (typeof k === "number" ? make("math:mn", {}, String(k)) : typeof k === "string" ? mi(k) : k))));
const by = (name) => make("math:mfrac", {}, mrow(mo("\u2202"), mi("L")), mrow(mo("\u2202"), name));
const sum = (below) => make("math:munder", {}, mo("\u2211"), mi(below));
const formula = (...parts) => make("math:math", { displaystyle: "true" }, mrow(...parts));

const RULES = {
  sgd: "\u0394w = \u2212\u03b7\u00b7g",
  momentum: "v \u2190 \u03bcv + g, \u0394w = \u2212\u03b7\u00b7v",
  rmsprop: "v \u2190 \u03b1v + (1\u2212\u03b1)g\u00b2, \u0394w = \u2212\u03b7\u00b7g/\u221av",
  adam: "\u0394w = \u2212\u03b7\u00b7m\u0302/(\u221av\u0302 + \u03b5)",
  adamw: "\u0394w = \u2212\u03b7\u00b7(m\u0302/(\u221av\u0302 + \u03b5) + \u03bbw)",
};
export const OPTIMIZERS = { sgd: "SGD", momentum: "Momentum", rmsprop: "RMSprop", adam: "Adam", adamw: "AdamW" };
const LARGEST = 1e6; // of a weight that is written
const SLOPES = {
  relu: "1 where z > 0, else 0",
  tanh: "1 \u2212 tanh\u00b2z",
  sigmoid: "\u03c3(z)(1 \u2212 \u03c3(z))",
  linear: "1",
};

export class ChainPanel {
  /** @param on {explain(target), set(target, value)} */
  constructor(host, on) {
    this.host = host;
    this.on = on;
    this.target = null;
    this.example = 0;
    this.last = 0;
    this.empty();
  }

  empty() {
    this.body = null;
    this.host.replaceChildren(
      make("p", { class: "hint faint" }, "Select a line of the network to see the chain rule of its weight, in symbols and in this step\u2019s numbers; select a unit to see what it computes. With the keyboard: the arrow keys lead through the network, Enter selects."),
    );
  }

  /** Another network, or other settings that the panel names. */
  setup(network, settings, histories) {
    Object.assign(this, { network, settings, histories });
    if (this.target && !this.exists(this.target)) this.target = null;
    this.select(this.target);
  }

  exists({ layer, unit, kind, input }) {
    if (layer < 0) return unit < Math.max(1, this.network.inputs.length);
    const shape = this.network.layers[layer];
    return !!shape && unit < shape.units && (kind !== "weight" || input < shape.fanIn);
  }

  select(target) {
    this.target = target;
    this.build = null;
    if (!target) this.empty();
    else if (this.frame) this.show(this.frame, this.view, Infinity);
  }

  /** @param now the time in milliseconds; Infinity: whatever the time */
  show(frame, view, now) {
    this.frame = frame;
    if (view !== this.view) this.build = null;
    this.view = view;
    if (!this.target || now - this.last < 200) return;
    if (Number.isFinite(now)) this.last = now;
    const shape = this.network.layers[this.target.layer];
    const kind = this.target.layer < 0 ? "input" : isBox(shape) ? "module" : this.target.kind === "output" ? (view === "reverse" ? "reverse" : "forward") : "parameter";
    if (this.build !== kind) {
      this.build = kind;
      this.skeleton();
      this[kind](true);
    }
    this[`${kind}Numbers`]?.(frame);
  }

  /** Heading, formula, a table that scrolls, and sums beside it. */
  skeleton() {
    this.title = make("h2", {});
    this.formula = make("p", { class: "formula" });
    this.table = make("table", { class: "terms" }, make("thead"), make("tbody"));
    this.scroller = make("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "The terms" }, this.table);
    this.note = make("p", { class: "note small faint" });
    this.ledger = make("div", { class: "ledger" });
    const button = make("button", { type: "button", class: "small" }, "Explain this step");
    button.addEventListener("click", () => this.on.explain(this.target));
    this.explain = button;
    this.host.replaceChildren(
      make("div", { class: "chain-head" }, this.title, button),
      make("div", { class: "chain-body" }, make("div", { class: "chain-main" }, this.formula, this.scroller, this.note), this.ledger),
    );
  }

  head(...labels) {
    this.table.tHead.replaceChildren(make("tr", {}, ...labels.map((label, k) => make("th", { scope: "col", class: k ? "number" : "" }, label))));
  }

  /** Rows of texts; the cells are made once and filled again. `bars` is drawn beside the products. */
  rows(texts, bars) {
    const body = this.table.tBodies[0];
    while (body.rows.length > texts.length) body.lastChild.remove();
    while (body.rows.length < texts.length) {
      const cells = texts[0].map((_, k) => (k ? make("td", { class: "number" }, "") : make("th", { scope: "row" }, "")));
      cells[3]?.classList.add("product");
      body.append(make("tr", {}, ...cells));
    }
    const most = Math.max(...bars.map(Math.abs), 0);
    texts.forEach((line, r) => {
      line.forEach((text, k) => say(body.rows[r].cells[k], text));
      const style = body.rows[r].cells[3]?.style;
      style?.setProperty("--share", most ? (Math.abs(bars[r]) / most).toFixed(3) : "0");
      body.rows[r].cells[3].dataset.sign = bars[r] < 0 ? "minus" : "plus";
    });
  }

  /** Lines of the sum beside the table: [label, number, class]. */
  sums(lines) {
    const list = this.list ?? (this.list = null);
    if (list?.isConnected && list.children.length === lines.length) {
      lines.forEach(([label, number], k) => {
        say(list.children[k].children[0], label);
        say(list.children[k].children[1], number);
      });
      return;
    }
    this.list = make("dl", { class: "sums" }, ...lines.map(([label, number, kind = ""]) => make("div", { class: kind }, make("dt", {}, label), make("dd", {}, number))));
    if (list?.isConnected) list.replaceWith(this.list);
    else this.ledger.append(this.list);
  }

  names() {
    const { layer, unit, input } = this.target;
    const last = this.network.layers.length - 1;
    const layerName = layer === last ? "the output" : `hidden layer ${layer + 1}`;
    return { layerName, j: unit + 1, i: (input ?? 0) + 1 };
  }

  /** The input that a weight comes from, short enough for a formula. */
  source() {
    return briefly(inputLabel(this.network.inputs[this.target.input] ?? ""), 12);
  }

  // A weight or a bias

  parameter() {
    const { kind, layer } = this.target;
    const { layerName, j, i } = this.names();
    const weight = kind === "weight";
    const from = layer === 0 ? inputLabel(this.network.inputs[this.target.input] ?? "") : `unit ${i}`;
    say(this.title, weight ? `Weight from ${from} to unit ${j} of ${layerName}` : `Bias of unit ${j} of ${layerName}`);
    const w = () => (weight ? sub(mi("w"), j, mo(","), i) : sub(mi("b"), j));
    const terms = weight ? [by(sub(mi("z"), j)), mo("\u22c5"), layer === 0 ? mi(this.source()) : sub(mi("h"), i)] : [by(sub(mi("z"), j))];
    this.formula.replaceChildren(formula(by(w()), mo("="), sum("examples"), ...terms));
    this.head("Example", `\u2202L/\u2202z${subscript(j)}`, weight ? (layer === 0 ? this.source() : `h${subscript(i)}`) : "", "product", "sum so far");
    this.sparks = Object.fromEntries(["value", "gradient", "update"].map((name) => [name, new Sparkline(`History of the ${name}`)]));
    this.edit = make("input", { type: "number", step: "any", "aria-label": weight ? "The weight" : "The bias" });
    this.edit.addEventListener("change", () => {
      const value = Number(this.edit.value);
      if (this.edit.value !== "" && Math.abs(value) <= LARGEST) this.on.set(this.target, value);
      else this.edit.value = this.shown;
    });
    const line = (label, spark) => make("div", {}, make("span", { class: "small faint" }, label), spark.element);
    this.ledger.replaceChildren(
      make("div", { class: "sparks" }, line(weight ? "weight" : "bias", this.sparks.value), line("gradient", this.sparks.gradient), line("update", this.sparks.update)),
      make("label", { class: "edit" }, make("span", { class: "small faint" }, weight ? "weight now" : "bias now"), this.edit),
    );
    this.list = null;
    this.table.tBodies[0].onclick = (event) => {
      const found = event.target.closest("tr");
      if (found) this.pick(found.sectionRowIndex);
    };
  }

  pick(example) {
    this.example = example;
    this.show(this.frame, this.view, Infinity);
  }

  parameterNumbers(frame) {
    const { layer: l, kind, unit, input } = this.target;
    const layer = frame.layers[l];
    const weight = kind === "weight";
    const k = weight ? unit * layer.fanIn + input : unit;
    const value = layer[kind][k];
    this.shown = Number.isFinite(value) ? String(Number(value.toPrecision(5))) : "";
    if (document.activeElement !== this.edit) this.edit.value = this.shown;
    const history = this.histories.of(this.target, layer.fanIn);
    for (const [name, spark] of Object.entries(this.sparks)) spark.show(history[name]);
    const { batch } = frame;
    const dz = layer.preactivationGradient;
    this.scroller.classList.toggle("empty", !batch || !dz);
    if (!batch || !dz) {
      say(this.note, "There is no gradient yet: press Step.");
      this.sums([]);
      return;
    }
    const count = batch.index.length;
    const source = l === 0 ? batch.inputs : frame.layers[l - 1].output;
    let running = 0;
    const texts = [];
    const products = [];
    for (let n = 0; n < count; n++) {
      const up = dz[n * layer.units + unit];
      const h = weight ? source[n * layer.fanIn + input] : 1;
      products.push(up * h);
      running += up * h;
      texts.push([`#${batch.index[n]}`, digits(up), weight ? digits(h) : "1", digits(up * h), digits(running)]);
    }
    this.rows(texts, products);
    this.example = Math.min(this.example, count - 1);
    [...this.table.tBodies[0].rows].forEach((line, n) => line.classList.toggle("picked", n === this.example));
    say(this.note, this.upstream(frame, l, unit, this.example));
    this.sums(this.account(layer, k, kind, running, batch));
  }

  /** From the sum over examples to the new weight, line by line. */
  account(layer, k, kind, running, { index: { length: count }, settings }) {
    const before = layer[`${kind}Before`][k];
    const gradient = layer[`${kind}Gradient`][k];
    const update = layer[`${kind}Update`][k];
    const { l1, l2, rate, optimizer, zeroGradients } = settings;
    const lines = [[`sum over ${count} example${count === 1 ? "" : "s"}`, digits(running)]];
    let known = running;
    if (kind === "weight" && l1) {
      lines.push([`+ L1: ${digits(l1)} \u00b7 sign w`, signed(l1 * Math.sign(before))]);
      known += l1 * Math.sign(before);
    }
    if (kind === "weight" && l2) {
      lines.push([`+ L2: ${digits(l2)} \u00b7 w`, signed(l2 * before)]);
      known += l2 * before;
    }
    const rest = gradient - known;
    const rounding = 1e-6 * Math.max(Math.abs(gradient), Math.abs(known));
    if (!zeroGradients) lines.push(["+ of earlier steps, not zeroed", Math.abs(rest) < rounding ? "0" : signed(rest)]);
    lines.push([kind === "weight" ? "= gradient g of w" : "= gradient g of b", digits(gradient), "total"]);
    lines.push([`${OPTIMIZERS[optimizer] ?? optimizer}, \u03b7 = ${digits(rate)}: \u0394${kind === "weight" ? "w" : "b"}`, signed(update)]);
    lines.push([`${kind === "weight" ? "w" : "b"}: ${digits(before)} \u2192`, digits(before + update), "total"]);
    if (RULES[optimizer]) this.explain.title = RULES[optimizer];
    return lines;
  }

  /** Where dL/dz of one example comes from: through the units after it, or from the loss. */
  upstream(frame, l, unit, n) {
    const layer = frame.layers[l];
    const j = subscript(unit + 1);
    const at = n * layer.units + unit;
    const example = `Example #${frame.batch.index[n]}`;
    const g = layer.preactivationGradient[at];
    const dz = digits(g);
    // A user's own loss may be another one, and a layer may be followed by more than the next.
    const elsewhere = `${example}: \u2202L/\u2202z${j} = ${dz}; the explanation of this step shows where it comes from.`;
    const is = (sum, terms) => Math.abs(sum - g) <= 1e-3 * Math.max(Math.abs(g), ...terms.map(Math.abs)) + 1e-12;
    if (l === frame.layers.length - 1) {
      const count = frame.batch.index.length;
      const z = layer.preactivation[at];
      if (!this.network.classes) return !is((2 * (z - frame.batch.y[n])) / count, [z / count]) ? elsewhere : `${example}: \u2202L/\u2202z${j} = 2(z \u2212 y)/${count} = 2(${digits(layer.preactivation[at])} \u2212 ${digits(frame.batch.y[n])})/${count} = ${dz}: the derivative of the mean squared error.`;
      const scores = layer.preactivation.subarray(n * layer.units, (n + 1) * layer.units);
      const p = softmax(scores)[unit];
      const target = frame.batch.y[n] === unit ? 1 : 0;
      return !is((p - target) / count, [1 / count]) ? elsewhere : `${example}: \u2202L/\u2202z${j} = (p${j} \u2212 ${target})/${count} = (${digits(p)} \u2212 ${target})/${count} = ${dz}: softmax minus one-hot, of the mean over the batch.`;
    }
    const next = frame.layers[l + 1];
    const w = next.weightBefore;
    if (isBox(next) || next.fanIn !== layer.units) return elsewhere;
    const parts = [], terms = [];
    for (let k = 0; k < next.units; k++) {
      terms.push(next.preactivationGradient[n * next.units + k] * w[k * next.fanIn + unit]);
      parts.push(`${(k ? parens : String)(digits(next.preactivationGradient[n * next.units + k], 2))}\u00b7${parens(digits(w[k * next.fanIn + unit], 2))}`);
    }
    const slope = layer.outputGradient[at] ? layer.preactivationGradient[at] / layer.outputGradient[at] : slopeAt(layer.activation, layer.preactivation[at]);
    const own = terms.map((term) => term * slope);
    if (!is(own.reduce((sum, term) => sum + term, 0), own)) return elsewhere;
    const shown = parts.length > 4 ? [...parts.slice(0, 3), "\u2026"] : parts;
    return `${example}: \u2202L/\u2202z${j} = (\u2211 \u2202L/\u2202z\u2096\u00b7w\u2096${j} of the next layer) \u00b7 ${layer.activation}\u2032(z${j}) = (${shown.join(" + ")}) \u00b7 ${parens(digits(slope))} = ${dz}${SLOPES[layer.activation] && slope === 0 ? `: the slope of ${layer.activation} is 0 here` : ""}.`;
  }

  // A unit, forward: z = w h + b, then the activation

  forward() {
    const { layerName, j } = this.names();
    say(this.title, `Unit ${j} of ${layerName}, forward`);
    const shape = this.network.layers[this.target.layer];
    this.formula.replaceChildren(formula(sub(mi("z"), j), mo("="), sum("i"), sub(mi("w"), j, mo(","), "i"), mo("\u22c5"), sub(mi(this.target.layer ? "h" : "x"), "i"), mo("+"), sub(mi("b"), j)), " ", formula(sub(mi("h"), j), mo("="), mi(shape.activation === "linear" ? "" : shape.activation), mo("("), sub(mi("z"), j), mo(")")));
    this.head("From", "w", this.target.layer ? "h" : "x", "product", "sum so far");
    this.choose();
  }

  choose() {
    this.picker = make("select", { "aria-label": "Example of the batch" });
    this.picker.addEventListener("change", () => this.pick(Number(this.picker.value)));
    this.ledger.replaceChildren(make("label", { class: "edit" }, make("span", { class: "small faint" }, "example"), this.picker));
    this.list = null;
    this.indices = "";
  }

  offer({ index }) {
    const text = index.join();
    if (text !== this.indices) {
      this.indices = text;
      this.example = Math.min(this.example, index.length - 1);
      this.picker.replaceChildren(...Array.from(index, (n, k) => make("option", { value: k }, `#${n}`)));
    }
    this.picker.value = String(this.example);
  }

  ready(frame) {
    const { batch } = frame;
    const there = !!batch && !!frame.layers[this.target.layer].preactivationGradient;
    this.scroller.classList.toggle("empty", !there);
    if (there) this.offer(batch);
    else {
      say(this.note, "No batch has been computed yet: press Step.");
      this.sums([]);
    }
    return there;
  }

  forwardNumbers(frame) {
    if (!this.ready(frame)) return;
    const { layer: l, unit } = this.target;
    const layer = frame.layers[l];
    const n = this.example;
    const source = l === 0 ? frame.batch.inputs : frame.layers[l - 1].output;
    let running = 0;
    const products = [];
    const texts = [];
    for (let i = 0; i <= layer.fanIn; i++) {
      const bias = i === layer.fanIn;
      const w = bias ? layer.biasBefore[unit] : layer.weightBefore[unit * layer.fanIn + i];
      const h = bias ? 1 : source[n * layer.fanIn + i];
      products.push(w * h);
      running += w * h;
      texts.push([bias ? "bias" : l === 0 ? briefly(inputLabel(this.network.inputs[i]), 20) : `unit ${i + 1}`, digits(w), digits(h), digits(w * h), digits(running)]);
    }
    this.rows(texts, products);
    const at = n * layer.units + unit;
    this.sums([["z", digits(layer.preactivation[at]), "total"], [layer.activation === "linear" ? "h = z" : `h = ${layer.activation}(z)`, digits(layer.output[at]), "total"]]);
    say(this.note, "The weights are those that this batch was computed with, before its update.");
  }

  // A unit, reverse: dL/dh is a sum over the units that use it

  reverse() {
    const { layerName, j } = this.names();
    const l = this.target.layer;
    say(this.title, `Unit ${j} of ${layerName}, reverse`);
    const last = l === this.network.layers.length - 1;
    if (last) {
      this.formula.replaceChildren(formula(by(sub(mi("z"), j)), mo("="), this.network.classes ? mrow(mo("("), sub(mi("p"), j), mo("\u2212"), sub(mi("y"), j), mo(")"), mo("/"), mi("batch")) : mrow(mi("2"), mo("("), mi("z"), mo("\u2212"), mi("y"), mo(")"), mo("/"), mi("batch"))));
      this.head("Example", "output", "target", "\u2202L/\u2202z", "sum so far");
    } else {
      this.formula.replaceChildren(formula(by(sub(mi("h"), j)), mo("="), sum("k"), by(sub(mi("z"), "k")), mo("\u22c5"), sub(mi("w"), "k", mo(","), j)), " ", formula(by(sub(mi("z"), j)), mo("="), by(sub(mi("h"), j)), mo("\u22c5"), mrow(mi(`${this.network.layers[l].activation}\u2032`), mo("("), sub(mi("z"), j), mo(")"))));
      this.head("To", "\u2202L/\u2202z\u2096", `w\u2096${subscript(j)}`, "product", "sum so far");
    }
    this.choose();
  }

  reverseNumbers(frame) {
    if (!this.ready(frame)) return;
    const { layer: l, unit } = this.target;
    const layer = frame.layers[l];
    const next = frame.layers[l + 1];
    const n = this.example;
    const at = n * layer.units + unit;
    let running = 0;
    const products = [];
    const texts = [];
    if (next) {
      for (let k = 0; k < next.units; k++) {
        const up = next.preactivationGradient[n * next.units + k];
        const w = next.weightBefore[k * next.fanIn + unit];
        products.push(up * w);
        running += up * w;
        texts.push([`unit ${k + 1}`, digits(up), digits(w), digits(up * w), digits(running)]);
      }
      const slope = slopeAt(layer.activation, layer.preactivation[at]);
      this.sums([["\u2202L/\u2202h", digits(layer.outputGradient[at]), "total"], [`${layer.activation}\u2032(${digits(layer.preactivation[at])})`, digits(slope)], ["\u2202L/\u2202z", digits(layer.preactivationGradient[at]), "total"]]);
    } else {
      frame.batch.index.forEach((index, e) => {
        const z = layer.preactivation.subarray(e * layer.units, (e + 1) * layer.units);
        const d = layer.preactivationGradient[e * layer.units + unit];
        products.push(d);
        running += d;
        texts.push([`#${index}`, this.network.classes ? `p = ${digits(softmax(z)[unit])}` : digits(z[unit]), this.network.classes ? String(+(frame.batch.y[e] === unit)) : digits(frame.batch.y[e]), digits(d), digits(running)]);
      });
      this.sums([["sum = gradient of the bias", digits(running), "total"]]);
    }
    this.rows(texts, products);
    say(this.note, next ? (SLOPES[layer.activation] ? `${layer.activation}\u2032(z) is ${SLOPES[layer.activation]}.` : "") : this.network.classes ? "Softmax minus one-hot: with cross entropy, the gradient of a score is its probability minus 1 for the right class, minus 0 for others." : "The derivative of (z \u2212 y)\u00b2.");
  }

  // An input of the network

  input() {}

  inputNumbers() {
    say(this.title, this.network.inputs.length > 16 || !this.network.inputs.length ? "The whole input" : `Input ${inputLabel(this.network.inputs[this.target.unit])}`);
    this.scroller.hidden = true;
    this.explain.hidden = true;
    say(this.note, "An input is given, not computed: nothing is learnt here. Its map shows it over the plane.");
  }

  // A module of another kind: its parameters

  module() {
    const shape = this.network.layers[this.target.layer];
    say(this.title, `${shape.type} ${shape.name}`);
    this.head("Parameter", "shape", "norm", "of gradient", "of update");
  }

  moduleNumbers(frame) {
    const parameters = parametersOf(frame.layers[this.target.layer]);
    const norms = parameters.map((p) => [p.value, p.gradient, p.update].map((values) => (values ? norm(values) : NaN)));
    this.rows(parameters.map((p, k) => [p.name, p.shape.join(" \u00d7 ") || "a number", ...norms[k].map((x) => (Number.isNaN(x) ? "\u2013" : digits(x)))]), norms.map(([, g]) => (Number.isNaN(g) ? 0 : g)));
    say(this.note, parameters.length ? "Norms of the parameter, of its gradient and of its last update: the square root of the sum of squares." : "This module has no parameters.");
  }
}

const subscript = (n) => String(n).replace(/\d/g, (digit) => String.fromCharCode(0x2080 + Number(digit)));
const parens = (text) => (text[0] === "\u2212" ? `(${text})` : text);
const norm = (values) => Math.sqrt(values.reduce((total, value) => total + value * value, 0));
export const softmax = (scores) => {
  const most = Math.max(...scores);
  const powers = Array.from(scores, (score) => Math.exp(score - most));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
};
const slopeAt = (activation, z) => {
  if (activation === "relu") return z > 0 ? 1 : 0;
  if (activation === "tanh") return 1 - Math.tanh(z) ** 2;
  if (activation === "sigmoid") return 1 / (2 + Math.exp(z) + Math.exp(-z));
  if (activation === "leaky_relu") return z > 0 ? 1 : 0.01;
  return 1;
};
