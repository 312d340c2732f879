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
const ROUNDING = 2e-6; // of sums in 32 bits, by the sum of the sizes of their terms
const SLOPES = {
  relu: "1 where z > 0, else 0",
  tanh: "1 \u2212 tanh\u00b2z",
  sigmoid: "\u03c3(z)(1 \u2212 \u03c3(z))",
  linear: "1",
};

export class ChainPanel {
  /** @param on {explain(target), set(target, value), select(target)} */
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
      make("p", { class: "hint faint" }, "Select a line of the network to see the chain rule of its weight, in symbols and in this step\u2019s numbers; select a unit to see what it computes. With the keyboard: the arrow keys lead through the network, and through the rows of the table; Enter selects."),
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
    this.leads = false;
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

  /** What a click on a row does, or Enter on its button: `action(its number)`, or nothing. */
  onRow(action) {
    const body = this.table.tBodies[0];
    this.leads = !!action;
    this.table.classList.toggle("leads", this.leads);
    body.onclick = (event) => {
      const found = event.target.closest("tr");
      if (!found || !action) return;
      this.stop(found.sectionRowIndex);
      action(found.sectionRowIndex);
      this.table.querySelector("tbody button[tabindex='0']")?.focus({ preventScroll: true }); // the table may be another one
    };
    body.onkeydown = (event) => {
      const row = event.target.closest("tr").sectionRowIndex;
      const to = { ArrowUp: row - 1, ArrowDown: row + 1, Home: 0, End: body.rows.length - 1 }[event.key];
      if (!this.leads || !body.rows[to]) return;
      event.preventDefault();
      this.stop(to).focus();
    };
  }

  /** Makes a row the one that the Tab key stops at; the arrow keys lead to the others. */
  stop(row) {
    const buttons = [...this.table.tBodies[0].querySelectorAll("button")];
    buttons.forEach((button, k) => { button.tabIndex = k === row ? 0 : -1; });
    return buttons[row];
  }

