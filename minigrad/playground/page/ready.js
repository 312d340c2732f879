// The networks of the ready playground: networks.py has the functions, and says why a small network
// is the largest one whose missing units have weights of 0.

import { explanationOf, explanationsIn, stepOf } from "./explaining.js";
import { Random } from "../../compiler/export/random.js";

// Inputs that can be made of two columns x1 and x2.
export const FEATURES = {
  x1: (x1) => x1,
  x2: (x1, x2) => x2,
  "x1^2": (x1) => x1 * x1,
  "x2^2": (x1, x2) => x2 * x2,
  "x1*x2": (x1, x2) => x1 * x2,
  "sin(x1)": (x1) => Math.sin(x1),
  "sin(x2)": (x1, x2) => Math.sin(x2),
};
const OUTPUT = 6; // the number of the output layer in the program
const UNITS = 8;
const BATCH = 32; // rows of a step
const POINTS = 256; // rows of an evaluation
const IGNORED = -100; // the class in rows that do not count
// All bytes 0: numbers of any type, of which some are BigInt.
const cleared = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength).fill(0);
const SHOWN = ["preactivation", "output", "preactivationGradient", "outputGradient"];

export class ReadyNetwork {
  // description: see `description` in playground.py.
  constructor(program, { about }) {
    this.program = program;
    this.about = about;
    this.initial = program.snapshot();
  }

  // Begins anew: first weights, and the data as features. Returns the data.
  begin(settings, data) {
    const { features, layers } = settings;
    if (!data) throw new TypeError("the playground needs data: configure(settings, data)");
    this.check(settings, data);
    this.columns = data.columns;
    this.features = features;
    this.classes = data.classes;
    this.loss = data.classes ? "cross_entropy" : "mse_loss";
    this.sizes = [features.length, ...layers, data.classes || 1];
    // Of each layer that there is: its number in the program.
    this.used = [...layers.keys(), OUTPUT];
    this.program.restore(this.initial);
    this.choose(settings);
    this.initialise(settings);
    this.shape = {
      inputs: features,
      layers: this.used.map((_, k) => ({
        name: this.name(k),
        title: k === this.used.length - 1 ? "the output" : `hidden layer ${k + 1}`,
        kind: "units",
        follows: true,
        type: "Linear",
        units: this.sizes[k + 1],
        fanIn: this.sizes[k],
        bias: true,
        activation: this.activationOf(k),
        shape: [this.sizes[k + 1]],
      })),
      loss: this.loss,
      classes: data.classes,
      parameters: this.used.reduce((sum, _, k) => sum + (this.sizes[k] + 1) * this.sizes[k + 1], 0),
    };
    this.data = {
      columns: data.columns,
      train: this.examples(data.train),
      test: this.examples(data.test),
    };
    return this.data;
  }

  check(settings, data) {
    const { features, layers } = settings;
    const { most } = this.about;
    const known = (name) => data.columns.includes(name) || (Object.hasOwn(FEATURES, name) && data.columns.includes("x1"));
    if (!features.length || features.length > most.features) fail(`a network has 1 to ${most.features} inputs`);
    for (const name of features) if (!known(name)) fail(`there is no column or feature ${name} in these data`);
    if (layers.length > most.layers) fail(`a network has at most ${most.layers} hidden layers`);
    if (!layers.every((n) => Number.isInteger(n) && n >= 1 && n <= most.units)) fail(`a layer has 1 to ${most.units} units`);
    const { classes } = data;
    if (classes !== 0 && !(classes >= 2 && classes <= most.classes)) fail(`there are 2 to ${most.classes} classes, or numbers to predict`);
    for (const { x, y } of [data.train, data.test]) {
      if (x.length !== y.length * data.columns.length) fail("x has a number for each example and column");
      if (classes && !y.every((k) => Number.isInteger(k) && k >= 0 && k < classes)) fail(`classes are 0 to ${classes - 1}`);
      if (!x.every(Number.isFinite) || !y.every(Number.isFinite)) fail("data are finite numbers");
    }
    if (!data.train.y.length) fail("there are no examples to train on");
    this.checkTraining(settings);
  }

