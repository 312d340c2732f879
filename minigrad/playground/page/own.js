// A user's own training step: own.py has the functions, and what is said of them here.

import { ARRAY_TYPES, decoded } from "../../compiler/export/arrays.js";
import { explanationOf, explanationsIn, stepOf } from "./explaining.js";
import { fail } from "./ready.js";

const PASSES = ["preactivation", "output", "preactivationGradient", "outputGradient"];

export class OwnNetwork {
  constructor(program, description) {
    this.program = program;
    this.description = description;
    this.initial = program.snapshot();
    const [train, test] = [description.train, description.test ?? emptyLike(description.train)].map(unpacked);
    const { columns, network } = description;
    this.data = { columns, train, test };
    const numbers = ({ x, y, count }) => ({
      x: columns.length ? Float32Array.from(x, Number) : new Float32Array(0),
      y: Float32Array.from({ length: count }, (_, k) => Number(y[k * (y.length / count)])),
    });
    const shown = { columns, classes: network.classes, train: numbers(train), test: numbers(test) };
    this.about = { ...description.about, data: shown };
    this.shape = network;
    this.before = null;
  }

  begin(settings) {
    this.checkBatch(settings);
    this.program.restore(this.initial);
    this.kind = settings.zeroGradients ? "step" : "step_kept";
    return this.data;
  }

  checkBatch({ batch }) {
    if (batch !== this.description.batch) fail(`this step is compiled for batches of ${this.description.batch}`);
  }

  // Whether the way back is closed: what is carried over is not the same.
  adjust(settings, before) {
    this.checkBatch(settings);
    if (settings.zeroGradients === before.zeroGradients) return false;
    this.kind = settings.zeroGradients ? "step" : "step_kept";
    for (const name of this.whole.writes) if (name.startsWith("kept.")) this.program.arrays[name].fill(0);
    return true;
  }

  get whole() {
    return this.program.manifest.functions[this.kind];
  }

  // What a step carries over to the next: what it writes, and its generators.
  carried() {
    const { writes, draws } = this.whole;
    return [...writes.map((name) => this.program.arrays[name]), ...draws.map((name) => this.program.generators[name].words)];
  }

  // The function of this name for so many rows.
  functionFor(name, count) {
    const { batch, sizes, notOne } = this.description;
    if (!sizes.includes(count)) {
      fail(count === 1 ? `this step takes no batch of one example: ${notOne}` : `this step is compiled for batches of ${batch}`);
    }
    return count === batch ? name : `${name}_${count}`;
  }

  // Whether an epoch ends with a batch of the examples that are left.
  takesLast(count) {
    return !this.description.dropsLast && this.description.sizes.includes(count);
  }

  step(rows, settings) {
    const name = this.functionFor(this.kind, rows.length);
    this.feed(name, this.data.train, rows);
    this.setRates(name, settings.rate);
    this.program.run(name);
    return this.lossOf(name);
  }

  lossOf(name) {
    return Number(this.program.arrays[this.outputName(name, "loss")][0]);
  }

  // The rates of all groups of parameters, in the proportions that they have in Python.
  setRates(name, rate) {
    const { rates } = this.description;
    const inputs = this.program.manifest.functions[name].inputs.slice(2);
    inputs.forEach((input) => {
      const group = Number(/\.(\d+)\.lr$/.exec(input)?.[1] ?? 0);
      this.program.arrays[input][0] = (rate * rates[group]) / rates[0];
    });
  }

  // Copy rows of examples into the inputs x and y.
  feed(name, examples, rows) {
    const [x, y] = this.program.manifest.functions[name].inputs.map((input) => this.program.arrays[input]);
    copyRows(examples.x, examples.count, rows, x);
    copyRows(examples.y, examples.count, rows, y);
  }

  outputName(name, key) {
    const { outputs } = this.program.manifest.functions[name];
    return outputs.find((each) => each === key || each === `${name}.${key}`);
  }

