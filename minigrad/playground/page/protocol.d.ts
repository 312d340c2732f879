/* What the page of the playground and its engine say to each other.
 *
 * `engine.js` has class Engine, which touches no DOM and runs in Node too. `worker.js` runs one in a
 * worker. The page holds a `Remote`: the same methods, each with a Promise for its result:
 *
 *     import { connect } from "./client.js";
 *     const engine = await connect();          // the worker, with the program that this file holds
 *     const network = await engine.configure(settings, data);
 *     const frame = await engine.frame({ gradients: true });
 *
 * The page pulls: it asks for one frame in each animation frame, and shows it. Between messages the
 * worker trains, if `run` was called. An error of the engine rejects the Promise, with a message in
 * plain words that the page may show.
 *
 * Numbers are float32 unless said otherwise. Arrays are given row by row (C order). A frame's arrays
 * are its own: they are transferred, not shared.
 */

/** How a network is made and trained. What is not the engine's (kind of data, noise, view) is left out. */
export interface Settings {
  /** Of the first weights (each `nn.Linear` drawn with `rng=default_rng(seed)`, in order) and of the
   *  order of examples (that of `BatchLoader(seed=seed)`). A whole number of at least 0. */
  seed: number;
  /** The inputs of the network: functions of the columns of the data, by name (see `About.features`);
   *  of data whose columns are not x1 and x2, names of columns. 1 to 7. */
  features: string[];
  /** Units of each hidden layer: 0 to 6 layers of 1 to 8. */
  layers: number[];
  activation: "relu" | "tanh" | "sigmoid" | "linear" | "leaky_relu" | "gelu";
  optimizer: "sgd" | "momentum" | "rmsprop" | "adam" | "adamw";
  /** The learning rate, above 0. */
  rate: number;
  /** Examples in a batch, 1 to 32. */
  batch: number;
  /** Regularisation: l1 * |w| and l2/2 * w^2 are added to the loss, for weights (not biases). */
  l1: number;
  l2: number;
  /** "uniform": within +-1/sqrt(inputs), as nn.Linear; "zero": all weights and biases 0. */
  init: "uniform" | "zero";
  /** false: gradients of all steps add up, as they do without `optimizer.zero_grad()`. */
  zeroGradients: boolean;
  /** false: batches are taken in the order of the data. */
  shuffle: boolean;
}

/** What can be changed while training goes on; other settings start anew. */
export type Adjustable = Pick<
  Settings,
  "activation" | "optimizer" | "rate" | "batch" | "l1" | "l2" | "zeroGradients" | "shuffle"
>;

/** The data, as the page makes them (datasets.js, csv.js). A user's own model brings its own. */
export interface Data {
  /** Names of the columns: ["x1", "x2"], ["x1"], or those of a CSV file. 1 to 7. */
  columns: string[];
  /** The loss: 0 classes, a number is predicted, mean squared error; 2 to 4, cross entropy. */
  classes: number;
  classNames?: string[];
  train: Examples;
  test: Examples;
}

export interface Examples {
  /** count x columns. */
  x: Float32Array;
  /** count: the class 0, 1 ... or the number to predict. */
  y: Float32Array;
}

/** What this engine can do: constant. */
export interface About {
  /** false: a user's own model, whose layers, activations, optimiser and data are fixed. Then
   *  `configure` and `adjust` take only seed (of the order), rate, zeroGradients, shuffle; another batch
   *  is refused, the rest is ignored. */
  ready: boolean;
  title: string;
  /** Features that can be made of columns x1 and x2: "x1", "x2", "x1^2", "x2^2", "x1*x2", "sin(x1)",
   *  "sin(x2)". */
  features: string[];
  activations: string[];
  optimizers: string[];
  most: { features: number; layers: number; units: number; classes: number; batch: number; back: number };
  /** The settings that `configure` was made for: of a user's own model, its own. */
  settings: Partial<Settings>;
  /** Of a user's own model: its data. */
  data?: Data;
}

/** The network that is trained. */
export interface Network {
  /** Inputs: names of features, or of the columns. */
  inputs: string[];
  layers: LayerShape[];
  loss: "cross_entropy" | "mse_loss" | string;
  classes: number;
  parameters: number;
  /** Examples and steps in an epoch. */
  examples: number;
  stepsPerEpoch: number;
}

export interface LayerShape {
  /** "hidden 1", "output"; of a user's model, the name of the module: "0", "features.conv1". */
  name: string;
  /** As it is called in a sentence: "hidden layer 1", "the output", "Linear 0", "Conv2d features.conv1". */
  title: string;
  /** "units": a Linear with its activation, drawn with units and edges. "module": a box with tiles. */
  kind: "units" | "module";
  /** Whether "units" are given what the layer before puts out (the first: the inputs), and not, say, the
   *  sum of two layers. Only then a line leads from each unit before to each of these. */
  follows: boolean;
  /** Of a box, its class: "Conv2d", "LSTM" ... */
  type: string;
  units: number;
  fanIn: number;
  bias: boolean;
  /** The activation after it; "linear" if there is none. */
  activation: string;
  /** The shape of its output for one example: [units], [4, 3, 3] ... */
  shape: number[];
}

export interface Want {
  /** Values and gradients of the last batch, and the updates made of them. */
  gradients?: boolean;
  /** Losses and accuracies on all of the data; without it, those of the last frame that had them. */
  losses?: boolean;
  plane?: PlaneWant;
}

