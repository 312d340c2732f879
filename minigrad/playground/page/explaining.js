// The structure and the numbers of an explanation, as explaining.py has made them.

import { arraysOf } from "../../viz/page/numbers.js";

// By the functions that store their numbers.
export function explanationsIn(program) {
  const [section] = WebAssembly.Module.customSections(program.module, "explanations");
  return JSON.parse(new TextDecoder().decode(section));
}

// What was stored in the pool, for a structure whose sizes have names: `sizes` are those that there
// are, `padded` those of the arrays in the program.
export function explanationOf({ structure: text, arrays, places }, program, sizes = {}, padded = {}) {
  const at = (named) => JSON.parse(text.replace(/\$(\w+)\$/g, (_, name) => named[name]));
  const structure = at(sizes);
  const whole = arraysOf(at(padded));
  const numbers = arraysOf(structure).map(({ shape }, k) => corner(program.arrays[`pool.${arrays[k]}`], whole[k].shape, shape));
  return { structure, numbers: { arrays: numbers }, places };
}

// The first entries along each axis, of an array of at most two axes in C order.
function corner(array, shape, part) {
  if (shape.length !== 2 || shape[1] === part[1]) {
    return array.slice(0, part.reduce((product, n) => product * n, 1));
  }
  const found = new Float32Array(part[0] * part[1]);
  for (let i = 0; i < part[0]; i++) found.set(array.subarray(i * shape[1], i * shape[1] + part[1]), i * part[1]);
  return found;
}

// The step of a parameter, or of a unit's output: of the layer whose parameters are `weight` and
// `bias` in `places`, and is followed by the layer with the weight `next`.
export function stepOf({ kind }, { steps }, places, { weight, bias, next }) {
  if (kind === "weight") return places[weight] ?? null;
  if (kind === "bias") return places[bias] ?? null;
  const uses = (name) => steps.findIndex((step) => step.op === "linear" && step.inputs[1] === places[name]);
  const sum = steps.findIndex((step) => step.op === "add" && step.inputs[1] === places[bias]);
  const z = sum < 0 ? uses(weight) : sum;
  if (kind === "output" && next !== undefined && uses(next) >= 0) return steps[uses(next)].inputs[0];
  return z < 0 ? null : z;
}