  /** Rows of texts; the cells are made once and filled again. `bars` is drawn beside the products. */
  rows(texts, bars) {
    const body = this.table.tBodies[0];
    while (body.rows.length > texts.length) body.lastChild.remove();
    while (body.rows.length < texts.length) {
      const first = make(this.leads ? "button" : "span", this.leads ? { type: "button", tabindex: "-1" } : {}, "");
      const cells = texts[0].map((_, k) => (k ? make("td", { class: "number" }, "") : make("th", { scope: "row" }, first)));
      cells[3]?.classList.add("product");
      body.append(make("tr", {}, ...cells));
    }
    if (this.leads && texts.length && !body.querySelector("button[tabindex='0']")) this.stop(0);
    const most = Math.max(...bars.map(Math.abs), 0);
    texts.forEach((line, r) => {
      line.forEach((text, k) => say(k ? body.rows[r].cells[k] : body.rows[r].cells[0].firstChild, text));
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
    return { layerName: this.network.layers[layer].title, j: unit + 1, i: (input ?? 0) + 1 };
  }

  /** The name of an input of the network, if the selected layer takes these inputs; else null. */
  given(input) {
    const { layer } = this.target;
    return layer === 0 && this.network.layers[0].follows ? inputLabel(this.network.inputs[input] ?? `input ${input + 1}`) : null;
  }

  /** The name of an input of the selected layer: of the network, of a unit before, or its number. */
  from(input) {
    const { layers } = this.network;
    const { layer } = this.target;
    const isUnit = layer > 0 && layers[layer].follows && !isBox(layers[layer - 1]);
    return this.given(input) ?? `${isUnit ? "unit" : "input"} ${input + 1}`;
  }

  // A weight or a bias

  parameter() {
    const { kind } = this.target;
    const { layerName, j, i } = this.names();
    const weight = kind === "weight";
    say(this.title, weight ? `Weight from ${this.from(this.target.input)} to unit ${j} of ${layerName}` : `Bias of unit ${j} of ${layerName}`);
    const w = () => (weight ? sub(mi("w"), j, mo(","), i) : sub(mi("b"), j));
    const name = weight && this.given(this.target.input);
    const short = name && briefly(name, 12); // enough for a formula
    const terms = weight ? [by(sub(mi("z"), j)), mo("\u22c5"), short ? mi(short) : sub(mi("h"), i)] : [by(sub(mi("z"), j))];
    this.formula.replaceChildren(formula(by(w()), mo("="), sum("examples"), ...terms));
    this.head("Example", `\u2202L/\u2202z${subscript(j)}`, weight ? (short ?? `h${subscript(i)}`) : "", "product", "sum so far");
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
    this.onRow((example) => this.pick(example));
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
    const source = weight ? layer.input : dz;
    const missing = !batch ? "There is no gradient yet: press Step." : !layer[`${kind}Gradient`] || !dz || !source ? "No gradient is computed for it: it is not trained." : null;
    this.scroller.classList.toggle("empty", !!missing);
    if (missing) {
      say(this.note, missing);
      this.sums([]);
      return;
    }
    const count = batch.index.length;
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
    [...this.table.tBodies[0].rows].forEach((line, n) => {
      line.classList.toggle("picked", n === this.example);
      line.querySelector("button").setAttribute("aria-pressed", n === this.example);
    });
    say(this.note, this.upstream(frame, l, unit, this.example));
    this.sums(this.account(layer, k, kind, products, batch));
  }

  /** From the sum over examples to the new weight, line by line. */
  account(layer, k, kind, products, { settings }) {
    const count = products.length;
    const running = products.reduce((total, product) => total + product, 0);
    const size = products.reduce((total, product) => total + Math.abs(product), 0);
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
    const isRounding = Math.abs(rest) <= ROUNDING * Math.max(Math.abs(gradient), Math.abs(known), size);
    if (!zeroGradients) lines.push(["+ of earlier steps, not zeroed", isRounding ? "0" : signed(rest)]);
    // In a user's own step: a layer that is called again, or a loss with a penalty of the weights.
    else if (!isRounding) lines.push(["+ of its other uses in this step", signed(rest)]);
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
    // A user's own loss may be neither of these, and other layers may use this layer's output, too.
    const elsewhere = `${example}: \u2202L/\u2202z${j} = ${dz}; the explanation of this step shows where it comes from.`;
    if (l === frame.layers.length - 1) {
      const rule = this.rule(frame, unit, n, l);
      if (!rule) return elsewhere;
      if (rule.p !== undefined) return `${example}: \u2202L/\u2202z${j} = (p${j} \u2212 ${rule.target})/${rule.count} = (${digits(rule.p)} \u2212 ${rule.target})/${rule.count} = ${dz}: softmax minus one-hot, of the mean over the batch.`;
      return `${example}: \u2202L/\u2202z${j} = 2(z${rule.outputs > 1 ? j : ""} \u2212 y${rule.outputs > 1 ? j : ""})/${rule.count} = 2(${digits(layer.preactivation[at])} \u2212 ${digits(rule.target)})/${rule.count} = ${dz}: the derivative of the mean squared error.`;
    }
    if (!this.leadsOn(l)) return elsewhere;
    const next = frame.layers[l + 1];
    const w = next.weightBefore;
    const parts = [], terms = [];
    for (let k = 0; k < next.units; k++) {
      terms.push(next.preactivationGradient[n * next.units + k] * w[k * next.fanIn + unit]);
      parts.push(`${(k ? parens : String)(digits(next.preactivationGradient[n * next.units + k], 2))}\u00b7${parens(digits(w[k * next.fanIn + unit], 2))}`);
    }
    const slope = slopeOf(layer, at);
    const own = terms.map((term) => term * slope);
    if (!isNear(own.reduce((sum, term) => sum + term, 0), g, ...own)) return elsewhere;
    const shown = parts.length > 4 ? [...parts.slice(0, 3), "\u2026"] : parts;
    return `${example}: \u2202L/\u2202z${j} = (\u2211 \u2202L/\u2202z\u2096\u00b7w\u2096${j} of the next layer) \u00b7 ${layer.activation}\u2032(z${j}) = (${shown.join(" + ")}) \u00b7 ${parens(digits(slope))} = ${dz}${SLOPES[layer.activation] && slope === 0 ? `: the slope of ${layer.activation} is 0 here` : ""}.`;
  }

  /** Whether the output of layer l is the input of the next layer, so that its weights lead there. */
  leadsOn(l) {
    const next = this.network.layers[l + 1];
    return !!next?.follows && !isBox(next);
  }

  /** The derivative of the loss with respect to an output, if it is that of cross entropy or of the mean
   *  squared error: {count, outputs, target, and for a class its probability p}; else null. */
  rule({ layers, batch }, unit, n, l) {
    const { units, preactivation, preactivationGradient } = layers[l];
    const at = n * units + unit;
    const examples = batch.index.length;
    if (this.network.classes) {
      const p = softmax(preactivation.subarray(n * units, (n + 1) * units))[unit];
      const target = batch.y[n] === unit ? 1 : 0;
      return isNear((p - target) / examples, preactivationGradient[at], 1 / examples) ? { count: examples, outputs: units, target, p } : null;
    }
    if (batch.y.length !== examples * units) return null;
    const [count, target] = [examples * units, batch.y[at]];
    return isNear((2 * (preactivation[at] - target)) / count, preactivationGradient[at], preactivation[at] / count) ? { count, outputs: units, target } : null;
  }

  // A unit, forward: z = w h + b, then the activation

  forward() {
    const { layerName, j } = this.names();
    say(this.title, `Unit ${j} of ${layerName}, forward`);
    const shape = this.network.layers[this.target.layer];
    const [h, bias] = [this.given(0) === null ? "h" : "x", shape.bias ? [mo("+"), sub(mi("b"), j)] : []];
    this.formula.replaceChildren(formula(sub(mi("z"), j), mo("="), sum("i"), sub(mi("w"), j, mo(","), "i"), mo("\u22c5"), sub(mi(h), "i"), ...bias), " ", formula(sub(mi("h"), j), mo("="), mi(shape.activation === "linear" ? "" : shape.activation), mo("("), sub(mi("z"), j), mo(")")));
    this.head("From", "w", h, "product", "sum so far");
    this.choose();
    const { layer, unit } = this.target;
    this.onRow((input) => this.on.select(input < shape.fanIn ? { layer, kind: "weight", unit, input } : { layer, kind: "bias", unit }));
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

  /** Whether these passes of the layer were computed for the last batch; else the panel says why not. */
  ready(frame, ...passes) {
    const { batch } = frame;
    const there = !!batch && passes.every((name) => frame.layers[this.target.layer][name]);
    this.scroller.classList.toggle("empty", !there);
    if (there) this.offer(batch);
    else {
      say(this.note, batch ? "These numbers are not computed in this step." : "No batch has been computed yet: press Step.");
      this.sums([]);
    }
    return there;
  }

  forwardNumbers(frame) {
    if (!this.ready(frame, "preactivation", "output", "input")) return;
    const { layer: l, unit } = this.target;
    const layer = frame.layers[l];
    const n = this.example;
    let running = 0;
    const products = [];
    const texts = [];
    for (let i = 0; i < layer.fanIn + this.network.layers[l].bias; i++) {
      const bias = i === layer.fanIn;
      const w = bias ? layer.biasBefore[unit] : layer.weightBefore[unit * layer.fanIn + i];
      const h = bias ? 1 : layer.input[n * layer.fanIn + i];
      products.push(w * h);
      running += w * h;
      texts.push([bias ? "bias" : briefly(this.from(i), 20), digits(w), digits(h), digits(w * h), digits(running)]);
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
    this.shownRule = null;
    const isLast = l === this.network.layers.length - 1;
    if (isLast) {
      this.formula.replaceChildren(formula(by(sub(mi("z"), j))));
      this.head("Example", "output", "target", "\u2202L/\u2202z", "sum so far");
    } else {
      const dh = this.leadsOn(l) ? formula(by(sub(mi("h"), j)), mo("="), sum("k"), by(sub(mi("z"), "k")), mo("\u22c5"), sub(mi("w"), "k", mo(","), j)) : "";
      this.formula.replaceChildren(dh, " ", formula(by(sub(mi("z"), j)), mo("="), by(sub(mi("h"), j)), mo("\u22c5"), mrow(mi(`${this.network.layers[l].activation}\u2032`), mo("("), sub(mi("z"), j), mo(")"))));
      this.head("To", "\u2202L/\u2202z\u2096", `w\u2096${subscript(j)}`, "product", "sum so far");
    }
    this.choose();
    const { unit } = this.target;
    this.onRow(isLast ? null : (k) => this.on.select({ layer: l + 1, kind: "weight", unit: k, input: unit }));
  }

  reverseNumbers(frame) {
    if (!this.ready(frame, "preactivationGradient", "outputGradient")) return;
    if (this.target.layer === frame.layers.length - 1) this.reverseOfOutput(frame);
    else this.reverseOfHidden(frame);
  }

  reverseOfHidden(frame) {
    const { layer: l, unit } = this.target;
    const layer = frame.layers[l];
    const at = this.example * layer.units + unit;
    const products = [];
    const texts = [];
    let running = 0;
    const next = this.leadsOn(l) ? frame.layers[l + 1] : { units: 0 };
    for (let k = 0; k < next.units; k++) {
      const up = next.preactivationGradient[this.example * next.units + k];
      const w = next.weightBefore[k * next.fanIn + unit];
      products.push(up * w);
      running += up * w;
      texts.push([`unit ${k + 1}`, digits(up), digits(w), digits(up * w), digits(running)]);
    }
    this.scroller.classList.toggle("empty", !texts.length);
    this.rows(texts, products);
    const total = layer.outputGradient[at];
    const rest = total - running;
    const slope = slopeOf(layer, at);
    this.sums([
      ...(texts.length && !isNear(running, total, ...products) ? [["+ by other ways to the loss", signed(rest)]] : []),
      ["\u2202L/\u2202h", digits(total), "total"],
      [`${layer.activation}\u2032(${digits(layer.preactivation[at])})`, Number.isNaN(slope) ? "\u2013" : digits(slope)],
      ["\u2202L/\u2202z", digits(layer.preactivationGradient[at]), "total"],
    ]);
    const elsewhere = texts.length ? "" : "The explanation of this step shows where \u2202L/\u2202h comes from.";
    say(this.note, [elsewhere, SLOPES[layer.activation] ? `${layer.activation}\u2032(z) is ${SLOPES[layer.activation]}.` : ""].filter(Boolean).join(" "));
  }

  reverseOfOutput(frame) {
    const { layer: l, unit } = this.target;
    const layer = frame.layers[l];
    const { classes } = this.network;
    const rules = Array.from(frame.batch.index, (_, n) => this.rule(frame, unit, n, l));
    this.explainRule(rules.every(Boolean) ? rules[0] : null);
    const products = [];
    const texts = [];
    let running = 0;
    frame.batch.index.forEach((index, n) => {
      const z = layer.preactivation.subarray(n * layer.units, (n + 1) * layer.units);
      const d = layer.preactivationGradient[n * layer.units + unit];
      products.push(d);
      running += d;
      const output = classes && rules[n] ? `p = ${digits(rules[n].p)}` : digits(z[unit]);
      texts.push([`#${index}`, output, rules[n] ? digits(rules[n].target) : "\u2013", digits(d), digits(running)]);
    });
    const isBias = layer.biasGradient && this.network.layers[l].bias && isNear(running, layer.biasGradient[unit], ...products);
    this.sums([[isBias ? "sum = gradient of the bias" : "sum over the examples", digits(running), "total"]]);
    this.rows(texts, products);
  }

  /** Shows the formula and the note of an output, by its `rule`; they are made again only if it changes. */
  explainRule(rule) {
    const name = !rule ? "other" : rule.p === undefined ? `squares ${rule.outputs}` : "cross entropy";
    if (name === this.shownRule) return;
    this.shownRule = name;
    const { j } = this.names();
    const dz = by(sub(mi("z"), j));
    const count = rule?.p === undefined && rule?.outputs > 1 ? mrow(mo("("), mi("batch"), mo("\u22c5"), mi(String(rule.outputs)), mo(")")) : mi("batch");
    const over = (...parts) => formula(dz, mo("="), mrow(...parts, mo("/"), count));
    if (!rule) this.formula.replaceChildren(formula(dz));
    else if (rule.p !== undefined) this.formula.replaceChildren(over(mo("("), sub(mi("p"), j), mo("\u2212"), sub(mi("y"), j), mo(")")));
    else this.formula.replaceChildren(over(mi("2"), mo("("), mi("z"), mo("\u2212"), mi("y"), mo(")")));
    say(
      this.note,
      !rule
        ? "The derivative of this loss by the output; the explanation of this step shows where it comes from."
        : rule.p !== undefined
          ? "Softmax minus one-hot: with cross entropy, the gradient of a score is its probability minus 1 for the right class, minus 0 for others."
          : "The derivative of (z \u2212 y)\u00b2.",
    );
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
    say(this.title, shape.title);
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
/** Whether a float32 number is this sum, to the rounding of terms of these sizes. */
const isNear = (sum, number, ...sizes) => Math.abs(sum - number) <= 1e-3 * Math.max(Math.abs(number), ...sizes.map(Math.abs)) + 1e-12;

/** The derivative of the activation at one number: the quotient of the two gradients, or if they are 0
 *  its formula. NaN: it is not known. */
const slopeOf = (layer, at) => {
  const [dz, dh] = [layer.preactivationGradient[at], layer.outputGradient[at]];
  return dh ? dz / dh : slopeAt(layer.activation, layer.preactivation[at]);
};

const slopeAt = (activation, z) => {
  if (activation === "relu") return z > 0 ? 1 : 0;
  if (activation === "tanh") return 1 - Math.tanh(z) ** 2;
  if (activation === "sigmoid") return 1 / (2 + Math.exp(z) + Math.exp(-z));
  return activation === "linear" ? 1 : NaN; // others have parameters
};