  checkTraining({ activation, optimizer, batch }) {
    if (!this.about.activations.includes(activation)) fail(`there is no activation ${activation}`);
    if (!this.about.optimizers.includes(optimizer)) fail(`there is no optimiser ${optimizer}`);
    if (batch > this.about.most.batch) fail(`a batch has at most ${this.about.most.batch} examples`);
  }

  examples({ x, y }) {
    return { count: y.length, inputs: this.featuresOf(x, y.length), y: Float32Array.from(y) };
  }

  // count x features, from count x columns.
  featuresOf(x, count) {
    const width = this.columns.length;
    const made = this.features.map((name) => {
      const column = this.columns.indexOf(name);
      return column >= 0 ? (...row) => row[column] : FEATURES[name];
    });
    const found = new Float32Array(count * made.length);
    for (let n = 0; n < count; n++) {
      const row = x.subarray(n * width, (n + 1) * width);
      made.forEach((feature, k) => (found[n * made.length + k] = feature(...row)));
    }
    return found;
  }

  name(k) {
    return k < this.used.length - 1 ? `hidden ${k + 1}` : "output";
  }

  activationOf(k) {
    return k < this.used.length - 1 ? this.activation : "linear";
  }

  // The functions for an activation and an optimiser.
  choose({ activation, optimizer }) {
    const kind = `${this.used.length - 1}_${activation}`;
    this.activation = activation;
    this.gradient = `gradient_${kind}_${this.loss}`;
    this.evaluation = `evaluate_${kind}`;
    this.update = `update_${optimizer}`;
  }

  // Whether the way back is closed: a step back would come to another function.
  adjust(settings, before) {
    this.checkTraining(settings);
    const anew = ["activation", "optimizer"].some((name) => settings[name] !== before[name]);
    if (!anew) return false;
    this.choose(settings);
    if (settings.optimizer !== before.optimizer) {
      // States of zeros, as a new optimiser has: of all that an update writes but the parameters.
      const parameters = new Set(this.used.flatMap((k) => [`layers.${k}.weight`, `layers.${k}.bias`]));
      for (const name of this.program.manifest.functions[this.update].writes) {
        if (!parameters.has(name)) cleared(this.program.arrays[name]);
      }
    }
    this.leaveOut();
    this.shape.layers.forEach((layer, k) => (layer.activation = this.activationOf(k)));
    return true;
  }

  // First weights, drawn as nn.Linear draws them: each weight, then the bias.
  initialise({ seed, init }) {
    const rng = new Random(seed);
    this.used.forEach((_, k) => {
      const [fanIn, units] = [this.sizes[k], this.sizes[k + 1]];
      const bound = init === "zero" ? 0 : 1 / Math.sqrt(fanIn);
      const weight = Float32Array.from({ length: units * fanIn }, () => rng.uniform(-bound, bound));
      const bias = Float32Array.from({ length: units }, () => rng.uniform(-bound, bound));
      this.put(k, weight, bias);
    });
    this.leaveOut();
  }

  put(k, weight, bias) {
    const [fanIn, units] = [this.sizes[k], this.sizes[k + 1]];
    for (let i = 0; i < units; i++) {
      this.parameter(k, "weight").set(weight.subarray(i * fanIn, (i + 1) * fanIn), i * UNITS);
    }
    this.parameter(k, "bias").set(bias);
  }

  // The biases of missing units and classes: such that their output is 0.
  leaveOut() {
    this.used.forEach((_, k) => {
      const isOutput = k === this.used.length - 1;
      const missing = isOutput ? this.classes > 0 : this.activation === "sigmoid";
      this.parameter(k, "bias").fill(missing ? -Infinity : 0, this.sizes[k + 1]);
    });
  }

  parameter(k, name) {
    return this.program.arrays[`layers.${this.used[k]}.${name}`];
  }

  // What a step carries over to the next.
  carried() {
    return this.program.manifest.functions[this.update].writes.map((name) => this.program.arrays[name]);
  }

  // Steps

  // Whether an epoch ends with a batch of the examples that are left.
  takesLast(count) {
    return count > 0;
  }

  // Both passes and the update, for rows of the training data. Returns the mean loss.
  step(rows, settings) {
    this.feed(rows);
    const { arrays } = this.program;
    this.program.run(this.gradient);
    const [loss] = arrays.loss;
    arrays.rate[0] = settings.rate;
    arrays.l1[0] = settings.l1;
    arrays.l2[0] = settings.l2;
    arrays.keep[0] = settings.zeroGradients ? 0 : 1;
    this.program.run(this.update);
    this.meanLoss = loss;
    return loss;
  }

