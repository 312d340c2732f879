// Formulas that a user types, as a function of x1 and x2 and as Python: "sin(2*x1) * x2^2".
//
//     sum     = product (("+" | "-") product)*
//     product = signed (("*" | "/") signed)*
//     signed  = ("+" | "-") signed | power
//     power   = atom (("^" | "**") signed)?        so -x^2 is -(x^2), and 2^3^2 is 2^(3^2)
//     atom    = number | name | name "(" sum ("," sum)* ")" | "(" sum ")"
//
// Each rule makes a node {value: (x1, x2) => number, python: text, level, constant, depth}. Nothing
// is ever handed to the browser to run.

const LONGEST_FORMULA = 200; // characters
const DEEPEST_FORMULA = 40; // parentheses, signs and powers inside each other
// How tightly a node binds.
const LEVEL = { sum: 0, product: 1, signed: 2, power: 3, atom: 4 };

const FORMULA_FUNCTIONS = {
  sin: [Math.sin, "np.sin"],
  cos: [Math.cos, "np.cos"],
  tan: [Math.tan, "np.tan"],
  exp: [Math.exp, "np.exp"],
  log: [Math.log, "np.log"],
  sqrt: [Math.sqrt, "np.sqrt"],
  abs: [Math.abs, "np.abs"],
  tanh: [Math.tanh, "np.tanh"],
  sign: [Math.sign, "np.sign"],
  max: [Math.max, "np.maximum"],
  min: [Math.min, "np.minimum"],
};
const FORMULA_CONSTANTS = { pi: [Math.PI, "np.pi"], e: [Math.E, "np.e"] };
const FORMULA_VARIABLES = { x1: (x1) => x1, x2: (x1, x2) => x2 };
const FORMULA_NAMES = "x1, x2, pi and e";
const FORMULA_ARITY = { max: 2, min: 2 };

/** What is wrong with a formula, where (`position`, from 0) and what to do. */
export class FormulaError extends Error {
  constructor(message, position) {
    super(`${message} (at character ${position + 1})`);
    this.name = "FormulaError";
    this.position = position;
  }
}

/** A formula in x1 and x2 -> {text, value: (x1, x2) => number, python: the same as NumPy's Python}.
 * The value is NaN or infinite where the formula is not defined.
 * Throws a FormulaError for anything that is not a formula. */
export function parseFormula(text) {
  text = String(text);
  if (text.length > LONGEST_FORMULA) {
    throw new FormulaError(`the formula has ${text.length} characters, and may have ${LONGEST_FORMULA}`, LONGEST_FORMULA);
  }
  const parser = new FormulaParser(text, formulaTokens(text));
  const { value, python, constant } = parser.all();
  // A formula without x1 or x2 has to be an array in Python, too.
  return { text, value, python: constant ? `${python} + 0 * x1` : python };
}

// Tokens

const FORMULA_TOKEN = /(?<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?<name>[A-Za-z_]\w*)|(?<sign>\*\*|[-+*/^(),])|(?<space>\s+)/y;

function formulaTokens(text) {
  const found = [];
  for (let at = 0; at < text.length; at = FORMULA_TOKEN.lastIndex) {
    FORMULA_TOKEN.lastIndex = at;
    const { groups } = FORMULA_TOKEN.exec(text) ?? {};
    if (!groups) throw unknownCharacter(text, at);
    const kind = ["number", "name", "sign"].find((each) => groups[each]);
    if (kind) found.push({ kind, text: groups[kind], at });
  }
  return [...found, { kind: "end", text: "", at: text.length }];
}

function unknownCharacter(text, at) {
  const character = String.fromCodePoint(text.codePointAt(at));
  const instead = {
    "·": "multiply with *",
    "×": "multiply with *",
    "÷": "divide with /",
    "−": "write minus as -",
    "²": "write a square as ^2",
    "³": "write a cube as ^3",
    "√": "write a root as sqrt(...)",
    "π": "write pi",
    "=": "write only what stands right of the =",
    "[": "write parentheses as ( and )",
    "]": "write parentheses as ( and )",
    "{": "write parentheses as ( and )",
    "}": "write parentheses as ( and )",
    "|": "write an absolute value as abs(...)",
    ".": "a number has a digit beside its point, as in 0.5",
  }[character];
  const seen = /\p{C}/u.test(character) ? "this character" : `"${character}"`;
  const what = instead ?? "there are numbers, x1, x2, + - * / ^, parentheses and functions such as sin";
  return new FormulaError(`${seen} has no meaning in a formula: ${what}`, at);
}

