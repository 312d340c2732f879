// Elements, numbers as text, colours of numbers: what all parts of the page use.

export const byId = (id) => document.getElementById(id);

/** Sets the text of an element, if it is another one: the layout is not touched without need. */
export function say(element, text) {
  if (element.firstChild?.nodeType === 3 && !element.firstChild.nextSibling) {
    if (element.firstChild.data !== text) element.firstChild.data = text;
  } else element.textContent = text;
}

/** A number with three digits and a minus sign: 0.123, \u22121.50, 2.3e\u22125, which has two of three for
 * its width. */
export function digits(value, significant = 3) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "\u2212inf";
  const size = Math.abs(value);
  if (size === 0) return "0";
  const text =
    size < 1e-3 || size >= 1e5
      ? value.toExponential(Math.max(1, significant - 2)).replace("e+", "e")
      : value.toFixed(Math.max(0, significant - 1 - Math.floor(Math.log10(size))));
  return text.replaceAll("-", "\u2212");
}

/** With a sign also in front of positive numbers. */
export const signed = (value, significant) => (value > 0 ? "+" : "") + digits(value, significant);

const SUBSCRIPTS = "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089";

/** The name of an input as it is written: x\u2081\u00b2, x\u2081x\u2082, sin x\u2081. */
export const inputLabel = (name) =>
  /^(x\d|x\d\^2|x1\*x2|sin\(x\d\))$/.test(name)
    ? name.replace(/\d(?!$)|(?<=x)\d/g, (digit) => SUBSCRIPTS[digit]).replace("^2", "\u00b2").replace("*", "").replace(/\((.*)\)/, " $1")
    : name;

/** A name, cut to `most` characters. */
export const briefly = (name, most = 9) => (name.length > most ? `${name.slice(0, most - 1)}\u2026` : name);

/** The colours of numbers: from --low by --middle to --high, 256 of them, as RGB in 32 bits. They
 * are read anew when the system changes between light and dark. */
export const palette = { ramp: new Uint32Array(256) };

const rgb = (color) => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const pack = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
const mix = (one, other, t) => one.map((v, k) => Math.round(v + (other[k] - v) * t));

export function readColors() {
  const style = getComputedStyle(document.body);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  const [low, high, middle] = ["low", "high", "middle"].map((name) => rgb(of(name)));
  for (let k = 0; k < 256; k++) {
    const t = (k - 127.5) / 127.5;
    // Softer than linear: small values can be told from zero, large ones do not shout.
    palette.ramp[k] = pack(mix(middle, t < 0 ? low : high, 0.6 * Math.abs(t) ** 0.8));
  }
  palette.classColors = Array.from({ length: CLASS_COLORS }, (_, k) => of(`class-${k}`));
  palette.tints = palette.classColors.map(rgb).map((color) => Array.from({ length: 32 }, (_, k) => pack(mix(middle, color, 0.6 * (k / 31) ** 0.8))));
  palette.border = pack(mix(middle, rgb(of("ink")), 0.75));
  for (const name of ["ink", "faint", "line", "low", "high", "focus", "active", "edge"]) palette[name] = of(name);
  palette.surface = of("paper");
}

const CLASS_COLORS = 8; // --class-0 and so on, in play.css

/** The colour of a class, and its shades from none to full. A label below 0 is of no class. */
export const classColor = (k) => (k < 0 ? palette.faint : palette.classColors[k % CLASS_COLORS]);
export const classTints = (k) => palette.tints[k % CLASS_COLORS];
/** The number of its shape: another one when the colours begin anew. */
export const classShape = (k) => Math.max(0, k) + Math.floor(Math.max(0, k) / CLASS_COLORS);

/** The place in the ramp of a number between -1 and 1. */
export const rampAt = (t) => (t <= -1 ? 0 : t >= 1 ? 255 : t === t ? (127.5 + 127.5 * t + 0.5) | 0 : 127);
