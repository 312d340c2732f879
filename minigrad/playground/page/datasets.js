// The data of the playground. Generated points are those of minigrad.data: the same formulas on the
// same draws of NumPy's generator, so that `data.make_moons(200, noise=0.1, seed=0)` in Python gives
// the points that the page shows; and they are split as `data.split` splits them.

import { Random } from "../../compiler/export/random.js";
import { csvExamples } from "./csv.js";
import { parseFormula } from "./formula.js";

const HALF_SIDE = 2; // points of a regression, and those that are drawn, lie within -2 to 2

/** What each kind of data is called, its part of the plane that is shown (`box`: the range of x1, and
 * of x2; null where it depends on the data), and which settings it has. */
export const DATASETS = Object.freeze({
  moons: { title: "two moons", box: [[-1.75, 2.75], [-2, 2.5]], settings: ["points", "noise"] },
  circles: { title: "circles", box: squareBox(1.5), settings: ["points", "noise"] },
  spirals: { title: "spirals", box: squareBox(1.5), settings: ["points", "noise", "classes"] },
  xor: { title: "exclusive or", box: squareBox(1.5), settings: ["points", "noise"] },
  gaussians: { title: "clusters", box: squareBox(2), settings: ["points", "noise", "classes"] },
  regression: { title: "a formula", box: squareBox(HALF_SIDE), settings: ["points", "noise", "formula"] },
  drawn: { title: "your own points", box: squareBox(HALF_SIDE), settings: [] },
  csv: { title: "a CSV file", box: null, settings: [] },
});

/** Data cannot be made of these settings; the message says why and what to do. */
export class DataError extends Error {
  constructor(message) {
    super(message);
    this.name = "DataError";
  }
}

/** The data that the settings describe, as `Data` of protocol.d.ts, with more: `box`, the range of each
 * column to show; `notes`, sentences on what was done to the data; `csv`, as it was given.
 *
 * `csv`: of data "csv", what csvExamples gave. Its columns, and a number to predict, are standardised:
 * minus the mean, and divided by the standard deviation, of the training examples (`scales`).
 * Throws a DataError, or a FormulaError. */
export function makeData(settings, csv = null) {
  const whole = allExamples(settings, csv);
  const { train, test } = splitIndices(whole.y.length, settings.split, settings.seed);
  const scaled = settings.data === "csv" ? standardised(whole, train) : whole;
  const part = (indices) => ({
    x: Float32Array.from(indices.flatMap((k) => scaled.x[k])),
    y: Float32Array.from(indices, (k) => scaled.y[k]),
  });
  return {
    columns: whole.columns ?? ["x1", "x2"],
    classes: whole.classes,
    classNames: whole.classNames,
    train: part(train),
    test: part(test),
    box: DATASETS[settings.data].box ?? boxOf(scaled.x),
    scales: scaled.scales,
    csv: settings.data === "csv" ? csv : null,
    notes: test.length ? whole.notes ?? [] : [...(whole.notes ?? []), "too few examples to hold some out"],
  };
}

/** All examples, before they are split: {x: rows, y, classes, ...}, in float64 or float32 as Python's. */
function allExamples(settings, csv) {
  const { data, points, noise, classes, seed } = settings;
  if (data === "csv") {
    if (csv === null) throw new DataError("there is no CSV file yet: drop one on the page, or choose one");
    return csv;
  }
  if (data === "drawn") return drawnByHand(settings.drawn);
  if (data === "regression") return regressionPoints(parseFormula(settings.formula), points, noise, seed);
  const count = { spirals: classes, gaussians: classes }[data] ?? 2;
  const { x, y } = GENERATED[data](points, count, noise, seed);
  return { x, y, classes: count };
}

// Generated: minigrad/data/points.py has the same

const GENERATED = {
  moons(n, classes, noise, seed) {
    const { labels, t, rng } = drawnLabels(n, 2, seed);
    const points = labels.map((k, i) => [
      Math.cos(Math.PI * t[i]) + k,
      Math.sin(Math.PI * t[i]) * (1 - 2 * k) + k / 2,
    ]);
    return { x: scatteredPoints(points, noise, rng), y: labels };
  },

  circles(n, classes, noise, seed) {
    const { labels, t, rng } = drawnLabels(n, 2, seed);
    const points = labels.map((k, i) => onCircle(1 - k / 2, 2 * Math.PI * t[i]));
    return { x: scatteredPoints(points, noise, rng), y: labels };
  },

  spirals(n, classes, noise, seed) {
    const { labels, t, rng } = drawnLabels(n, classes, seed);
    const points = labels.map((k, i) => onCircle(t[i], 2 * Math.PI * (t[i] + k / classes)));
    return { x: scatteredPoints(points, noise, rng), y: labels };
  },

  xor(n, classes, noise, seed) {
    const { labels: quadrants, t, rng } = drawnLabels(n, 4, seed);
    const other = uniformDraws(n, rng);
    const points = quadrants.map((q, i) => [
      (q === 1 || q === 2 ? -1 : 1) * (0.1 + 0.9 * t[i]),
      (q < 2 ? 1 : -1) * (0.1 + 0.9 * other[i]),
    ]);
    return { x: scatteredPoints(points, noise, rng), y: quadrants.map((q) => q % 2) };
  },

  gaussians(n, classes, noise, seed) {
    const { labels, rng } = drawnLabels(n, classes, seed);
    const points = labels.map((k) => onCircle(1, (2 * Math.PI * k) / classes));
    return { x: scatteredPoints(points, noise, rng), y: labels };
  },
};

