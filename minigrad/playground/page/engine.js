// The engine of the playground: it trains, and gives the numbers that the page shows. It touches no
// DOM. protocol.d.ts says what it is asked and what it answers.
//
// Class Engine knows the data, their order, time, and the way back; a network (ready.js, own.js)
// knows the functions of the compiled program, and computes.

import { Random } from "../../compiler/export/random.js";
import { fail } from "./ready.js";

const KEPT_STEPS = 1000; // how far `back` goes at most
const KEPT_BYTES = 32e6; // and what that may take
const SMALL_BYTES = 65536; // a state of at most so many is kept before each step, else before the last
const SLICE = 8; // milliseconds of training between two messages
const PACE = 500; // milliseconds over which steps per second are counted

export class Engine {
  // network: what `readyNetwork` or `ownNetwork` made of a program.
  constructor(network) {
    this.network = network;
    this.running = false;
    this.clear();
  }

  clear() {
    Object.assign(this, { done: 0, epoch: 0, position: 0, diverged: false, last: null, kept: null });
    Object.assign(this, { measured: null, history: [], order: null, orderOf: null });
    this.pace = { since: now(), step: 0, rate: 0, due: 0, at: now() };
  }

  about() {
    return { ...this.network.about, most: { ...this.network.about.most, back: KEPT_STEPS } };
  }

  configure(settings, data) {
    this.pause();
    this.clear();
    this.settings = checked({ ...this.network.about.settings, ...settings });
    this.data = this.network.begin(this.settings, data);
    this.forget();
    return this.shape();
  }

  adjust(settings) {
    const changed = checked({ ...this.settings, ...settings });
    const anew = this.network.adjust(changed, this.settings);
    this.settings = changed;
    if (anew) this.forget();
    return this.shape();
  }

  shape() {
    const { count } = this.data.train;
    const size = Math.min(this.settings.batch, count);
    const steps = Math.floor(count / size) + this.network.takesLast(count % size);
    return { ...this.network.shape, examples: count, stepsPerEpoch: steps };
  }

  // Steps

  step(n = 1) {
    this.train(n, this.settings.batch);
  }

  example() {
    this.train(1, 1);
  }

  train(n, size, settings = this.settings) {
    for (let left = n; left > 0 && !this.diverged; left--) {
      const loss = this.one(size, settings, left === 1 || this.kept.isSmall);
      this.done++;
      if (!Number.isFinite(loss)) this.diverged = true;
    }
    if (this.diverged) this.pause();
  }

  // One step; if the network refuses it, nothing has changed.
  one(size, settings, keeps) {
    const place = this.place();
    if (keeps) this.kept.push({ ...place, size, settings });
    try {
      const rows = this.next(size, settings);
      const loss = this.network.step(rows, settings);
      Object.assign(this, { last: rows, lastSettings: settings });
      return loss;
    } catch (error) {
      Object.assign(this, place);
      if (keeps) this.kept.pop(1);
      this.pause();
      throw error;
    }
  }

  place() {
    return { done: this.done, epoch: this.epoch, position: this.position };
  }

  // The rows of the next batch: those of minigrad's BatchLoader of the same seed.
  next(size, { seed, shuffle }) {
    const { count } = this.data.train;
    const left = count - this.position;
    if (left < size && !this.network.takesLast(left)) {
      this.epoch++;
      this.position = 0;
    }
    const orderOf = shuffle ? this.epoch : "data";
    if (this.orderOf !== orderOf) {
      this.order = shuffle
        ? new Random([seed, this.epoch]).permutation(count)
        : Int32Array.from({ length: count }, (_, k) => k);
      this.orderOf = orderOf;
    }
    const rows = Uint32Array.from(this.order.subarray(this.position, this.position + size));
    this.position += rows.length;
    return rows;
  }

  // To where it was n steps ago: one step further back, and that step again, for its gradients, by the
  // settings that it had.
  back(n = 1) {
    this.pause();
    const steps = Math.min(n, this.kept.count);
    if (!steps) return;
    const again = steps < this.kept.count;
    const place = this.kept.pop(again ? steps + 1 : steps);
    Object.assign(this, { done: place.done, epoch: place.epoch, position: place.position });
    Object.assign(this, { diverged: false, last: null, measured: null });
    this.history = this.history.filter(([step]) => step <= this.done);
    if (again) this.train(1, place.size, place.settings);
  }

  forget() {
    this.kept = new Kept(this.network.carried());
    Object.assign(this, { last: null, measured: null });
  }

  set(target, value) {
    if (!Number.isFinite(value)) throw new RangeError("a weight is a finite number");
    this.network.set(target, value);
    this.diverged = false;
    this.forget();
  }

  // Time

  run(stepsPerSecond = null) {
    this.running = !this.diverged;
    this.pace = { since: now(), step: this.done, rate: 0, due: 0, at: now(), wanted: stepsPerSecond };
  }

  pause() {
    this.running = false;
  }

  // Train until the next message may be read. Returns milliseconds in which there is nothing to do.
  advance() {
    const { pace } = this;
    const begin = now();
    if (pace.wanted === null) {
      // So many at once as take about a slice, by the rate so far.
      do this.train(Math.max(1, Math.min(1000, Math.floor((pace.rate * SLICE) / 4000))), this.settings.batch);
      while (this.running && now() - begin < SLICE);
    } else {
      // Steps that are late by more than a quarter of a second are not made up for.
      pace.due = Math.min(pace.due + ((begin - pace.at) / 1000) * pace.wanted, 1 + pace.wanted / 4);
      const n = Math.floor(pace.due);
      pace.due -= n;
      if (n) this.train(n, this.settings.batch);
    }
    pace.at = begin;
    const passed = now() - pace.since;
    if (passed >= PACE || !pace.rate) pace.rate = (1000 * (this.done - pace.step)) / Math.max(passed, 0.1);
    if (passed >= PACE) Object.assign(pace, { since: now(), step: this.done });
    return pace.wanted === null ? 0 : Math.max(0, (1000 * (1 - pace.due)) / pace.wanted);
  }

