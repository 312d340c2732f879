// Formulas, from trees as minigrad.viz.text.typeset has them
import { make } from "./make.js";

const SIGNS = { "*": "\u22c5", "@": "\u2062", "-": "\u2212", "!=": "\u2260", "<=": "\u2264", ">=": "\u2265", mod: "mod" };

export function math([kind, ...parts]) {
  const inner = () => parts.map(math);
  switch (kind) {
    case "i": return symbol(parts[0]);
    case "n": return numeral(parts[0].replace(/-/g, "\u2212"));
    case "o": return operatorSign(parts[0]);
    case "t": return make("math:mtext", {}, parts[0]);
    case "d": return make("math:mfrac", {}, ...parts.map(differential));
    case "frac": return make("math:mfrac", {}, ...inner());
    case "sup": return make("math:msup", {}, ...inner());
    case "sub": return make("math:msub", {}, ...inner());
    case "sqrt": return make("math:msqrt", {}, ...inner());
    default: return make("math:mrow", {}, ...rowParts(parts));
  }
}

function rowParts(parts) { // a minus at the start, or after an operator, is a sign
  return parts.map((part, k) => {
    const element = math(part), before = parts[k - 1];
    if (part[0] === "o" && part[1] === "-" && (!before || (before[0] === "o" && before[1] !== ")"))) element.setAttribute("form", "prefix");
    return element;
  });
}

function operatorSign(sign) {
  if (sign === "@") return make("math:mspace", { width: "0.25em" });
  // Without a font for mathematics, stretched parentheses take three lines.
  const fence = sign === "(" || sign === ")";
  return make("math:mo", fence ? { stretchy: "false", fence: "true" } : sign === "," ? { separator: "true" } : {}, SIGNS[sign] ?? sign);
}

function numeral(digits) {
  const [mantissa, exponent] = digits.split("e");
  if (!exponent) return make("math:mn", {}, digits);
  return make("math:mrow", {}, make("math:mn", {}, mantissa), make("math:mo", {}, "\u22c5"),
    make("math:msup", {}, make("math:mn", {}, "10"), make("math:mn", {}, exponent.replace(/^\u22120?|^\+?0?/, (sign) => sign[0] === "\u2212" ? "\u2212" : ""))));
}

function symbol(name) { // w12 has an index; of a word, as weight_l0, the digits are a part
  const [, letters, digits] = name.match(/^(.{1,4}?)(\d+)$/s) ?? [name, name, ""];
  const base = make("math:mi", {}, letters || digits);
  return letters && digits ? make("math:msub", {}, base, make("math:mn", {}, digits)) : base;
}

const differential = (name) => make("math:mrow", {}, make("math:mi", { mathvariant: "normal" }, "d"), Array.isArray(name) ? math(name) : symbol(name));

// dz/dw1; of w*w the first or the second w, as ["sub", ["i", "w"], ["t", "1st"]]
export const derivative = (above, below) => ["d", above, below];
export const row = (...parts) => ["row", ...parts.flatMap((part) => part[0] === "row" ? part.slice(1) : [part])];
export const op = (sign) => ["o", sign];
export const inBrackets = (tree) => row(op("("), tree, op(")"));
export const ofText = (written) => { // a number as a tree; a complex one is a sum
  if (/^-?([\d.]+(e[+-]?\d+)?|inf|nan)$/.test(written)) return written.startsWith("-") ? row(op("-"), ["n", written.slice(1)]) : ["n", written];
  return ["t", written.replace(/-/g, "\u2212")];
};

const isSum = (tree) => tree[0] === "row" && tree.slice(1).some((part) => part[0] === "o" && "+-".includes(part[1])) && !isBracketed(tree);
const isBracketed = (tree) => tree[1]?.[1] === "(" && tree.at(-1)?.[1] === ")";
const isSigned = (tree) => tree[0] === "t" || (tree[0] === "row" && tree[1]?.[0] === "o" && tree[1][1] === "-");

// A template with its places filled: slots gives a tree for "_x0", "_y", "_g"
export function fill(tree, slots) {
  const [kind, ...parts] = tree;
  if (kind === "i") return slots[parts[0]] ?? tree;
  if (kind === "t" || kind === "n" || kind === "o" || kind === "d") return kind === "t" ? ["t", parts[0].replace(/_x\d+|_y\b|_g\b/g, (name) => name in slots ? plain(slots[name]) : name)] : tree;
  const filled = parts.map((part) => [part, fill(part, slots)]);
  if (kind === "row") {
    const alone = parts.length === 1;
    return row(...filled.map(([before, after], k) => {
      const inCall = ["(", ","].includes(parts[k - 1]?.[1] ?? "") && [")", ","].includes(parts[k + 1]?.[1] ?? "");
      const open = before[0] !== "i" || alone || inCall || !(isSum(after) || (k > 0 && isSigned(after)));
      return open ? after : inBrackets(after);
    }));
  }
  if (kind === "sup" || kind === "sub") { // also of a fraction: (dz/dw)**2
    const [[before, base], ...rest] = filled;
    const whole = before[0] !== "i" || base[0] === "i" || base[0] === "n" ? base : inBrackets(base);
    return [kind, whole, ...rest.map(([, after]) => after)];
  }
  return [kind, ...filled.map(([, after]) => after)];
}

