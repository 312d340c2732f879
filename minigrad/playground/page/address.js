// The settings of the playground, and how they stand in the address: #v=1&data=spirals&layers=4,2
//
// One table says what there is. Whatever comes from an address is checked against it: a value that
// does not fit is reported and replaced by the default, and a name that is not in it is reported
// and ignored. Nothing of an address is ever used before that.

const VERSION = 1;
const ADDRESS = 20_000; // most characters that are read
const LAYERS = 6; // most hidden layers
const UNITS = 8; // most units of one
const DRAWN = 500; // most points that are drawn by hand
const FURTHEST = 2000; // thousandths: they lie within -2 to 2

export const FEATURES = ["x1", "x2", "x1^2", "x2^2", "x1*x2", "sin(x1)", "sin(x2)"];
export const LESSONS = [
  "one-neuron",
  "hidden-layer",
  "non-linear",
  "chain-rule",
  "learning-rate",
  "vanishing",
  "overfitting",
  "adam",
];

// Kinds

const kinds = {};

kinds.choice = (...values) => ({
  read: (text) => (values.includes(text) ? text : undefined),
  write: String,
  wants: `one of ${values.join(", ")}`,
  values,
});

kinds.number = (least, most) => ({
  // Only what is written as a number: Number("") is 0, and Number("0x10") is 16.
  read: (text) => inRange(/^-?\d*\.?\d+(e[-+]?\d+)?$/i.test(text) ? Number(text) : NaN, least, most),
  write: String,
  wants: `a number from ${least} to ${most}`,
  least,
  most,
});

kinds.integer = (least, most) => ({
  read: (text) => inRange(/^\d{1,16}$/.test(text) ? Number(text) : NaN, least, most),
  write: String,
  wants: `a whole number from ${least} to ${most}`,
  least,
  most,
});

kinds.flag = () => ({
  read: (text) => ({ yes: true, no: false })[text],
  write: (value) => (value ? "yes" : "no"),
  wants: "yes or no",
});

kinds.sizes = () => ({
  read(text) {
    if (text === "none") return [];
    const found = text.split(",").map((part) => kinds.integer(1, UNITS).read(part));
    return found.length <= LAYERS && !found.includes(undefined) ? found : undefined;
  },
  write: (value) => value.join(",") || "none",
  wants: `up to ${LAYERS} numbers of units from 1 to ${UNITS}, as in 4,2, or none`,
  layers: LAYERS,
  units: UNITS,
});

kinds.several = (...values) => ({
  read(text) {
    const found = text.split(",");
    const known = found.every((each) => values.includes(each));
    return known && new Set(found).size === found.length
      ? values.filter((each) => found.includes(each))
      : undefined;
  },
  write: (value) => value.join(","),
  wants: `one or more of ${values.join(", ")}, with commas`,
  values,
});

kinds.line = (most) => ({
  // No control characters, and so one line.
  read: (text) => (text.length > 0 && text.length <= most && !/[\p{C}]/u.test(text) ? text : undefined),
  write: String,
  wants: `a line of up to ${most} characters`,
  most,
});

// Points of classes, [[x, y, class], ...], as whole thousandths: 120_-500_1.-30_77_0
kinds.points = () => ({
  read(text) {
    if (text === "") return [];
    const found = text.split(".").map((each) => {
      const [, x, y, k] = /^(-?\d{1,5})_(-?\d{1,5})_([0-3])$/.exec(each) ?? [];
      const isThere = Math.max(Math.abs(x), Math.abs(y)) <= FURTHEST; // not NaN, of no match
      return isThere ? [Number(x) / 1000, Number(y) / 1000, Number(k)] : undefined;
    });
    return found.length <= DRAWN && !found.includes(undefined) ? found : undefined;
  },
  write: (value) =>
    value.map(([x, y, k]) => [thousandths(x), thousandths(y), k].join("_")).join("."),
  wants: `up to ${DRAWN} points as 120_-500_1: thousandths of x and y, within -2000 to 2000, and the class, with dots between`,
  most: DRAWN,
});

const inRange = (value, least, most) => (value >= least && value <= most ? value : undefined);
const thousandths = (x) => Math.round(1000 * x) + 0; // + 0: no -0

// The table: name, kind and default. What each means is in docs/playground.md.

