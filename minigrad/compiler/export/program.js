// A program that minigrad.export wrote as WebAssembly: its arrays, and its functions to run.
//
//   const program = await Program.load("step.wasm");
//   const { loss } = program.call("step", { x, labels });   // copies inputs in, and outputs out
//   program.arrays["model.0.weight"];                       // a view of the program's own memory
//
// All memory is fixed when it is loaded, so views stay valid, and programs share nothing.
import { ARRAY_TYPES } from "./arrays.js";
import { Random, aType, describeValue, isList } from "./random.js";

export class Program {
  // source: the bytes of a module, its address, or a WebAssembly.Module (`program.module` is one), of
  // which there may be several programs.
  static async load(source) {
    const module = source instanceof WebAssembly.Module ? source : await WebAssembly.compile(await bytesOf(source));
    const [section] = WebAssembly.Module.customSections(module, "minigrad");
    if (!section) throw new TypeError("this module has no section named minigrad: load one that minigrad.export wrote");
    const manifest = JSON.parse(new TextDecoder().decode(section));
    const [initial] = WebAssembly.Module.customSections(module, "minigrad.initial");
    return new Program(module, manifest, initial, await WebAssembly.instantiate(module, {}));
  }

  constructor(module, manifest, initial, instance) {
    this.module = module;
    this.initial = initial; // numbers in the beginning, each part after its place and size
    this.manifest = manifest; // names, dtypes, shapes and places, as minigrad.export wrote them
    this.exports = instance.exports;
    this.exports._initialize?.();
    this.start = this.exports.program();
    const { buffer } = this.exports.memory;
    const view = ({ dtype, shape, offset }) => new ARRAY_TYPES[dtype](buffer, this.start + offset, entries(shape));
    const words = ({ offset }) => new Uint32Array(buffer, this.start + offset, 10);
    // By name, typed arrays in C order: inputs, outputs, states, constants.
    this.arrays = strict("array", manifest.arrays, view);
    this.generators = strict("generator", manifest.generators, (it) => new Random(undefined, words(it)));
    const described = strict("array", manifest.arrays, (array) => array);
    this.functions = strict(
      "function",
      Object.entries(manifest.functions).map(([name, what]) => ({ name, ...what })),
      ({ inputs, outputs, arguments: given, results }) => {
        // An array step.x is x in its own function.
        const own = (names, keys) => names.map((each, k) => ({ key: keys[k], array: described[each], view: this.arrays[each] }));
        return { inputs: own(inputs, given), outputs: own(outputs, results), keys: new Set(given) };
      },
    );
    const kept = [
      ...manifest.arrays.filter(({ kind }) => kind === "state").map((it) => [it.offset, it.offset + this.arrays[it.name].byteLength]),
      ...manifest.generators.map(({ offset }) => [offset, offset + 40]),
    ];
    const first = Math.min(...kept.map(([from]) => from)), end = Math.max(...kept.map(([, to]) => to));
    this.kept = new Uint8Array(buffer, this.start + (kept.length ? first : 0), kept.length ? end - first : 0);
    this.reset();
  }

  // Run a function on what is in the arrays.
  run(name) {
    this.functions[name]; // unless there is none of this name
    const refusal = this.exports[name]();
    if (refusal) throw new Error(`${name}: ${this.manifest.messages[refusal] ?? `refusal ${refusal}`}`);
  }

  // Run a function on inputs by name: typed arrays of the dtype, or numbers in nested arrays of the shape.
  // Those with a default, as the rate of an optimiser, stay as they are if they are not given. What it
  // returns, by name: numbers, and new typed arrays in C order.
  call(name, inputs = {}) {
    const it = this.functions[name];
    if (typeof inputs !== "object" || !inputs || isList(inputs)) throw new TypeError(`${name} takes an object of its inputs, and not ${describeValue(inputs)}`);
    for (const key of Object.keys(inputs)) {
      if (!it.keys.has(key)) throw new TypeError(`${name} has no input ${key}: it takes ${[...it.keys].join(", ") || "none"}`);
    }
    const found = it.inputs.map(({ key, array, view }) => {
      if (inputs[key] !== undefined) return converted(inputs[key], array, `${name}: its input ${key}`, view.buffer);
      if (array.default) return view;
      throw new TypeError(`${name} needs its input ${key}, ${describe(array)}; it takes ${[...it.keys].join(", ")}`);
    });
    it.inputs.forEach(({ view }, k) => view.set(found[k]));
    this.run(name);
    return Object.fromEntries(it.outputs.map(({ key, array, view }) => [key, array.shape.length ? view.slice() : scalar(view[0], array.dtype)]));
  }

  // All states and generators, as bytes to keep.
  snapshot() {
    return this.kept.slice();
  }

  restore(snapshot) {
    if (!(snapshot instanceof Uint8Array && snapshot.length === this.kept.length)) {
      throw new TypeError(`restore takes what snapshot() of ${this.manifest.name} returned, a Uint8Array of ${this.kept.length} bytes`);
    }
    this.kept.set(snapshot);
  }

