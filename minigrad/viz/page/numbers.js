// The numbers of an explanation, and how they are written.
// Their order is that of minigrad/viz/page/numbers.py.

import { ARRAY_TYPES, decoded } from "../../compiler/export/arrays.js";

// Text

// As minigrad.viz.text.notation.number: 2 is exact, 2.000 is rounded, 0.30000000000000004 is 0.3.
export function number(x, type = "float64", digits = 4) {
  if (/int/.test(type)) return String(x);
  if (Array.isArray(x)) return complexNumber(x, type, digits);
  if (type === "bool") return x ? "True" : "False";
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf";
  if (Number.isInteger(x) && Math.abs(x) < 1e9) return String(x === 0 ? 0 : x);
  const round = type === "float32" || type === "complex64" ? Math.fround : (y) => y;
  const eps = type === "float16" ? 2 ** -10 : type === "float32" || type === "complex64" ? 2 ** -23 : 2 ** -52;
  const rounded = significant(x, digits);
  const exact = stripped(rounded);
  if (Math.abs(round(Number(exact)) - x) <= 8 * eps * Math.abs(x)) return exact;
  return rounded.endsWith(".") ? fixed(x, 1) : rounded;
}

function complexNumber([a, b], type, digits) {
  const size = Math.hypot(a, b), least = Number.isFinite(size) ? 8 * (type === "complex64" ? 2 ** -23 : 2 ** -52) * size : 0;
  const [real, imag] = [a, b].map((part) => number(Math.abs(part) <= least ? 0 : part, type, digits));
  if (imag === "0") return real;
  return `${real === "0" ? "" : real}${real === "0" || imag.startsWith("-") ? "" : "+"}${imag}j`;
}

