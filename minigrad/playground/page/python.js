// What was built on the page, as a Python program that needs minigrad alone, and gives the same curve:
// the same data by the same formulas, the same first weights and batches from the same seed.

import { asPython, parseFormula } from "./formula.js";

const ACTIVATION_MODULES = {
  relu: "nn.ReLU()",
  tanh: "nn.Tanh()",
  sigmoid: "nn.Sigmoid()",
  leaky_relu: "nn.LeakyReLU()",
  gelu: "nn.GELU()",
};
const OPTIMIZER_CALLS = {
  sgd: "SGD(model.parameters(), lr=RATE)",
  momentum: "SGD(model.parameters(), lr=RATE, momentum=0.9)",
  rmsprop: "RMSprop(model.parameters(), lr=RATE)",
  adam: "Adam(model.parameters(), lr=RATE)",
  adamw: "AdamW(model.parameters(), lr=RATE)",
};
const FEATURE_CODE = {
  x1: "x1",
  x2: "x2",
  "x1^2": "x1 * x1",
  "x2^2": "x2 * x2",
  "x1*x2": "x1 * x2",
  "sin(x1)": "np.sin(x1)",
  "sin(x2)": "np.sin(x2)",
};
const DEAD_BIAS = "-8.0"; // as the page has it
const LITERALS_WIDE = 96; // characters of a line of numbers

/** The program: it trains for `steps` steps, and prints the losses on its way.
 *
 * Args: `settings`; `data`, what makeData made of them; `steps`, at least 1. Settings are those at
 * present: the page's curve is another one if they were changed while it trained. */
export function programOf(settings, data, steps) {
  return [
    heading(settings, data, Math.max(1, steps)),
    dataCode(settings, data),
    featureCode(settings.features, data.columns),
    modelCode(settings, data),
    trainingCode(settings, data),
  ].join("\n\n\n") + "\n";
}

function heading({ seed, rate }, { classes }, steps) {
  const loss = classes ? "cross_entropy" : "mse_loss";
  return `\
"""A network that was built in minigrad's playground: prints the losses that the page showed.

    pip install minigrad-autograd
"""

import numpy as np

from minigrad import data, nn, no_grad, optim
from minigrad.functional import ${loss}

SEED = ${seed}
STEPS = ${steps}
RATE = ${asPython(rate)}`;
}

// Data

function dataCode(settings, { csv, classes, test }) {
  const held = asPython(settings.split);
  const split = test.y.length
    ? `train, test = data.split(data.ArrayDataset(x, y), held_out=${held}, seed=SEED)`
    : "train = data.ArrayDataset(x, y)  # too few to hold some out";
  if (csv) return csvCode(csv, split, test.y.length > 0);
  return `# Inputs (n, 2), and ${classes ? "classes" : "numbers to predict"} (n,).\n${pointsCode(settings)}\n${split}`;
}

function pointsCode({ data, points, noise, classes, formula, drawn }) {
  const several = { spirals: `${classes}, `, gaussians: `${classes}, ` }[data] ?? "";
  if (data === "regression") {
    return `\
rng = np.random.default_rng(SEED)
x = rng.uniform(-2, 2, (${points}, 2))
x1, x2 = x.T
y = ${parseFormula(formula).python}
y = (y + ${asPython(noise)} * rng.standard_normal(len(y))).astype(np.float32)
x = x.astype(np.float32)`;
  }
  if (data === "drawn") {
    const xs = drawn.map(([x1, x2]) => `[${x1}, ${x2}]`);
    return `\
x = np.array(
${literals("[", xs, "]")},
    dtype=np.float32,
)
y = np.array(
${literals("[", drawn.map(([, , k]) => k), "]")}
)`;
  }
  return `x, y = data.make_${data}(${points}, ${several}noise=${asPython(noise)}, seed=SEED)`;
}

/** The rows as they are in the file; then standardised by the training examples, as the page does. */
function csvCode({ columns, target, classes, classNames, x, y }, split, hasTest) {
  const names = classNames.length ? `, the classes ${classNames.map(inQuotes).join(", ")}` : "";
  return `\
# Inputs: ${columns.map(inQuotes).join(", ")}.
# In the last column, what to predict: ${inQuotes(target)}${names}.
rows = np.array(
${literals("[", x.map((row, k) => `[${[...row, y[k]].join(", ")}]`), "]")}
)
x, y = rows[:, :-1], rows[:, -1]${classes ? ".astype(int)" : ""}
${split}


def scale(values):
    """Mean and deviation, 1 if all values are the same."""
    return values.mean(axis=0), np.where(np.ptp(values, axis=0) == 0, 1, values.std(axis=0))


mean, deviation = scale(train[:][0])
${classes ? "" : "y_mean, y_deviation = scale(train[:][1])\n"}

def standardised(part):
    x, y = part[:]
    x = ((x - mean) / deviation).astype(np.float32)
    return data.ArrayDataset(x, ${classes ? "y" : "((y - y_mean) / y_deviation).astype(np.float32)"})


${hasTest ? "train, test = standardised(train), standardised(test)" : "train = standardised(train)"}`;
}