  // All arrays and generators as they were when the program was exported.
  reset() {
    const { buffer } = this.exports.memory;
    new Uint8Array(buffer, this.start, this.manifest.size).fill(0);
    const numbers = new DataView(this.initial);
    for (let at = 0, size; at < numbers.byteLength; at += 8 + size) {
      size = numbers.getUint32(at + 4, true);
      new Uint8Array(buffer, this.start + numbers.getUint32(at, true), size).set(new Uint8Array(this.initial, at + 8, size));
    }
  }

  // The generator of random numbers of this name; or the only one.
  generator(name = this.manifest.generators.length === 1 ? this.manifest.generators[0].name : "undefined") {
    return this.generators[name];
  }
}

async function bytesOf(source) {
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return source;
  if (typeof source !== "string" && !(source instanceof URL)) {
    throw new TypeError("load takes the bytes of a module, its address, or a WebAssembly.Module");
  }
  const { href, protocol } = new URL(source, globalThis.document?.baseURI ?? globalThis.location?.href ?? `file://${globalThis.process?.cwd()}/`);
  if (protocol === "file:" && globalThis.process?.versions?.node) return (await import("node:fs/promises")).readFile(new URL(href));
  if (protocol === "file:") {
    throw new Error(`a page that is opened from a file may not read ${href}: put the module into the page in base64, and load its bytes; the head of the .js file shows how`);
  }
  const response = await fetch(href);
  if (!response.ok) throw new Error(`${href} cannot be loaded: ${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}

// An object with a value for each item, by its name; to ask for any other name is an error.
function strict(what, items, value) {
  const object = Object.create(null);
  for (const item of items) object[item.name] = value(item);
  return new Proxy(Object.freeze(object), {
    get(target, name) {
      if (name in target || typeof name === "symbol" || name === "then" || name === "toJSON") return target[name];
      throw new RangeError(`there is no ${what} ${name}: ${Object.keys(target).length ? `there is ${Object.keys(target).join(", ")}` : "there is none"}`);
    },
    set(target, name) {
      throw new TypeError(name in target && what === "array" ? `write into the array: arrays[${JSON.stringify(name)}].set(numbers)` : `a program's ${what}s are fixed`);
    },
  });
}

const entries = (shape) => shape.reduce((product, n) => product * n, 1);

const describe = ({ dtype, shape }) => (shape.length ? `${dtype} of shape (${shape.join(", ")}${shape.length === 1 ? "," : ""})` : `a number, ${dtype}`);

const scalar = (x, dtype) => (dtype === "bool" ? Boolean(x) : x);

// A typed array for an array of the program, whose memory is `own`; `what` names it in messages.
function converted(value, array, what, own) {
  const { dtype, shape } = array, Type = ARRAY_TYPES[dtype], size = entries(shape);
  const refuse = (found) => {
    throw new TypeError(`${what} is ${describe(array)}, and not ${found}: give ${shape.length ? `${aType(Type.name)} of ${size} entries in C order, or numbers in nested arrays` : Type.name.startsWith("Big") ? "a BigInt or an integer" : dtype === "bool" ? "true or false" : "a number"}`);
  };
  if (ArrayBuffer.isView(value)) {
    if (!(value instanceof Type)) refuse(aType(value.constructor.name));
    if (value.length !== size) refuse(`of ${value.length} entries`);
    if (dtype === "bool") return value.map(Boolean); // C's bool is 0 or 1
    return value.buffer === own ? value.slice() : value; // a view of the program's memory may change while other inputs are copied in
  }
  const flat = [];
  const walk = (x, axis) => {
    if (axis === shape.length) return flat.push(x);
    if (!Array.isArray(x) && !ArrayBuffer.isView(x)) refuse(axis ? `of ${axis} ${axis === 1 ? "axis" : "axes"}` : describeValue(x));
    if (x.length !== shape[axis]) refuse(`of length ${x.length} along axis ${axis}`);
    for (const inner of x) walk(inner, axis + 1);
    return undefined;
  };
  walk(value, 0);
  const found = new Type(size);
  flat.forEach((x, k) => {
    const entry = numberOf(x, dtype);
    if (entry === undefined) refuse(`with ${describeValue(x)}`);
    found[k] = entry;
    if (!dtype.startsWith("float") && found[k] !== entry) refuse(`with ${describeValue(x)}, which ${dtype} cannot hold`);
  });
  return found;
}

// A number as an entry of an array of this dtype, if it is one.
function numberOf(x, dtype) {
  if (dtype === "bool") return typeof x === "boolean" || x === 0 || x === 1 ? Number(x) : undefined;
  if (dtype === "int64" || dtype === "uint64") return typeof x === "bigint" ? x : Number.isSafeInteger(x) ? BigInt(x) : undefined;
  return typeof x === "number" ? x : undefined;
}