// The rules

class FormulaParser {
  constructor(text, found) {
    this.text = text;
    this.tokens = found;
    this.next = 0;
    this.depth = 0;
  }

  get token() {
    return this.tokens[this.next];
  }

  is(...texts) {
    return this.token.kind === "sign" && texts.includes(this.token.text);
  }

  take() {
    return this.tokens[this.next++];
  }

  all() {
    if (this.token.kind === "end") {
      throw new FormulaError("the formula is empty: write one in x1 and x2, as in x1^2 + x2", 0);
    }
    const found = this.sum();
    if (this.token.kind !== "end") throw this.unexpected();
    return found;
  }

  sum() {
    return this.chain(["+", "-"], LEVEL.sum, () => this.product());
  }

  product() {
    return this.chain(["*", "/"], LEVEL.product, () => this.signed());
  }

  // Operations of one level, from left to right.
  chain(signs, level, operand) {
    let left = operand();
    while (this.is(...signs)) {
      const { text, at } = this.take();
      left = operationNode(text, level, left, operand(), at);
    }
    return left;
  }

  signed() {
    if (!this.is("+", "-")) return this.power();
    const { text, at } = this.take();
    const { value, python, level, constant } = this.deeper(at, () => this.signed());
    const inner = level >= LEVEL.signed ? python : `(${python})`;
    if (text === "+") return { value, python: inner, level: Math.max(level, LEVEL.signed), constant };
    return { value: (x1, x2) => -value(x1, x2), python: `-${inner}`, level: LEVEL.signed, constant };
  }

  power() {
    const base = this.atom();
    if (!this.is("^", "**")) return base;
    const { at } = this.take();
    const exponent = this.deeper(at, () => this.signed());
    return operationNode("^", LEVEL.power, base, exponent, at);
  }

  atom() {
    const { kind, text, at } = this.token;
    if (kind === "number") return this.number();
    if (kind === "name") return this.name();
    if (!this.is("(")) throw this.missing();
    this.take();
    const found = this.deeper(at, () => this.sum());
    this.close(at);
    return found;
  }

  number() {
    const { text, at } = this.take();
    const found = Number(text);
    if (!Number.isFinite(found)) throw new FormulaError(`${text} is larger than any number here`, at);
    return { value: () => found, python: asPython(found), level: LEVEL.atom, constant: true };
  }

  name() {
    const { text, at } = this.take();
    if (Object.hasOwn(FORMULA_FUNCTIONS, text)) return this.call(text, at);
    if (this.is("(")) {
      const lower = text.toLowerCase();
      const meant = Object.hasOwn(FORMULA_FUNCTIONS, lower) ? `write ${lower}` : `there are ${Object.keys(FORMULA_FUNCTIONS).join(", ")}`;
      throw new FormulaError(
        Object.hasOwn(FORMULA_VARIABLES, text) || Object.hasOwn(FORMULA_CONSTANTS, text)
          ? `${text} is a number, not a function: to multiply, write ${text}*(...)`
          : `there is no function ${text}: ${meant}`,
        at,
      );
    }
    if (Object.hasOwn(FORMULA_VARIABLES, text)) {
      return { value: FORMULA_VARIABLES[text], python: text, level: LEVEL.atom, constant: false };
    }
    if (Object.hasOwn(FORMULA_CONSTANTS, text)) {
      const [found, python] = FORMULA_CONSTANTS[text];
      return { value: () => found, python, level: LEVEL.atom, constant: true };
    }
    throw new FormulaError(`there is no ${text} here: the names are ${FORMULA_NAMES}`, at);
  }

