// What goes wrong in training: switches that make it happen, each with why.

// Of a user's own model, the name of its class.
const isPlain = ({ optimizer }) => ["sgd", "momentum"].includes(optimizer.toLowerCase());
const tooHigh = (settings) => (isPlain(settings) ? 10 : 1);

/** Each: whether it `is` so, what it `makes` of the settings, the `good` settings if none are known
 * from before, and why it is wrong. */
export const FAULTS = [
  {
    id: "unzeroed",
    label: "Gradients not zeroed",
    is: (settings) => !settings.zeroGradients,
    makes: () => ({ zeroGradients: false }),
    good: { zeroGradients: true },
    why: "Without zero_grad() every backward pass adds to what is there: the optimiser follows the sum of all gradients so far, and overshoots more and more.",
  },
  {
    id: "rate",
    label: "Rate too high",
    is: (settings) => settings.rate >= tooHigh(settings),
    makes: (settings) => ({ rate: tooHigh(settings) }),
    good: { rate: 0.1 },
    why: "A step longer than the valley is wide lands higher on the other side, where the gradient is larger still: the loss jumps or grows without end.",
  },
  {
    id: "dead",
    label: "Dead ReLUs",
    is: (settings) => settings.init === "dead",
    makes: () => ({ init: "dead", activation: "relu" }),
    good: { init: "uniform", activation: "tanh" },
    why: "With a bias far below 0, z is negative for every example; relu\u2032 is 0 there, so no gradient comes through, and the unit can never recover.",
  },
  {
    id: "vanishing",
    label: "Vanishing gradients",
    is: (settings) => settings.activation === "sigmoid" && settings.layers.length >= 5,
    makes: () => ({ activation: "sigmoid", layers: [4, 4, 4, 4, 4, 4] }),
    good: { activation: "tanh", layers: [4, 2] },
    why: "Each sigmoid multiplies the gradient by \u03c3\u2032(z), which is at most 1/4: six layers back, almost nothing is left to learn from.",
  },
  {
    id: "zeros",
    label: "Weights all zero",
    is: (settings) => settings.init === "zero",
    makes: () => ({ init: "zero" }),
    good: { init: "uniform" },
    why: "Units with equal weights compute the same and get the same gradient, so they stay equal; with zeros, the layers before the last get no gradient at all.",
  },
  {
    id: "unshuffled",
    label: "No shuffle",
    is: (settings) => !settings.shuffle,
    makes: () => ({ shuffle: false }),
    good: { shuffle: true },
    why: "Batches come in the order of the data, often one class after the other, and then each step pulls the weights towards the class that it sees.",
  },
];
