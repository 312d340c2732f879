// NumPy's generator of random numbers: `new Random(7)` draws what `np.random.default_rng(7)` draws.
//
// The bits are those of PCG64 (O'Neill, "PCG: a family of simple fast space-efficient statistically
// good algorithms for random number generation", 2014), seeded by NumPy's SeedSequence. The state is
// ten words of 32 bits, as in the struct of minigrad_random.h: 128 bits of state, lowest first, 128 bits of
// increment, the half of a draw that is left over, and whether there is one. So a Random can also be a
// view of a generator in the memory of a compiled program: `new Random(undefined, words)`.
import { decoded } from "./arrays.js";

const STATE_WORDS = 10, LEFT_OVER = 8, HAS_LEFT_OVER = 9;
// The multiplier of PCG64, lowest word first.
const PCG_0 = 0x9fccf645, PCG_1 = 0x4385df64, PCG_2 = 0x1fc65da4, PCG_3 = 0x2360ed05;
const TWO_32 = 2 ** 32;

export class Random {
  // seed: an integer from 0, a number or a BigInt, or an array of them, as for np.random.default_rng;
  // without one, it is drawn, unless there are words of a state.
  constructor(seed, words) {
    this.words = words ?? new Uint32Array(STATE_WORDS);
    this.low = this.high = 0; // the last 64 bits that were drawn
    if (seed !== undefined) this.seed(seed);
    else if (!words) this.seed([...crypto.getRandomValues(new Uint32Array(4))]);
  }

  seed(seed) {
    const made = seedSequence(seed);
    // State and increment, each with its upper half first; the increment is made odd.
    const start = [made[2], made[3], made[0], made[1]], sequence = [made[6], made[7], made[4], made[5]];
    const words = this.words.fill(0);
    for (let k = 0; k < 4; k++) words[4 + k] = (sequence[k] << 1) | (k ? sequence[k - 1] >>> 31 : 1);
    this.next();
    let carry = 0;
    for (let k = 0; k < 4; k++) {
      carry += words[k] + start[k];
      words[k] = carry;
      carry = carry >= TWO_32 ? 1 : 0;
    }
    this.next();
    return this;
  }

  // The state as ten numbers, to be kept and set again.
  get state() {
    return Array.from(this.words);
  }

  set state(numbers) {
    const right = numbers?.length === STATE_WORDS && Array.from(numbers).every((x) => Number.isInteger(x) && x >= 0 && x < TWO_32);
    if (!right) throw new TypeError(`the state of a generator is ${STATE_WORDS} numbers from 0 to 2**32 - 1: give what \`state\` returned`);
    this.words.set(numbers);
  }

  // 64 bits, into `low` and `high`.
  next() {
    const w = this.words, a0 = w[0], a1 = w[1], a2 = w[2], a3 = w[3];
    // Products of words, column by column. A product of doubles is rounded: its lower word comes from
    // imul, its upper one is what is nearest to the rest.
    const l00 = Math.imul(a0, PCG_0) >>> 0, l01 = Math.imul(a0, PCG_1) >>> 0, l10 = Math.imul(a1, PCG_0) >>> 0;
    const l02 = Math.imul(a0, PCG_2) >>> 0, l11 = Math.imul(a1, PCG_1) >>> 0, l20 = Math.imul(a2, PCG_0) >>> 0;
    let sum = l00 + w[4];
    const s0 = sum >>> 0;
    sum = Math.floor(sum / TWO_32) + l01 + l10 + upperWord(a0 * PCG_0, l00) + w[5];
    const s1 = sum >>> 0;
    sum = Math.floor(sum / TWO_32) + l02 + l11 + l20 + upperWord(a0 * PCG_1, l01) + upperWord(a1 * PCG_0, l10) + w[6];
    const s2 = sum >>> 0;
    sum = Math.floor(sum / TWO_32) + upperWord(a0 * PCG_2, l02) + upperWord(a1 * PCG_1, l11) + upperWord(a2 * PCG_0, l20) + w[7];
    const s3 = (sum + (Math.imul(a0, PCG_3) >>> 0) + (Math.imul(a1, PCG_2) >>> 0) + (Math.imul(a2, PCG_1) >>> 0) + (Math.imul(a3, PCG_0) >>> 0)) >>> 0;
    w[0] = s0;
    w[1] = s1;
    w[2] = s2;
    w[3] = s3;
    // Its halves, xored, and rotated right by its upper 6 bits.
    const low = s0 ^ s2, high = s1 ^ s3, by = s3 >>> 26, swap = by & 32, turn = by & 31;
    const x = swap ? high : low, y = swap ? low : high;
    this.low = turn ? (x >>> turn) | (y << (32 - turn)) : x;
    this.high = turn ? (y >>> turn) | (x << (32 - turn)) : y;
  }

