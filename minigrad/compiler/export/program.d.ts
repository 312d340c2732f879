
/** The program's arrays, as views of its memory, in C order. */
export interface Arrays {
/* ARRAYS */
}

/** What each function takes and returns. */
export interface Functions {
/* FUNCTIONS */
}

/** The generators of random numbers. */
export type Generators = /* GENERATORS */;

/** A program with memory of its own. */
export declare class Program {
  /** Load it from the bytes of the module, its address, or `program.module`. */
  static load(source: BufferSource | URL | string | WebAssembly.Module): Promise<Program>;
  readonly module: WebAssembly.Module;
  readonly manifest: Manifest;
  readonly arrays: Arrays;
  /** Run a function on what is in the arrays. Throws an Error if it refuses. */
  run(name: keyof Functions): void;
  /** Run a function on inputs, which are copied in; what it returns is copied out. */
  call<Name extends keyof Functions>(
    name: Name,
    ...inputs: {} extends Functions[Name]["inputs"] ? [inputs?: Functions[Name]["inputs"]] : [inputs: Functions[Name]["inputs"]]
  ): Functions[Name]["outputs"];
  /** All states and generators. */
  snapshot(): Uint8Array;
  /** Set all states and generators. */
  restore(snapshot: Uint8Array): void;
  /** Set all arrays and generators to what they were when the program was exported. */
  reset(): void;
  /** A generator of the program; without a name, the only one. */
  generator(name?: Generators): Random;
}

export interface Manifest {
  name: string;
  /** Bytes of a program. */
  size: number;
  arrays: { name: string; kind: "input" | "output" | "state" | "constant"; dtype: string; shape: number[]; offset: number; default: boolean }[];
  /** Names of arrays and generators; `arguments` and `results` are the keys of inputs and outputs in `call`. */
  functions: Record<
    string,
    { inputs: string[]; outputs: string[]; writes: string[]; draws: string[]; arguments: string[]; results: string[] }
  >;
  generators: { name: string; offset: number }[];
  messages: Record<string, string>;
}

/** NumPy's generator of random numbers: `new Random(7)` draws what `np.random.default_rng(7)` draws. */
export declare class Random {
  /** Without a seed, and without words of a state, it is another one each time. */
  constructor(seed?: number | bigint | (number | bigint)[], words?: Uint32Array);
  seed(seed: number | bigint | (number | bigint)[]): this;
  /** The state as ten numbers, to be kept and set again. */
  state: number[];
  /** A number from [0, 1). */
  random(dtype?: "float64" | "float32"): number;
  uniform(low?: number, high?: number): number;
  normal(mean?: number, deviation?: number): number;
  /** An integer from [low, high), or from [0, low). */
  integers(low: number, high?: number): number;
  integers(low: bigint, high?: bigint): bigint;
  /** Fill an array by numbers from [0, 1). */
  fill<Floats extends Float32Array | Float64Array>(array: Floats): Floats;
  /** Reorder an array in place. */
  shuffle<List extends { length: number; [index: number]: unknown }>(array: List): List;
  /** 0 to n - 1 in a random order. */
  permutation(n: number): Int32Array;
  /** A copy of an array in a random order. */
  permutation<List extends { length: number; slice(): List; [index: number]: unknown }>(array: List): List;
}