function drawnLabels(n, classes, seed) {
  const rng = new Random(seed);
  const labels = rng.permutation(Array.from({ length: n }, (_, k) => k % classes));
  return { labels, t: uniformDraws(n, rng), rng };
}

const uniformDraws = (n, rng) => Array.from({ length: n }, () => rng.random());
const onCircle = (radius, angle) => [radius * Math.cos(angle), radius * Math.sin(angle)];

function scatteredPoints(points, noise, rng) {
  return points.map((point) => point.map((x) => x + noise * rng.standardNormal()));
}

function regressionPoints(formula, n, noise, seed) {
  const rng = new Random(seed);
  const x = Array.from({ length: n }, () => [0, 1].map(() => rng.uniform(-HALF_SIDE, HALF_SIDE)));
  const exact = x.map(([x1, x2]) => formula.value(x1, x2));
  // A network cannot learn what is not there, and float32 ends at 3e38.
  const wrong = exact.map((y, k) => [y, k]).filter(([y]) => !(Math.abs(y) < 1e6));
  if (wrong.length) {
    const [y, k] = wrong[0];
    const at = `x1 = ${x[k][0].toFixed(2)}, x2 = ${x[k][1].toFixed(2)}`;
    const what = Number.isNaN(y) ? "has no value" : "is larger than a million";
    const instead = Number.isNaN(y)
      ? "choose one with a value everywhere from -2 to 2, as log(abs(x1) + 0.1) for log(x1)"
      : "divide it, or keep away from division by 0, as in 1/(x1^2 + 0.1)";
    throw new DataError(`the formula ${what} at ${at} (and ${wrong.length - 1} more of ${n} points): ${instead}`);
  }
  return { x, y: exact.map((y) => y + noise * rng.standardNormal()), classes: 0 };
}

function drawnByHand(points) {
  const labels = points.map(([, , k]) => k);
  if (new Set(labels).size < 2) {
    const there = points.length ? "points of one class only" : "no points yet";
    throw new DataError(`there are ${there}: click into the plane to draw some of at least two classes`);
  }
  return { x: points.map(([x, y]) => [x, y]), y: labels, classes: Math.max(...labels) + 1 };
}

// Split, and scale

/** The indices of training and held-out examples, as `data.split(..., heldOut, seed)` has them. */
export function splitIndices(n, heldOut, seed) {
  const held = roundHalfEven(heldOut * n);
  const order = Array.from(new Random(seed).permutation(n));
  const sorted = (indices) => indices.sort((a, b) => a - b);
  return { train: sorted(order.slice(held)), test: sorted(order.slice(0, held)) };
}

/** As Python's round. */
function roundHalfEven(x) {
  const below = Math.floor(x);
  const half = x - below === 0.5;
  return half ? below + (below % 2) : Math.round(x);
}

function standardised({ x, y, classes }, train) {
  const scales = x[0].map((_, k) => scaleOf(train.map((row) => x[row][k])));
  const target = classes ? { mean: 0, deviation: 1 } : scaleOf(train.map((row) => y[row]));
  const scaled = (value, { mean, deviation }) => (value - mean) / deviation;
  return {
    x: x.map((row) => row.map((value, k) => scaled(value, scales[k]))),
    y: y.map((value) => scaled(value, target)),
    scales: { columns: scales, target: classes ? null : target },
  };
}

/** Mean and standard deviation; 1 for the latter if all values are the same. */
function scaleOf(values) {
  const n = values.length;
  const mean = values.reduce((sum, x) => sum + x, 0) / n;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / n;
  return { mean, deviation: values.every((x) => x === values[0]) ? 1 : Math.sqrt(variance) };
}

function boxOf(x) {
  return x[0].map((_, k) => {
    const column = x.map((row) => row[k]);
    const low = column.reduce((a, b) => Math.min(a, b));
    const high = column.reduce((a, b) => Math.max(a, b));
    const margin = (high - low || 1) / 8;
    return [low - margin, high + margin];
  });
}

function squareBox(side) {
  return [[-side, side], [-side, side]];
}