  // Frames

  frame(want = {}) {
    if (want.losses && this.measured?.step !== this.done) this.measure();
    const gradients = want.gradients && this.last !== null;
    const history = this.history;
    this.history = [];
    const found = this.network.layers(gradients ? { rows: this.last, before: this.kept.latest() } : null);
    return {
      step: this.done,
      epoch: this.epoch + this.position / this.data.train.count,
      running: this.running,
      stepsPerSecond: this.running ? this.pace.rate : 0,
      loss: this.measured?.loss ?? { train: null, test: null },
      accuracy: this.measured?.accuracy ?? { train: null, test: null },
      history,
      diverged: this.diverged || this.network.isLost(),
      back: this.kept.count,
      layers: found.layers,
      batch: found.batch && { ...found.batch, settings: this.lastSettings },
      plane: want.plane ? this.plane(want.plane) : null,
    };
  }

  measure() {
    const train = this.score(this.data.train);
    const test = this.score(this.data.test);
    this.measured = {
      step: this.done,
      loss: { train: train.loss, test: test.loss },
      accuracy: { train: train.accuracy, test: test.accuracy },
    };
    this.history.push([this.done, train.loss, test.loss]);
  }

  // The mean loss of examples, and the part of them whose largest score is their class.
  score(examples) {
    if (!examples.count) return { loss: null, accuracy: null };
    return this.network.score(examples);
  }

  plane(want) {
    const { size, columns, low, high } = want;
    const right =
      Number.isInteger(size) && size >= 1 && size <= 100 && [1, 2].includes(columns.length) &&
      columns.every((k) => k >= 0 && k < this.data.columns.length);
    if (!right) throw new RangeError("a plane has a size from 1 to 100, and one or two columns");
    const count = size ** columns.length;
    const x = new Float32Array(count * this.data.columns.length);
    for (let k = 0; k < count; k++) {
      const places = [k % size, Math.floor(k / size)];
      columns.forEach((column, j) => {
        x[k * this.data.columns.length + column] = low[j] + ((places[j] + 0.5) / size) * (high[j] - low[j]);
      });
    }
    return { size, count, want, ...this.network.outputs(x, count) };
  }

  // The structure of both passes, and all numbers of the last batch, or else of the next.
  explain(target) {
    const { epoch, position } = this;
    const rows = this.last ?? this.next(this.settings.batch, this.settings);
    Object.assign(this, { epoch, position });
    return this.network.explain(target, rows, this.last ? this.kept.latest() : null);
  }

  // States

  state() {
    const memory = new Uint8Array(this.kept.size);
    this.kept.save(memory);
    return { step: this.done, epoch: this.epoch, position: this.position, memory };
  }

  load(state) {
    const { count } = this.data.train;
    const whole = [state.step, state.epoch, state.position].every((x) => Number.isSafeInteger(x) && x >= 0);
    if (!whole || state.position > count || state.memory?.length !== this.kept.size) {
      throw new RangeError("this state is of other settings or data: load it into those that it was made with");
    }
    this.kept.restore(state.memory);
    Object.assign(this, { done: state.step, epoch: state.epoch, position: state.position });
    this.diverged = false;
    this.forget();
  }
}

// The states before the last steps: copies of the arrays that a step carries over to the next.
class Kept {
  constructor(arrays) {
    this.arrays = arrays.map((x) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength));
    this.size = this.arrays.reduce((sum, x) => sum + x.length, 0);
    this.isSmall = this.size <= SMALL_BYTES;
    this.room = Math.max(2, Math.min(KEPT_STEPS + 1, Math.floor(KEPT_BYTES / Math.max(1, this.size))));
    this.memory = [];
    this.places = [];
    this.end = 0; // where the next is put
    this.count = 0;
  }

  push(place) {
    const at = this.end;
    this.memory[at] ??= new Uint8Array(this.size);
    this.save(this.memory[at]);
    this.places[at] = place;
    this.end = (at + 1) % this.room;
    this.count = Math.min(this.count + 1, this.room);
  }

  // Restore the state n pushes ago, and drop it and what came after. Returns its place.
  pop(n) {
    this.end = (this.end - n + this.room) % this.room;
    this.count -= n;
    this.restore(this.memory[this.end]);
    return this.places[this.end];
  }

  // The bytes of the last one.
  latest() {
    return this.count ? this.memory[(this.end - 1 + this.room) % this.room] : null;
  }

  save(into) {
    let offset = 0;
    for (const array of this.arrays) {
      into.set(array, offset);
      offset += array.length;
    }
  }

  restore(from) {
    let offset = 0;
    for (const array of this.arrays) {
      array.set(from.subarray(offset, offset + array.length));
      offset += array.length;
    }
  }
}

function checked(settings) {
  const { seed, rate, batch, l1, l2, init } = settings;
  if (!(Number.isSafeInteger(seed) && seed >= 0)) fail(`the seed is a whole number of at least 0, not ${seed}`);
  if (!(rate > 0 && Number.isFinite(rate))) fail(`the learning rate is a number above 0, not ${rate}`);
  if (!(Number.isInteger(batch) && batch >= 1)) fail(`a batch has 1 example or more, not ${batch}`);
  if (!(l1 >= 0 && l2 >= 0)) fail(`the factors of regularisation are at least 0, not ${l1} and ${l2}`);
  if (!["uniform", "zero"].includes(init)) fail(`first weights are "uniform" or "zero", not ${init}`);
  return settings;
}

const now = () => performance.now();