  result(name, key) {
    const found = this.outputName(name, key);
    return found === undefined ? null : this.program.arrays[found];
  }

  set({ layer, kind, unit, input }, value) {
    const { held, fanIn, units } = this.shape.layers[layer];
    const array = this.parameter(held[kind]);
    const at = kind === "weight" ? unit * fanIn + input : unit;
    if (!array || !(unit < units) || !(at >= 0 && at < array.length)) fail("there is no such weight");
    array[at] = value;
  }

  parameter(name) {
    return name === undefined ? null : this.program.arrays[this.description.memory[name]];
  }

  isLost() {
    const held = this.shape.layers.flatMap((layer) => Object.values(layer.held));
    return !held.every((name) => this.parameter(name).every(Number.isFinite));
  }

  // Frames

  // As of the ready playground; but a step computes only what it needs, so both passes of the last one
  // are run again, from the state before it.
  layers(last) {
    const seen = last && this.observe(last);
    const { train } = this.data;
    const inputs = last && floats(copyRows(train.x, train.count, last.rows));
    const layers = [];
    for (const [k, shape] of this.shape.layers.entries()) {
      const { name, kind, fanIn, units, activation, held, follows } = shape;
      const layer = { name, kind, fanIn, units, activation, weight: new Float32Array(0), bias: new Float32Array(0) };
      for (const pass of PASSES) layer[pass] = floats(seen?.[`${k}.${pass}`]);
      layer.input = follows ? (k ? layers[k - 1].output : inputs) : floats(seen?.[`${k}.input`]);
      const parameters = Object.entries(held).map(([own, full]) => this.state(own, full, seen));
      if (kind === "module") layer.parameters = parameters;
      for (const which of kind === "units" ? ["weight", "bias"] : []) {
        const found = parameters.find((each) => each.name === which);
        layer[which] = found?.value ?? new Float32Array(units);
        layer[`${which}Gradient`] = found ? found.gradient : seen && new Float32Array(units);
        layer[`${which}Update`] = found ? found.update : seen && new Float32Array(units);
        layer[`${which}Before`] = found ? found.before : seen && new Float32Array(units);
      }
      layers.push(layer);
    }
    const batch = last && {
      index: last.rows.slice(), // what a frame holds is handed over
      inputs,
      y: floats(copyRows(train.y, train.count, last.rows)),
      loss: Number(seen.loss[0]),
      losses: new Float32Array(0),
    };
    return { layers, batch };
  }

  state(name, full, seen) {
    const memory = this.description.memory[full];
    const { shape } = this.program.manifest.arrays.find((each) => each.name === memory);
    const value = floats(this.parameter(full));
    const before = seen && floats(seen.before[memory] ?? value);
    // As `.grad` has it: with those of the steps before, if they are not zeroed.
    const kept = seen?.before[`kept.${full}`];
    const gradient = floats(seen?.[`${full}.grad`])?.map((x, k) => x + (kept?.[k] ?? 0)) ?? null;
    return { name, shape, value, before, gradient, update: before && value.map((x, k) => x - before[k]) };
  }

  observe({ rows, before }) {
    const name = this.functionFor("observe", rows.length);
    return this.earlier(before, () => {
      const found = { before: {} };
      for (const written of this.whole.writes) found.before[written] = this.program.arrays[written].slice();
      this.feed(name, this.data.train, rows);
      this.program.run(name);
      for (const output of this.program.manifest.functions[name].outputs) {
        const key = output.startsWith(`${name}.`) ? output.slice(name.length + 1) : output;
        found[key] = this.program.arrays[output].slice();
      }
      return found;
    });
  }