  feed(rows) {
    const { arrays } = this.program;
    const { inputs, y } = this.data.train;
    const width = this.features.length;
    arrays.x.fill(0);
    rows.forEach((row, n) => arrays.x.set(inputs.subarray(row * width, (row + 1) * width), n * UNITS));
    if (this.classes) {
      arrays.classes.fill(IGNORED);
      rows.forEach((row, n) => (arrays.classes[n] = y[row]));
    } else {
      arrays.numbers.fill(0);
      arrays.counts.fill(0).fill(1, 0, rows.length);
      rows.forEach((row, n) => (arrays.numbers[n] = y[row]));
    }
  }

  set({ layer, kind, unit, input }, value) {
    const [fanIn, units] = [this.sizes[layer], this.sizes[layer + 1]];
    if (!(unit >= 0 && unit < units) || (kind === "weight" && !(input >= 0 && input < fanIn))) {
      throw new RangeError("there is no such weight");
    }
    if (kind === "weight") this.parameter(layer, "weight")[unit * UNITS + input] = value;
    else this.parameter(layer, "bias")[unit] = value;
  }

  isLost() {
    return this.used.some((_, k) => this.values(k, this.program.arrays).some((x) => !x.every(Number.isFinite)));
  }

  // The weights and the biases of a layer, without missing units, in arrays by name.
  values(k, arrays, suffix = "") {
    const [fanIn, units] = [this.sizes[k], this.sizes[k + 1]];
    const of = (name) => arrays[`layers.${this.used[k]}.${name}${suffix}`];
    return [part(of("weight"), units, fanIn), part(of("bias"), 1, units)];
  }

  // Frames

  // The numbers of all layers; those of the last batch, if it is given: its rows, and the bytes of the
  // state before its step.
  layers(last) {
    const before = last && this.arraysIn(last.before);
    const n = last?.rows.length;
    const inputs = last && part(this.program.arrays.x, n, this.features.length);
    const layers = [];
    for (const [k, number] of this.used.entries()) {
      const units = this.sizes[k + 1];
      const [weight, bias] = this.values(k, this.program.arrays);
      const layer = { name: this.name(k), kind: "units", fanIn: this.sizes[k], units, activation: this.activationOf(k), weight, bias };
      const [weightBefore, biasBefore] = last ? this.values(k, before) : [null, null];
      const [weightGradient, biasGradient] = last ? this.gradients(k) : [null, null];
      Object.assign(layer, { weightBefore, biasBefore, weightGradient, biasGradient });
      layer.weightUpdate = last && difference(weight, weightBefore);
      layer.biasUpdate = last && difference(bias, biasBefore);
      for (const name of SHOWN) {
        layer[name] = last && part(this.program.arrays[`shown.${number}.${name}`], n, units, this.widthOf(k));
      }
      layer.input = k ? layers[k - 1].output : inputs;
      layers.push(layer);
    }
    const batch = last && {
      index: last.rows.slice(), // what a frame holds is handed over
      inputs,
      y: Float32Array.from(last.rows, (row) => this.data.train.y[row]),
      loss: this.meanLoss,
      losses: this.program.arrays.losses.slice(0, n),
    };
    return { layers, batch };
  }

  // Entries of a row in the program: 4 scores of classes, or 8 units.
  widthOf(k) {
    return k === this.used.length - 1 ? 4 : UNITS;
  }

  gradients(k) {
    const number = this.used[k];
    const weight = this.program.arrays[`accumulated.${2 * number}`];
    const bias = this.program.arrays[`accumulated.${2 * number + 1}`];
    return [part(weight, this.sizes[k + 1], this.sizes[k]), part(bias, 1, this.sizes[k + 1])];
  }

  // The arrays of `carried`, by name, in bytes that were kept.
  arraysIn(bytes) {
    const found = {};
    let offset = 0;
    for (const name of this.program.manifest.functions[this.update].writes) {
      const { constructor, byteLength, length } = this.program.arrays[name];
      const copy = bytes.slice(offset, offset + byteLength);
      found[name] = new constructor(copy.buffer, 0, length);
      offset += byteLength;
    }
    return found;
  }