// To so many digits, with trailing zeros, as Python's "#.4g"
function significant(x, digits) {
  let [mantissa, exponent] = halfEven(x, digits).split("e");
  exponent = Number(exponent);
  if (exponent < -4 || exponent >= digits) {
    const size = Math.abs(exponent);
    return `${mantissa}e${exponent < 0 ? "-" : "+"}${size < 10 ? "0" : ""}${size}`;
  }
  const sign = mantissa.startsWith("-") ? "-" : "", all = mantissa.replace(/[-.]/g, "");
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${all}`;
  return `${sign}${all.slice(0, exponent + 1)}.${all.slice(exponent + 1)}`;
}

// toExponential rounds a tie up, and Python to the even digit
function halfEven(x, digits) {
  const up = x.toExponential(digits - 1), all = x.toExponential(60);
  const [mantissa] = all.split("e");
  if (!/^50*$/.test(mantissa.replace(/[-.]/g, "").slice(digits))) return up;
  const [half, exponent] = all.split("e");
  const kept = half.slice(0, half.indexOf(".") + digits), odd = Number(kept.at(-1)) % 2;
  return odd ? up : `${kept}e${exponent}`;
}

const fixed = (x, places) => x.toFixed(places);
const stripped = (text) => {
  const [digits, exponent] = text.split("e");
  return (digits.includes(".") ? digits.replace(/\.?0*$/, "") : digits) + (exponent === undefined ? "" : `e${exponent}`);
};

export const tuple = (sizes) => `(${sizes.join(", ")}${sizes.length === 1 ? "," : ""})`;

// Arrays: { shape, type, data } or, of a large one, { shape, type, digest }

const STORED = {
  ...ARRAY_TYPES, float16: Float32Array,
  longdouble: Float64Array, float128: Float64Array, complex64: Float32Array, complex128: Float64Array, clongdouble: Float64Array, complex256: Float64Array,
};
const isComplex = (type) => type.startsWith("c");
const sizeOf = (shape) => shape.reduce((product, n) => product * n, 1);
const SIDE = 16; // of the heat map in a digest

// Shape and type of each array, in their order
export function arraysOf({ steps, templates }) {
  const own = (step) => ({ shape: step.shape, type: step.dtype });
  const uses = steps.flatMap((step) => step.uses.map((use) => [step, use]));
  return [...steps.map(own), ...steps.filter((step) => step.adjoint).map(own), ...uses.map(([step]) => own(step)),
    ...uses.filter(([, use]) => templates[use[2]].local).map(([, use]) => ({ shape: steps[use[0]].shape, type: templates[use[2]].type }))];
}

// The arrays that `packed` in numbers.py has put into a text
export function unpack(structure, { bytes, full }) {
  const memory = decoded(bytes);
  let at = 0;
  const take = (Kind, count) => { // a copy, for it has to be aligned
    const length = count * Kind.BYTES_PER_ELEMENT;
    at += length;
    return new Kind(memory.slice(at - length, at).buffer);
  };
  return arraysOf(structure).map(({ shape, type }) => {
    const size = sizeOf(shape);
    if (size <= full) return take(STORED[type], isComplex(type) ? 2 * size : size);
    const [low, high, real, imag, norm, peak] = take(Float64Array, 6);
    const columns = Math.min(SIDE, shape.at(-1)), rows = Math.min(SIDE, size / shape.at(-1));
    return { low, high, mean: isComplex(type) ? [real, imag] : real, norm, peak, rows, columns, heat: Array.from(take(Int8Array, rows * columns), (x) => x === -128 ? NaN : x / 127) };
  });
}

export class Numbers {
  // list: typed arrays, or digests, in their order
  constructor(structure, list) {
    const { steps, templates } = structure;
    this.structure = structure;
    this.arrays = arraysOf(structure).map((what, k) => ({ ...what, ...(ArrayBuffer.isView(list[k]) ? { data: list[k] } : { digest: list[k] }) }));
    let n = steps.length;
    this.adjoints = steps.map((step) => step.adjoint ? n++ : null);
    this.cotangents = steps.map((step) => step.uses.map(() => n++));
    this.locals = steps.map((step) => step.uses.map((use) => templates[use[2]].local ? n++ : null));
    this.sums = new Map();
  }
  value(k) { return this.arrays[k]; }
  adjoint(k) { return this.arrays[this.adjoints[k]] ?? null; }
  cotangent(k, n) { return this.arrays[this.cotangents[k][n]]; }
  local(k, n) { return this.arrays[this.locals[k][n]] ?? null; }
  // The sum of the first contributions, up to and with n; null if they are not there in full
  running(k, n) {
    const count = this.structure.steps[k].uses.length;
    if (n === count - 1) return this.adjoint(k);
    if (n === 0) return this.cotangent(k, 0);
    const key = `${k},${n}`;
    if (!this.sums.has(key)) {
      const { shape, type, data } = this.cotangent(k, n), before = this.running(k, n - 1);
      this.sums.set(key, data && before?.data ? { shape, type, data: data.map((x, i) => x + before.data[i]) } : null);
    }
    return this.sums.get(key);
  }
}

// With a sign for minus, as in formulas
export const minus = (written) => written.replace(/-(?=[\d.in])/g, "\u2212");

export const isScalar = (array) => array.shape.length === 0;
export const entryOf = ({ type, data }, k) => isComplex(type) ? [data[2 * k], data[2 * k + 1]] : data[k];
export const entryText = (array, k, digits = 4) => number(entryOf(array, k), array.type, digits);

// Least, largest, mean, norm; of complex numbers the sizes
export function facts(array) {
  if (array.digest) return array.digest;
  if (array.facts) return array.facts;
  const { data, type } = array, size = sizeOf(array.shape);
  let low = Infinity, high = -Infinity, square = 0, real = 0, imag = 0;
  const unit = 2 ** Math.floor(Math.log2(largestFinite(array) || 1)); // that no square or sum overflows
  for (let k = 0; k < size; k++) {
    const x = isComplex(type) ? Math.hypot(data[2 * k], data[2 * k + 1]) : Number(data[k]);
    if (!(x >= low)) low = Number.isNaN(x) || Number.isNaN(low) ? NaN : x;
    if (!(x <= high)) high = Number.isNaN(x) || Number.isNaN(high) ? NaN : x;
    square += (x / unit) ** 2;
    real += (isComplex(type) ? data[2 * k] : x) / unit;
    if (isComplex(type)) imag += data[2 * k + 1] / unit;
  }
  const mean = [real, imag].map((sum) => (sum / size) * unit);
  array.facts = { low, high, norm: Math.sqrt(square) * unit, mean: isComplex(type) ? mean : mean[0] };
  return array.facts;
}

export function largest(array) { // in size
  const { low, high } = facts(array);
  return Math.max(Math.abs(low), Math.abs(high));
}

const rounded = (x, type, digits = 4) => number(type.startsWith("float32") || type === "complex64" ? Math.fround(x) : x, type === "bool" || /int/.test(type) ? "float64" : type.replace("complex64", "float32").replace("complex128", "float64"), digits);
// What is largest in size, as \u00b13.5
export const largestText = (array) => sizeOf(array.shape) ? `\u00b1${minus(rounded(largest(array), array.type))}`.replace("\u00b1nan", "nan") : "empty";
// What the darkest tile of a heat map is
export const peakText = (array, { peak }, digits = 4) => peak ? minus(rounded(peak, array.type, digits)) : largestText(array).replace("\u00b1", "");

// A number, a short vector, or the shape and the largest entry of an array
export function text(array, digits = 4) {
  if (isScalar(array)) return entryText(array, 0, digits);
  const size = sizeOf(array.shape);
  if (!size) return `${tuple(array.shape)}, empty`;
  if (size === 1 && array.data) return "[".repeat(array.shape.length) + entryText(array, 0) + "]".repeat(array.shape.length);
  if (size <= 4 && array.shape.length === 1 && array.data) return `[${Array.from({ length: size }, (_, k) => entryText(array, k)).join(", ")}]`;
  const { low, high } = facts(array);
  if (low === high && !isComplex(array.type)) return `${tuple(array.shape)}, all ${rounded(low, array.type)}`;
  return `${tuple(array.shape)}, largest ${rounded(Math.abs(low) > Math.abs(high) ? low : high, array.type)}`;
}

export function statistics(array) {
  const { low, high, mean, norm } = facts(array), { type } = array;
  return isComplex(type)
    ? `mean ${number(mean, type)}, sizes ${rounded(low, type)} to ${rounded(high, type)}, norm ${rounded(norm, type)}`
    : `${rounded(low, type)} to ${rounded(high, type)}, mean ${rounded(mean, type)}, norm ${rounded(norm, type)}`;
}

// Heat maps: a matrix of parts of the `peak`, -1 to 1, and NaN for what is not finite. The peak is the
// largest finite entry in size, or if there are too many for tiles of their own, the largest mean of `blocks`.
// More than two axes are laid out as panels of the last two; `panel` is the size of one.

export function heat(array, side) {
  const { shape, digest } = array, size = sizeOf(shape);
  if (!size || isScalar(array)) return null;
  if (digest) return { rows: digest.rows, columns: digest.columns, parts: digest.heat, peak: digest.peak, blocks: true };
  const [rows, columns, place, panel] = arrangement(shape);
  const peak = largestFinite(array), plane = new Float64Array(rows * columns).fill(0);
  const used = new Uint8Array(rows * columns);
  for (let k = 0; k < size; k++) {
    const x = isComplex(array.type) ? Math.hypot(...entryOf(array, k)) : Number(array.data[k]), at = place(k);
    plane[at] = Number.isFinite(x) ? x / (peak || 1) : NaN;
    used[at] = 1;
  }
  if (rows <= side && columns <= side) return { rows, columns, parts: Array.from(plane, (x, k) => used[k] ? x : null), peak, place, panel };
  const [r, c] = [Math.min(rows, side), Math.min(columns, side)], sums = new Float64Array(r * c), counts = new Float64Array(r * c);
  for (let k = 0; k < plane.length; k++) {
    const at = Math.floor(Math.floor(k / columns) * r / rows) * c + Math.floor((k % columns) * c / columns);
    if (used[k]) { sums[at] += plane[k]; counts[at] += 1; }
  }
  const means = Array.from(sums, (x, k) => counts[k] ? x / counts[k] : null);
  const most = means.reduce((high, x) => x > high || -x > high ? Math.abs(x) : high, 0);
  return { rows: r, columns: c, parts: means.map((x) => x === null ? null : x / (most || 1)), peak: most * peak, blocks: true };
}

function largestFinite(array) {
  let most = 0;
  for (let k = 0; k < sizeOf(array.shape); k++) {
    const x = isComplex(array.type) ? Math.hypot(...entryOf(array, k)) : Math.abs(Number(array.data[k]));
    if (Number.isFinite(x) && x > most) most = x;
  }
  return most;
}

function arrangement(shape) { // rows, columns, entry -> place, size of a panel
  const size = sizeOf(shape), w = shape.at(-1), h = shape.length > 1 ? shape.at(-2) : 1;
  if (shape.length === 1 && size > 24) { // a long vector, in lines
    const columns = Math.ceil(Math.sqrt(size * 2.5));
    return [Math.ceil(size / columns), columns, (k) => k, null];
  }
  const panels = size / (w * h);
  if (panels === 1) return [h, w, (k) => k, null];
  const across = shape.at(-3) <= 16 && shape.length > 3 ? shape.at(-3) : Math.ceil(Math.sqrt(panels * h / w));
  const place = (k) => {
    const panel = Math.floor(k / (w * h)), i = Math.floor(k / w) % h, j = k % w;
    return (Math.floor(panel / across) * h + i) * across * w + (panel % across) * w + j;
  };
  return [Math.ceil(panels / across) * h, across * w, place, [h, w]];
}

// The class of a shade: from t-6 (low) to t6 (high)
export const LEVELS = 6;
export const shade = (part) => part === null ? "" : Number.isNaN(part) ? "tx" : `t${Math.round(part * LEVELS)}`.replace("t-0", "t0");