// What a formula of numbers, + - * / and brackets comes to; null if there is anything else in it
export function evaluated(tree) {
  const parts = tree[0] === "row" ? tree.slice(1) : [tree];
  let at = 0, known = true;
  const sign = () => parts[at]?.[0] === "o" ? parts[at][1] : "";
  const operand = () => {
    if (sign() === "-") { at++; return -operand(); }
    if (sign() === "(") { at++; const inner = sum(); at++; return inner; }
    const [kind, first, second] = parts[at++] ?? [];
    if (kind === "n") return Number(first.replace("inf", "Infinity"));
    const inner = kind === "frac" ? [evaluated(first), evaluated(second)] : [null];
    known &&= !inner.includes(null);
    return inner[0] / inner[1];
  };
  const product = () => { let x = operand(); while (sign() === "*") { at++; x *= operand(); } return x; };
  const sum = () => { let x = product(); for (let s; (s = sign()) === "+" || s === "-"; x += s === "-" ? -product() : product()) at++; return x; };
  const found = sum();
  return known && at === parts.length ? found : null;
}

const SUPERS = { 0: "\u2070", 1: "\u00b9", 2: "\u00b2", 3: "\u00b3", 4: "\u2074", 5: "\u2075", 6: "\u2076", 7: "\u2077", 8: "\u2078", 9: "\u2079", T: "\u1d40", "-": "\u207b" };

// A formula on one line, without keyword arguments if `brief`
export function plain(tree, brief = false) {
  const [kind, ...parts] = tree, inner = (part) => plain(part, brief);
  const tight = (part) => ["i", "n", "t"].includes(part[0]) || (part[0] === "row" && isBracketed(part)) ? inner(part) : `(${inner(part)})`;
  switch (kind) {
    case "o": {
      const [sign] = parts, written = sign === "@" ? sign : SIGNS[sign] ?? sign;
      return sign === "," ? ", " : ["(", ")", "*", "~"].includes(sign) ? written : ` ${written} `;
    }
    case "d": return `d${parts[0]}/d${Array.isArray(parts[1]) ? inner(parts[1]) : parts[1]}`;
    case "frac": return `${tight(parts[0])}/${tight(parts[1])}`;
    case "sup": {
      const power = inner(parts[1]);
      return [...power].every((c) => c in SUPERS) ? tight(parts[0]) + [...power].map((c) => SUPERS[c]).join("") : `${tight(parts[0])}^${tight(parts[1])}`;
    }
    case "sub": return inner(parts[0]) + inner(parts[1]);
    case "sqrt": return `\u221a(${inner(parts[0])})`;
    case "row": {
      const kept = brief ? parts.filter((part, k) => !isKeyword(part) && !(part[1] === "," && part[0] === "o" && isKeyword(parts[k + 1] ?? []))) : parts;
      return kept.map((part, k) => part[0] === "o" && part[1] === "-" && (k === 0 || kept[k - 1][0] === "o") ? "\u2212" : inner(part)).join("");
    }
    default: return String(parts[0]).replace(/-/g, "\u2212");
  }
}
const isKeyword = (part) => part[0] === "t" && /^\w+=/.test(part[1]);

// A formula as pieces between which a line may break: after a comma, before + - * and between factors
export function pieces(tree, most = 6) {
  if (tree[0] !== "row" || tree.length <= most) return [make("math:math", {}, math(tree))];
  const found = [[]];
  tree.slice(1).forEach((part, k, parts) => {
    const sign = part[0] === "o" ? part[1] : "", before = parts[k - 1];
    const infix = before && (before[0] !== "o" || before[1] === ")");
    if ((["+", "-", "*"].includes(sign) && infix) || (parts[k - 1]?.[1] === "," && parts[k - 1][0] === "o")) found.push([]);
    found.at(-1).push(part);
  });
  return found.filter((piece) => piece.length).map((piece, n) => {
    const elements = rowParts(piece);
    if (n && piece[0][0] === "o" && "+-*".includes(piece[0][1])) elements[0].setAttribute("form", "infix");
    return make("math:math", {}, make("math:mrow", {}, ...elements));
  });
}

// left = link = link: lines break between and inside links
export function equation(left, links, sign = "=") {
  return make("span", { class: "equation" }, make("math:math", {}, math(left)), ...links.flatMap((link, k) =>
    [" ", make("span", { class: "e-link" }, make("math:math", {}, make("math:mo", { form: "infix" }, k ? "=" : sign)), ...pieces(link).flatMap((piece) => [piece, "\u200b"]))]));
}