  explain(target, rows, before) {
    const name = `explain_${this.used.length - 1}_${this.activation}_${this.loss}`;
    const found = this.earlier(before, () => {
      this.feed(rows);
      this.program.run(name);
      const hidden = this.sizes.slice(1, -1);
      const named = (of) => Object.fromEntries(hidden.map((n, k) => [`H${k + 1}`, of(n)]));
      const sizes = { B: rows.length, F: this.sizes[0], C: this.sizes.at(-1), ...named((n) => n) };
      const padded = { B: BATCH, F: UNITS, C: this.widthOf(hidden.length), ...named(() => UNITS) };
      this.explanations ??= explanationsIn(this.program);
      return explanationOf(this.explanations[name], this.program, sizes, padded);
    });
    const gap = this.activation === "linear" ? 1 : 2; // modules from one Linear to the next
    const of = (k, what) => `${gap * k}.${what}`;
    const { structure, numbers, places } = found;
    const layer = target && { weight: of(target.layer, "weight"), bias: of(target.layer, "bias") };
    if (layer && target.layer < hiddenOf(this)) layer.next = of(target.layer + 1, "weight");
    return { structure, numbers, at: target ? stepOf(target, structure, places, layer) : null };
  }

  // What `run` returns with the state before a step, if it is given.
  earlier(before, run) {
    if (!before) return run();
    const now = this.program.snapshot();
    for (const [name, array] of Object.entries(this.arraysIn(before))) this.program.arrays[name].set(array);
    try {
      return run();
    } finally {
      this.program.restore(now);
    }
  }

  // Run the evaluation on inputs, count x features; `each(from, n)` is called after each part of it.
  evaluate(inputs, count, each) {
    const width = this.features.length;
    const { points } = this.program.arrays;
    points.fill(0);
    for (let from = 0; from < count; from += POINTS) {
      const n = Math.min(POINTS, count - from);
      for (let k = 0; k < n; k++) {
        points.set(inputs.subarray((from + k) * width, (from + k + 1) * width), k * UNITS);
      }
      this.program.run(this.evaluation);
      each(from, n);
    }
  }

  // In float64, so that means over many examples are exact enough.
  score({ inputs, y, count }) {
    let [sum, right] = [0, 0];
    const scores = this.program.arrays[`outputs.${OUTPUT}`];
    this.evaluate(inputs, count, (from, n) => {
      for (let k = 0; k < n; k++) {
        const row = scores.subarray(4 * k, 4 * k + (this.classes || 1));
        if (this.classes) {
          const most = Math.max(...row);
          const total = row.reduce((all, score) => all + Math.exp(score - most), 0);
          sum += Math.log(total) + most - row[y[from + k]];
          right += row.indexOf(most) === y[from + k] ? 1 : 0;
        } else sum += (row[0] - y[from + k]) ** 2;
      }
    });
    return { loss: sum / count, accuracy: this.classes ? right / count : null };
  }

  // Outputs of all layers for points of the plane, count x columns.
  outputs(x, count) {
    const inputs = this.featuresOf(x, count);
    const layers = this.used.map((_, k) => new Float32Array(this.sizes[k + 1] * count));
    this.evaluate(inputs, count, (from, n) => {
      layers.forEach((into, k) => {
        const values = this.program.arrays[`outputs.${this.used[k]}`];
        const width = this.widthOf(k);
        for (let unit = 0; unit < this.sizes[k + 1]; unit++) {
          for (let j = 0; j < n; j++) into[unit * count + from + j] = values[j * width + unit];
        }
      });
    });
    return { inputs: turned(inputs, count, this.features.length), layers };
  }
}

// rows x columns of an array whose rows have `width` entries.
function part(array, rows, columns, width = UNITS) {
  const found = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) found.set(array.subarray(i * width, i * width + columns), i * columns);
  return found;
}

const hiddenOf = ({ used }) => used.length - 1;

export function fail(what) {
  throw new RangeError(what);
}

const difference = (after, before) => after.map((x, k) => x - before[k]);

// columns x rows, from rows x columns.
function turned(array, rows, columns) {
  return Float32Array.from(array, (_, k) => array[(k % rows) * columns + Math.floor(k / rows)]);
}