  // 32 bits: half of a draw of 64; the other half is kept for the next time.
  bits() {
    const w = this.words;
    if (w[HAS_LEFT_OVER]) {
      w[HAS_LEFT_OVER] = 0;
      return w[LEFT_OVER];
    }
    this.next();
    w[HAS_LEFT_OVER] = 1;
    w[LEFT_OVER] = this.high;
    return this.low >>> 0;
  }

  // A number from [0, 1), of 53 bits, or of 24 if dtype is "float32".
  random(dtype = "float64") {
    if (dtype === "float32") return (this.bits() >>> 8) / 0x1000000;
    if (dtype !== "float64") throw new TypeError(`random numbers are "float64" or "float32", not ${JSON.stringify(dtype)}`);
    return this.unit();
  }

  unit() {
    this.next();
    return ((this.high >>> 0) * 0x200000 + (this.low >>> 11)) / 0x20000000000000;
  }

  uniform(low = 0, high = 1) {
    if (!(isNumber(low) && isNumber(high) && high - low >= 0 && high - low < Infinity)) {
      throw new RangeError(`uniform(low, high) takes numbers, low <= high and no infinite range, not low = ${describeValue(low)} and high = ${describeValue(high)}`);
    }
    return low + (high - low) * this.unit();
  }

  // Fill a Float32Array or Float64Array by what rng.random(n, dtype) draws.
  fill(array) {
    const dtype = array instanceof Float32Array ? "float32" : array instanceof Float64Array ? "float64" : undefined;
    if (!dtype) throw new TypeError("fill takes a Float32Array or a Float64Array");
    for (let k = 0; k < array.length; k++) array[k] = this.random(dtype);
    return array;
  }

  // An integer from [low, high), or [0, low) if only one is given. Of BigInts, a BigInt.
  // (Lemire, "Fast random integer generation in an interval", 2019.)
  integers(low, high) {
    const [from, end] = high === undefined ? [typeof low === "bigint" ? 0n : 0, low] : [low, high];
    const whole = [from, end].every((x) => typeof x === "bigint") || [from, end].every(Number.isSafeInteger);
    if (!whole || from >= end) {
      throw new RangeError(`integers(low, high) takes integers, exact, both numbers or both BigInts, and low < high, not low = ${describeValue(from)} and high = ${describeValue(end)}`);
    }
    if (typeof from === "bigint" || end - from > TWO_32) {
      const drawn = BigInt(from) + this.wide(BigInt(end) - BigInt(from));
      return typeof from === "bigint" ? drawn : Number(drawn);
    }
    return from + this.below(end - from);
  }

  // An integer from [0, n), for n up to 2**32.
  below(n) {
    if (n === 1) return 0;
    if (n === TWO_32) return this.bits();
    let x = this.bits(), low = Math.imul(x, n) >>> 0;
    if (low < n) {
      const least = (TWO_32 - n) % n;
      while (low < least) {
        x = this.bits();
        low = Math.imul(x, n) >>> 0;
      }
    }
    return upperWord(x * n, low);
  }

  // The same for a BigInt.
  wide(n) {
    if (n <= BigInt(TWO_32)) return BigInt(this.below(Number(n)));
    const bits = () => {
      this.next();
      return (BigInt(this.high >>> 0) << 32n) | BigInt(this.low >>> 0);
    };
    if (n > 1n << 64n) throw new RangeError("integers: the range is at most 2**64");
    if (n === 1n << 64n) return bits();
    const least = ((1n << 64n) - n) % n;
    let product = bits() * n;
    while (BigInt.asUintN(64, product) < least) product = bits() * n;
    return product >> 64n;
  }