  call(name, at) {
    const count = FORMULA_ARITY[name] ?? 1;
    if (!this.is("(")) {
      throw new FormulaError(`${name} needs parentheses: write ${name}(...)`, at);
    }
    const open = this.take().at;
    const inner = [this.deeper(open, () => this.sum())];
    while (this.is(",")) {
      this.take();
      inner.push(this.deeper(open, () => this.sum()));
    }
    this.close(open);
    if (inner.length !== count) {
      const wanted = count === 1 ? "one argument" : `${count} arguments, with a comma between`;
      throw new FormulaError(`${name} takes ${wanted}, and is given ${inner.length}`, at);
    }
    const [f, python] = FORMULA_FUNCTIONS[name];
    const values = inner.map((each) => each.value);
    return finiteNode({
      value: (x1, x2) => f(...values.map((value) => value(x1, x2))),
      python: `${python}(${inner.map((each) => each.python).join(", ")})`,
      level: LEVEL.atom,
      constant: inner.every((each) => each.constant),
    }, at);
  }

  close(open) {
    if (this.is(")")) return void this.take();
    if (this.token.kind !== "end") throw this.unexpected();
    throw new FormulaError("this parenthesis is not closed: add a )", open);
  }

  deeper(at, rule) {
    if (++this.depth > DEEPEST_FORMULA) {
      throw new FormulaError(`there are more than ${DEEPEST_FORMULA} parentheses, signs and powers inside each other: write it simpler`, at);
    }
    const found = rule();
    this.depth--;
    return found;
  }

  // Where an operand should be.
  missing() {
    const { kind, text, at } = this.token;
    const before = this.tokens[this.next - 1];
    if (kind === "end") {
      return new FormulaError(`the formula ends after ${before.text}: a number, x1, x2 or ( is missing`, at);
    }
    if (before === undefined) return new FormulaError(`a formula does not begin with ${text}`, at);
    return new FormulaError(`${text} cannot follow ${before.text}: a number, x1, x2 or ( is missing between them`, at);
  }

  // Where an operator should be.
  unexpected() {
    const { kind, text, at } = this.token;
    if (text === ")") return new FormulaError("this ) closes nothing: leave it out, or add a ( before it", at);
    if (text === ",") return new FormulaError("a comma stands only between the arguments of max and min; a decimal point is a .", at);
    const before = this.tokens[this.next - 1];
    if (kind === "sign" && text !== "(") return new FormulaError(`${text} cannot follow ${before.text}`, at);
    return new FormulaError(`between ${before.text} and ${text} a sign is missing: to multiply, write ${before.text} * ${text}`, at);
  }
}

// Nodes

const FORMULA_OPERATIONS = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  // As in C and NumPy, where 1^y is 1 for every y, and (-1)^inf is 1.
  "^": (a, b) => (a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b),
};

function operationNode(sign, level, left, right, at) {
  const f = FORMULA_OPERATIONS[sign];
  const [a, b] = [left.value, right.value];
  // Of equal level the left one needs no parentheses, except of a power.
  const first = left.level >= level + (sign === "^") ? left.python : `(${left.python})`;
  const tight = sign === "^" ? LEVEL.signed : level + 1;
  const second = right.level >= tight ? right.python : `(${right.python})`;
  const written = sign === "^" ? `${first}**${second}` : `${first} ${sign} ${second}`;
  const constant = left.constant && right.constant;
  const node = finiteNode({ value: (x1, x2) => f(a(x1, x2), b(x1, x2)), python: written, level, constant }, at);
  // Python's own numbers would refuse 0.0**-1.0, and make complex ones of (-8.0)**0.5.
  return constant && "/^".includes(sign) ? foldedNode(node.value()) : node;
}

/** A node without x1 and x2 must be a number. */
function finiteNode(node, at) {
  const found = node.constant ? node.value() : 0;
  if (Number.isFinite(found)) return node;
  const what = Number.isNaN(found) ? "not a real number" : "infinite";
  throw new FormulaError(`${node.python.replaceAll("np.", "")} is ${what}`, at);
}

function foldedNode(found) {
  const level = found < 0 || Object.is(found, -0) ? LEVEL.signed : LEVEL.atom;
  return { value: () => found, python: asPython(found), level, constant: true };
}

/** A number as Python writes it: always a float. */
export function asPython(x) {
  const text = Object.is(x, -0) ? "-0.0" : String(x);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}