/** Texts from outside, as they may stand in a comment of Python: no line ends. */
const inQuotes = (text) => JSON.stringify(text);

/** A list over several lines, indented. */
function literals(open, items, close) {
  const lines = [];
  let line = "";
  for (const item of items) {
    const more = `${line}${line && " "}${item},`;
    if (line && more.length + 8 > LITERALS_WIDE) {
      lines.push(line);
      line = `${item},`;
    } else line = more;
  }
  lines.push(line);
  return [`    ${open}`, ...lines.map((each) => `        ${each}`), `    ${close}`].join("\n");
}

// Network

function featureCode(features, columns) {
  const plain = features.every((name) => columns.includes(name));
  if (features.length === columns.length && features.every((name, k) => name === columns[k])) {
    return `\
def features(x):
    """The inputs of the network: the columns as they are."""
    return x`;
  }
  if (plain) {
    return `\
def features(x):
    """The inputs of the network: some of the columns."""
    return x[:, [${features.map((name) => columns.indexOf(name)).join(", ")}]]`;
  }
  const code = features.map((name) => FEATURE_CODE[name]); // nothing from outside
  return `\
def features(x):
    """The inputs of the network, (n, ${features.length})."""
    x1, x2 = x[:, 0], x[:, 1]
    return np.stack([${code.join(", ")}], axis=1)`;
}

function modelCode({ features, layers, activation, init, optimizer }, { classes }) {
  const sizes = [features.length, ...layers, classes || 1];
  const linear = (k) => `    nn.Linear(${sizes[k]}, ${sizes[k + 1]}, rng=rng),`;
  const after = activation === "linear" ? [] : [`    ${ACTIVATION_MODULES[activation]},`];
  const lines = layers.flatMap((_, k) => [linear(k), ...after]);
  const first = {
    uniform: "",
    zero: "for parameter in model.parameters():\n    parameter.data[...] = 0\n",
    dead: `for layer in [each for each in model if isinstance(each, nn.Linear)][:-1]:\n    layer.bias.data[...] = ${DEAD_BIAS}  # no example reaches a ReLU\n`,
  }[init];
  return `\
rng = np.random.default_rng(SEED)
model = nn.Sequential(
${[...lines, linear(layers.length)].join("\n")}
)
${first}optimizer = optim.${OPTIMIZER_CALLS[optimizer]}`;
}

// Training

function trainingCode({ batch, shuffle, l1, l2, zeroGradients }, { classes, test }) {
  const loss = classes ? "cross_entropy(model(features(x)), y)" : "mse_loss(model(features(x))[:, 0], y)";
  const weights = [
    l1 ? `${asPython(l1)} * np.abs(w).sum()` : "",
    l2 ? `${asPython(l2)} / 2 * (w * w).sum()` : "",
  ].filter(Boolean);
  const penalty = weights.length
    ? `        for w in (each for each in model.parameters() if each.ndim == 2):  # not of biases
            loss = loss + ${weights.join(" + ")}
`
    : "";
  const zeroed = zeroGradients ? "optimizer.zero_grad()" : "# No optimizer.zero_grad(): the gradients of all steps add up.";
  const held = test.y.length ? ", held-out loss {loss_on(test):.6f}" : "";
  return `\
batches = data.BatchLoader(train, batch_size=${batch}, shuffle=${shuffle ? "True" : "False"}, seed=SEED)


def loss_on(examples):
    x, y = examples[:]
    with no_grad():
        return ${loss}.item()


step = 0
while step < STEPS:
    for x, y in batches:
        ${zeroed}
        loss = ${loss}
${penalty}        loss.backward()
        optimizer.step()
        step += 1
        if step % max(1, STEPS // 10) == 0 or step == STEPS:
            losses = f"training loss {loss_on(train):.6f}${held}"
            print(f"step {step}: {losses}")
        if step == STEPS:
            break`;
}