  // Reorder an array in place. As NumPy, it draws bits until they are below the length.
  shuffle(array) {
    if (!isList(array)) throw new TypeError(`shuffle takes an array, and not ${describeValue(array)}`);
    for (let k = array.length - 1; k > 0; k--) {
      const mask = 0xffffffff >>> Math.clz32(k), kept = array[k];
      let other;
      do other = (this.bits() & mask) >>> 0; while (other > k);
      array[k] = array[other];
      array[other] = kept;
    }
    return array;
  }

  // 0 to n - 1 in a random order, or a copy of an array in one.
  permutation(what) {
    if (isList(what)) return this.shuffle(what.slice());
    if (!(Number.isInteger(what) && what >= 0 && what < 2 ** 31)) {
      throw new RangeError(`permutation takes an array, or an integer from 0 to 2**31 - 1, not ${describeValue(what)}`);
    }
    return this.shuffle(Int32Array.from({ length: what }, (_, k) => k));
  }

  // A normally distributed number, by the ziggurat of Marsaglia and Tsang, "The ziggurat method for
  // generating random variables" (2000), of 256 layers. The bits are NumPy's, but where a logarithm in
  // the tail, beyond 3.65, or an exponential differs in its last bit from that of NumPy's C library.
  normal(mean = 0, deviation = 1) {
    if (!(isNumber(mean) && isNumber(deviation)) || deviation < 0) {
      throw new RangeError(`normal(mean, deviation) takes numbers, and a deviation from 0, not mean = ${describeValue(mean)} and deviation = ${describeValue(deviation)}`);
    }
    return mean + deviation * this.standardNormal();
  }

  standardNormal() {
    for (;;) {
      this.next();
      const { low, high } = this, layer = low & 255, size = (high & 0x1fffffff) * 0x800000 + (low >>> 9);
      const x = (low & 256 ? -size : size) * LAYER_SCALE[layer];
      if (size < LAYER_INSIDE[layer]) return x;
      if (layer > 0) {
        if ((LAYER_HEIGHT[layer - 1] - LAYER_HEIGHT[layer]) * this.unit() + LAYER_HEIGHT[layer] < Math.exp(-0.5 * x * x)) return x;
        continue;
      }
      for (;;) {
        const beyond = -TAIL_RATE * Math.log1p(-this.unit()), y = -Math.log1p(-this.unit());
        if (y + y > beyond * beyond) return low & 0x20000 ? -(TAIL_START + beyond) : TAIL_START + beyond;
      }
    }
  }
}

const isNumber = (x) => typeof x === "number";

// A value in a message.
export function describeValue(x) {
  if (Array.isArray(x)) return `an array of ${x.length}`;
  if (typeof x === "string") return JSON.stringify(x);
  if (typeof x === "bigint") return `${x}n`;
  return typeof x === "object" && x ? aType(x.constructor?.name ?? "object") : String(x);
}

export const aType = (name) => `${/^[AEIOaeio]/.test(name) ? "an" : "a"} ${name}`;

export const isList = (x) => Array.isArray(x) || (ArrayBuffer.isView(x) && !(x instanceof DataView));

// The upper word of a product of two words, of which the lower one is known.
function upperWord(product, low) {
  return Math.round((product - low) / TWO_32);
}

// The eight words by which NumPy's SeedSequence seeds PCG64 (O'Neill, "Developing a seed_seq
// alternative", 2015).
function seedSequence(seed) {
  const entropy = (Array.isArray(seed) ? seed : [seed]).flatMap(wordsOfSeed);
  if (!entropy.length) throw new RangeError("a seed is an integer from 0, or an array of them, and not empty");
  let constant = 0x43b0d7e5;
  const hash = (value) => {
    value ^= constant;
    constant = Math.imul(constant, 0x931e8875);
    value = Math.imul(value, constant);
    return value ^ (value >>> 16);
  };
  const mixed = (x, y) => {
    const value = Math.imul(x, 0xca01f9dd) - Math.imul(y, 0x4973f715);
    return value ^ ((value | 0) >>> 16);
  };
  const pool = [0, 1, 2, 3].map((k) => hash(entropy[k] ?? 0));
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mixed(pool[to], hash(pool[from]));
  }
  for (const word of entropy.slice(4)) {
    for (let to = 0; to < 4; to++) pool[to] = mixed(pool[to], hash(word));
  }
  constant = 0x8b51f9dd;
  return Array.from({ length: 8 }, (_, k) => {
    let value = pool[k % 4] ^ constant;
    constant = Math.imul(constant, 0x58f38ded);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  });
}