  explain(target, rows, before) {
    this.explanations ??= explanationsIn(this.program);
    const name = this.functionFor("explain", rows.length);
    const told = this.explanations[name];
    if (told.refusal) fail(told.refusal);
    const { structure, numbers, places } = this.earlier(before, () => {
      this.feed(name, this.data.train, rows);
      this.program.run(name);
      // Formulas have numbers that were computed as they were of the first batch.
      const [at, literals] = told.literals;
      const found = literals.length ? this.program.arrays[`pool.${at}`] : [];
      if (!literals.every((x, k) => Math.abs(x - found[k]) <= 1e-6 * Math.abs(x))) {
        fail("the formulas of this batch have other numbers than those of the first, as labels that are ignored");
      }
      return explanationOf(told, this.program);
    });
    const held = (k) => this.shape.layers[k]?.held ?? {};
    const layer = target && { ...held(target.layer), next: held(target.layer + 1).weight };
    return { structure, numbers, at: target ? stepOf(target, structure, places, layer) : null };
  }

  // What `run` returns with the state before a step, if it is given.
  earlier(before, run) {
    const now = this.program.snapshot();
    let offset = 0;
    for (const array of before ? this.carried() : []) {
      new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(before.subarray(offset, offset + array.byteLength));
      offset += array.byteLength;
    }
    try {
      return run();
    } finally {
      this.program.restore(now);
    }
  }

  score({ x, y, count }) {
    let [sum, right, counted, hasLabels] = [0, 0, 0, false];
    const { batch } = this.description;
    for (let from = 0; from < count; from += batch) {
      const n = Math.min(batch, count - from);
      const name = `measure_${n}`;
      const rows = Uint32Array.from({ length: n }, (_, k) => from + k);
      this.feed(name, { x, y, count }, rows);
      this.program.run(name);
      const loss = this.lossOf(name);
      if (!Number.isNaN(loss)) { // as of labels that are all ignored
        sum += n * loss;
        counted += n;
      }
      const found = this.result(name, "right");
      hasLabels = found !== null;
      right += Number(found?.[0] ?? 0);
    }
    return { loss: sum / counted, accuracy: hasLabels ? right / y.length : null };
  }

  // Outputs of the layers that are drawn with units, and of the network, for points of the plane.
  outputs(x, count) {
    const { points } = this.description;
    const width = this.data.columns.length;
    const [input] = this.program.manifest.functions.evaluate.inputs.map((name) => this.program.arrays[name]);
    const { layers: shapes } = this.shape;
    const layers = shapes.map(({ kind, units }) => new Float32Array(kind === "units" ? units * count : 0));
    const parts = shapes.map((_, k) => this.result("evaluate", String(k)));
    if (!parts.at(-1)) parts[parts.length - 1] = this.result("evaluate", "output");
    for (let from = 0; from < count; from += points) {
      const n = Math.min(points, count - from);
      for (let k = 0; k < n * width; k++) input[k] = x[from * width + k];
      this.program.run("evaluate");
      layers.forEach((into, k) => {
        const units = into.length / count;
        for (let unit = 0; unit < units; unit++) {
          for (let j = 0; j < n; j++) into[unit * count + from + j] = parts[k][j * units + unit];
        }
      });
    }
    const inputs = Float32Array.from(x, (_, k) => x[(k % count) * width + Math.floor(k / count)]);
    return { inputs, layers };
  }
}

function unpacked(examples) {
  const [x, y] = [examples.x, examples.y].map(({ dtype, bytes }) => new ARRAY_TYPES[dtype](decoded(bytes).buffer));
  return { x, y, count: examples.x.shape[0] };
}

const emptyLike = ({ x, y }) => ({ x: { ...x, shape: [0], bytes: "" }, y: { ...y, shape: [0], bytes: "" } });

// The rows of an array of `count` of them, into another one.
function copyRows(array, count, rows, into = new array.constructor((rows.length * array.length) / count)) {
  const width = array.length / count;
  rows.forEach((row, n) => into.set(array.subarray(row * width, (row + 1) * width), n * width));
  return into;
}

const floats = (array) => (array ? Float32Array.from(array, Number) : null);