const SETTING_TABLE = {
  data: [
    kinds.choice("moons", "circles", "spirals", "xor", "gaussians", "regression", "drawn", "csv"),
    "moons",
  ],
  formula: [kinds.line(200), "sin(2*x1) * x2"],
  drawn: [kinds.points(), []],
  points: [kinds.integer(10, 1000), 200],
  classes: [kinds.integer(2, 4), 2],
  noise: [kinds.number(0, 1), 0.1],
  split: [kinds.number(0.1, 0.9), 0.3],
  seed: [kinds.integer(0, Number.MAX_SAFE_INTEGER), 0],
  features: [kinds.several(...FEATURES), ["x1", "x2"]],
  layers: [kinds.sizes(), [4, 2]],
  activation: [kinds.choice("relu", "tanh", "sigmoid", "linear", "leaky_relu", "gelu"), "tanh"],
  optimizer: [kinds.choice("sgd", "momentum", "rmsprop", "adam", "adamw"), "sgd"],
  rate: [kinds.number(1e-6, 1000), 0.1],
  batch: [kinds.integer(1, 32), 10],
  l1: [kinds.number(0, 1), 0],
  l2: [kinds.number(0, 1), 0],
  init: [kinds.choice("uniform", "zero", "dead"), "uniform"],
  zeroGradients: [kinds.flag(), true],
  shuffle: [kinds.flag(), true],
  step: [kinds.integer(0, 100_000), 0],
  speed: [kinds.choice("1", "10", "100", "1000", "full"), "100"],
  view: [kinds.choice("forward", "reverse", "update"), "forward"],
  lesson: [kinds.choice("none", ...LESSONS), "none"],
};

/** The table: for each setting its `default`, `wants` (what is allowed, in words), `read` and
 * `write`, and the limits of its kind. */
export const SETTINGS = Object.freeze(
  Object.fromEntries(
    Object.entries(SETTING_TABLE).map(([name, [kind, value]]) => [
      name,
      Object.freeze({ ...kind, default: value }),
    ]),
  ),
);

/** Those of a user's own model: the others are given with it. */
export const OWN_SETTINGS = ["rate", "zeroGradients", "shuffle", "seed", "step", "speed", "view"];

const isSetting = (name) => Object.hasOwn(SETTINGS, name);
const copyOfValue = (value) => (Array.isArray(value) ? structuredClone(value) : value);

/** All settings at their defaults, as a new object. */
export function defaults() {
  return Object.fromEntries(
    Object.entries(SETTINGS).map(([name, setting]) => [name, copyOfValue(setting.default)]),
  );
}

/** Settings from an address, or its part after #. What does not fit is in `problems`, one sentence
 * each, and has its default: -> {settings, problems}. Never throws. `own`: the settings of a user's
 * own model, which are its defaults. */
export function readAddress(address, own = null) {
  const settings = { ...defaults(), ...own };
  const problems = [];
  const whole = String(address);
  const text = whole.slice(whole.indexOf("#") + 1);
  if (text.length > ADDRESS) {
    return { settings, problems: [`the address has more than ${ADDRESS} characters; nothing of it is used`] };
  }
  const seen = new Set();
  for (const [name, value] of new URLSearchParams(text.replaceAll("+", "%2B"))) {
    if (seen.has(name)) problems.push(`${shortened(name)} is set twice; the first is used`);
    else if (name === "v") problems.push(...versionProblem(value));
    else if (!isSetting(name)) problems.push(`there is no setting ${shortened(name)}; it is ignored`);
    else if (own && !OWN_SETTINGS.includes(name)) problems.push(`${name} is given with this network; it is ignored`);
    else {
      const found = SETTINGS[name].read(value);
      if (found !== undefined) settings[name] = found;
      else {
        const { wants } = SETTINGS[name];
        const used = SETTINGS[name].write(settings[name]) || "none";
        problems.push(`${name}=${shortened(value)} is not ${wants}; ${used} is used`);
      }
    }
    seen.add(name);
  }
  return { settings, problems };
}

function versionProblem(value) {
  if (value === String(VERSION)) return [];
  return [`this address is of version ${shortened(value)} of the playground, and this page knows ${VERSION}: settings may differ`];
}

/** The part of an address after #, without settings that have their defaults; with `own` as above.
 * Throws a RangeError that names a setting which is not in the table or does not fit it. */
export function writeAddress(settings, own = null) {
  const found = new URLSearchParams({ v: String(VERSION) });
  const usual = { ...defaults(), ...own };
  for (const [name, value] of Object.entries(settings)) {
    if (own && (!OWN_SETTINGS.includes(name) || value === usual[name])) continue;
    const text = settingText(name, value);
    if (text !== SETTINGS[name].write(usual[name])) found.set(name, text);
  }
  // What needs no escape in a fragment stays readable; a plus is one, and not a space.
  const plain = { "%2C": ",", "%28": "(", "%29": ")", "%5E": "^", "%2B": "+", "%2F": "/" };
  return found.toString().replaceAll("+", "%20").replace(/%(2C|28|29|5E|2B|2F)/g, (code) => plain[code]);
}

function settingText(name, value) {
  if (!isSetting(name)) throw new RangeError(`there is no setting ${shortened(name)}`);
  const text = SETTINGS[name].write(value);
  const again = SETTINGS[name].read(text);
  if (again === undefined) throw new RangeError(`${name}=${shortened(text)} is not ${SETTINGS[name].wants}`);
  return text;
}

/** A short, visible form of a text from outside, for messages. */
function shortened(text) {
  const visible = text.replace(/\p{C}/gu, "\ufffd");
  return visible.length > 40 ? `${[...visible].slice(0, 40).join("")}...` : visible;
}