// An integer in words of 32 bits, lowest first.
function wordsOfSeed(seed) {
  const whole = typeof seed === "bigint" || Number.isSafeInteger(seed);
  if (!whole || seed < 0) {
    throw new RangeError(`a seed is an integer from 0, or an array of them, not ${describeValue(seed)}: a number up to 2**53 - 1, or a BigInt`);
  }
  const words = [];
  for (let rest = BigInt(seed); rest > 0n || words.length === 0; rest >>= 32n) words.push(Number(rest & 0xffffffffn));
  return words;
}

// Layer k of the ziggurat reaches from 0 to x_k, of which TAIL_START is the last; the first is the tail, and
// as wide as its area needs. LAYER_SCALE turns 52 bits into a place in the layer; below LAYER_INSIDE it is under the
// curve; LAYER_HEIGHT is the curve at x_k. The x_k, k >= 1, are LAYER_TABLE: float64 that follow one from the other
// by the paper's recursion, and so carry its rounding errors, as NumPy's do (tests/browser derives them).
const LAYER_TABLE = "AAAAAAAAAADG9v3jC43LP7RbLDyvUNI/YTtEOLl81T8Mpy/o/AHYP7zQTC4MI9o/92E4L00A3D90cnRaL6zdP8PVTC1IMt8/rbuOJzJN4D9DXQI7BfXgP3c2QZemkuE/9Rp6j6In4j+A2GM4LrXiP/WRV8A/POM/L7GiwZ694z9Vm/+N7znkP6f+PTa7seQ/dNMaYnUl5T+WzgengJXlP+p+2c8xAuY/PXyjYdJr5j9wBQCSotLmP6b4RtPaNuc/dyqzEK2Y5z9D9UatRfjnP3cKQ1PMVeg/mnZ7nmSx6D+Yz06pLgvpP+oeLIJHY+k/RsU4jsm56T8sp6TczA7qP1nNd21nYuo/MBYQbq206j+cbBNtsQXrPyl6QoeEVes/Op9Sjjak6z8ygr8q1vHrP/NOWflwPuw/YTsypROK7D+LJnL+ydTsP0i3gA6fHu0/EB/kKZ1n7T/DuCMAzq/tP1N28ak69+0//u3Stes97j8Ab3oz6YPuP86C+b06ye4/JmLwhOcN7z+I9thU9lHvP67Xh55tle8/rC76fVPY7z/sNELgVg3wP5qPOfVALvA//KUWnupO8D8QoHJbVm/wPwv0cZCGj/A/E2G8hH2v8D9/zEtmPc/wP2sIFkvI7vA/7hWVMiAO8T++DzEHRy3xP0GRjp8+TPE/HiDEvwhr8T802ngap4nxP4ht7lEbqPE/yyr4+GbG8T8u1OCTi+TxP5+gQJmKAvI/6cbEcmUg8j8fw+l9HT7yP/trqQy0W/I/f9MdZip58j8b1xnHgZbyP9ouuGK7s/I/U7jhYtjQ8j+Oqcvo2e3yP9dIbg3BCvM/MLn04Y4n8z+hXiZwRETzP9VSyrriYPM/algFvmp98z9ksrJv3ZnzPwM9uL87tvM/4B1WmIbS8z+DWnLevu7zP3Se4HHlCvQ/XXSmLfsm9D+kMDzoAEP0P13HynP3XvQ/NsNmnt969D8vj0gyupb0P11BAvaHsvQ/3BGzrEnO9D8FpjgWAOr0P2JVXu+rBfU/WosK8k0h9T9PZmrV5jz1P8iyG053WPU/eF9VDgB09T8UhQ7GgY/1P1kbJCP9qvU/PXN90XLG9T/TjC974+H1Pzhen8hP/fU/wx+jYLgY9j+isKLoHTT2PwsmtwSBT/Y/cpbJV+Jq9j83MbGDQob2P7GyUCmiofY/u0Oz6AG99j9S0yhhYtj2P1T4YTHE8/Y/62iL9ycP9z/GFGlRjir3P9zucNz3Rfc/H3PlNWVh9z9J9O/61nz3P5O9ushNmPc/CRSLPMqz9z/7ItvzTM/3P+fec4zW6vc/H+qGpGcG+D92hsjaACL4PxWfic6iPfg/vfXRH05Z+D/FfnpvA3X4Py33R1/DkPg/Q8AFko6s+D+cDKGrZcj4PydqRFFJ5Pg/j7VzKToA+T9HgyjcOBz5P/wK7xJGOPk/iqIDeWJU+T/u1XC7jnD5PzEqLonLjPk/v5k/kxmp+T8s2dWMecX5PxF0byvs4fk/StL6JnL++T+SNvk5DBv6P1vIoiG7N/o/iLsLnn9U+j+kqUpyWnH6Pz0xoGRMjvo/CPGfPlar+j/O9VrNeMj6Pzazi+G05fo/GqHDTwsD+z9bmJrwfCD7PwAM4KAKPvs/Az3OQbVb+z8niT+5fXn7Pzz35fFkl/s/biWF22u1+z+iwC5rk9P7P4OugZvc8fs/oBbsbEgQ/D8tevDl1y78PxwNbhOMTfw/BYfsCGZs/D8XpuvgZov8P6uiNr2Pqvw/kNY7x+HJ/D834GgwXun8P26PizIGCf0/IO83ENso/T9HxjMV3kj9PyPx55YQaf0/pfvX9HOJ/T9wbiCZCar9Pw5J/PjSyv0/Ny5SldHr/T8c0kn7Bg3+P/ZG6sR0Lv4/iNHBmRxQ/j8l/pcvAHL+Pwq/KkshlP4/CG/3wIG2/j86pxB2I9n+P6nsAWEI/P4/IVPCijIf/z9tTbcPpEL/P2gBySBfZv8/gpeJBGaK/z+/InEYu67/P4XnL9Jg0/8/C/YYwVn4/z91oNNH1A4AQEfJjwKoIQBAqwKpg6k0AEDH9T5O2kcAQH6zrfY7WwBAaCanI9BuAEAXLmOPmIIAQFSi6AiXlgBAxMBxdc2qAEBI1O7RPb8AQDA9qjTq0wBAk2URz9ToAEC2n6bv//0AQEFwIARuEwFANV27myEpAUBtCcRpHT8BQDsuYEhkVQFA8+6dO/lrAUBhEtJ034IBQKzrTlYamgFAji9/d62xAUCUpnGpnMkBQDmu5Pvr4QFAAdniwp/6AUCBzASdvBMCQO7Tb3pHLQJAJJyspEVHAkDgWHbHvGECQC5ZqPqyfAJAeA53zS6YAkBSCipTN7QCQJfbljHU0AJA9XipsQ3uAkDurlbS7AsDQKOkaF57KgNAoxKuBcRJA0BAqDN60mkDQApBVpKzigNA+oiucHWsA0CmBBezJ88DQHX0YKrb8gNA2uW5nKQXBECUXlQVmD0EQBU6p0TOZARAvEOcdWKNBEAnWmudc7cEQAKJzQ0l4wRAQazpU58QBUBCfjpSEUAFQBvkSqmxcQVA2Y1xi8ClBUD+0DokitwFQEwehs9pFgZA6moAe85TBkDD5Z++QJUGQDLiCY1r2wZANHpf8CgnB0BzBglWlXkHQIzO1vQt1AdANPIpBQM5CEAUfKq/D6sIQJZEb5TgLglAq1dAAe7LCUBad5R43I8KQLH9eDgfmAtAM60JgrQ7DUA=";
const TAIL_START = 3.6541528853610088, TAIL_RATE = 0.27366123732975828, LAYER_AREA = 0.004928673233974652;
const LAYER_END = new Float64Array(decoded(LAYER_TABLE).buffer);
const LAYER_HEIGHT = LAYER_END.map((x, k) => (k ? Math.exp(-0.5 * x * x) : 1));
LAYER_END[0] = LAYER_AREA / LAYER_HEIGHT[255];
const LAYER_SCALE = LAYER_END.map((x) => x / 0x10000000000000);
const LAYER_INSIDE = LAYER_END.map((x, k) => (k === 1 ? 0 : Math.round(((k ? LAYER_END[k - 1] : TAIL_START) / x) * 0x10000000000000)));