export interface PlaneWant {
  /** Points along each side, at most 100. */
  size: number;
  /** One or two columns of the data that vary, by index; all others are 0. */
  columns: number[];
  /** The ranges of these columns. */
  low: number[];
  high: number[];
}

export interface Frame {
  /** Steps (updates) done since the start; epochs done, with the part of the present one. */
  step: number;
  epoch: number;
  running: boolean;
  stepsPerSecond: number;
  /** Mean losses over all training and all held-out examples, without regularisation (float64). null
   *  before they were asked for, or if there are no held-out examples. */
  loss: { train: number | null; test: number | null };
  /** The part of examples whose largest score is their class; null for regression. */
  accuracy: { train: number | null; test: number | null };
  /** [step, train loss, test loss] of each evaluation since the last frame that was given. */
  history: [number, number | null, number | null][];
  /** A loss or weight is no longer a finite number: training is stopped. */
  diverged: boolean;
  /** How many steps `back` can go. */
  back: number;
  layers: Layer[];
  /** null before the first step, and if not asked for. */
  batch: Batch | null;
  plane: Plane | null;
}

/** The numbers of a layer: of the present weights, and of the last batch. `null` where not asked for,
 *  or before the first step. Of a "module", see `parameters`. */
export interface Layer {
  name: string;
  kind: "units" | "module";
  fanIn: number;
  units: number;
  activation: string;
  /** units x fanIn, units; after the last update. */
  weight: Float32Array;
  bias: Float32Array;
  /** The weights that the last batch was computed with, before its update. */
  weightBefore: Float32Array | null;
  biasBefore: Float32Array | null;
  /** The derivatives of the batch's mean loss, as `.grad` has them: with l1 and l2; without zeroing,
   *  summed over all steps. */
  weightGradient: Float32Array | null;
  biasGradient: Float32Array | null;
  /** What the optimiser added to the weights: after - before. */
  weightUpdate: Float32Array | null;
  biasUpdate: Float32Array | null;
  /** batch x fanIn: what the weights are multiplied with. null also if it is not known. */
  input: Float32Array | null;
  /** batch x units: z = input @ weight.T + bias, its activation, and the derivatives of the loss by
   *  them (of the mean: each has the factor 1/batch). */
  preactivation: Float32Array | null;
  output: Float32Array | null;
  preactivationGradient: Float32Array | null;
  outputGradient: Float32Array | null;
  /** Of a "module": each parameter, and its output for the batch (batch x shape). */
  parameters?: { name: string; shape: number[]; value: Float32Array; gradient: Float32Array | null; update: Float32Array | null }[];
}

export interface Batch {
  /** Rows of the training data. */
  index: Uint32Array;
  /** batch x inputs: what the first layer is given. */
  inputs: Float32Array;
  /** batch: classes, or numbers; of a user's own data, all numbers of each example. */
  y: Float32Array;
  /** The mean loss of the batch, before its update, and of each example. */
  loss: number;
  losses: Float32Array;
  /** Those that its step was done with: they may have been adjusted since. */
  settings: Settings;
}

/** Outputs over the input plane. Point (i, j) is at index j*size + i, its coordinates are
 *  low + (i + 0.5)/size*(high - low), j upwards. With one column, `count` is size. */
export interface Plane {
  size: number;
  count: number;
  want: PlaneWant;
  /** The inputs (features): inputs x count. */
  inputs: Float32Array;
  /** Of each layer, units x count: outputs after the activation. The last are scores (before softmax),
   *  or the predicted number. Empty for a "module". */
  layers: Float32Array[];
}

/** All that goes on from here: parameters, optimiser, place in the data. Can be copied, kept, loaded
 *  into an engine with the same settings and data. */
export interface State {
  step: number;
  epoch: number;
  position: number;
  memory: Uint8Array;
}

/** For the explanation page: see minigrad/viz/page/explanation.js. */
export interface Explanation {
  structure: object;
  numbers: object;
  /** The step of the explanation to open at. */
  at: number | null;
}

/** What a click pointed at: a weight (with input), a bias (without), a unit (kind "output"). */
export interface Target {
  layer: number;
  kind: "weight" | "bias" | "preactivation" | "output";
  unit: number;
  input?: number;
}

export interface Engine {
  about(): About;
  /** Starts anew: first weights from the seed, step 0. */
  configure(settings: Settings, data?: Data): Network;
  /** Changes these settings, and goes on. A new batch size or order begins with the next batch, a new
   *  optimiser with a state of zeros. */
  adjust(settings: Partial<Adjustable>): Network;
  /** n steps (by default 1), each on the next batch. */
  step(n?: number): void;
  /** One step on one example: the next. */
  example(): void;
  /** Back to where it was n steps ago, or as far as is kept. */
  back(n?: number): void;
  /** Writes one weight or bias. */
  set(target: Target, value: number): void;
  /** Trains on, in a worker between messages: steps per second, or as fast as it goes. */
  run(stepsPerSecond?: number | null): void;
  pause(): void;
  frame(want: Want): Frame;
  /** The real step of the last batch, or of the next one if there was none, for the explanation page. */
  explain(target?: Target): Explanation;
  state(): State;
  load(state: State): void;
}

/** Its methods in the page: the same, with Promises. */
export type Remote = {
  [K in keyof Engine]: (...args: Parameters<Engine[K]>) => Promise<ReturnType<Engine[K]>>;
};
