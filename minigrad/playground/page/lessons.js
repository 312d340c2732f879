// Lessons: texts in a small part of Markdown, with questions that the page answers by its own numbers.
//
// A text has a title (# ...), headings (## ...), paragraphs, lists (- ...), code (lines indented by four
// spaces), **strong**, *emphasised* and `code` words, and [links](#data=moons&layers=4) whose address
// sets up the page. A question is a block between ```predict and ```:
//
//     ask: How many of the points will one unit get right?
//     set: data=circles&layers=1          the experiment: settings, as in an address,
//     steps: 1500                         trained for so many steps,
//     until: loss.train < 0.2             or until this holds, if it does before,
//     against: rate=0.01                  (and a second one, that differs in these settings)
//     measure: accuracy.train             what is measured then; the first over the second, if there are two
//     show: percent
//     - about half | 0.4..0.6 | No better than chance? It does a little better.
//     - about two thirds | 0.6..0.75 | A band has two sides.
//     then: What to see in it.
//
// The right answer is the one whose range the measured number falls into. All nodes are made as
// elements and texts: nothing of a lesson is ever read as HTML.

import { readAddress, writeAddress } from "./address.js";

/** A lesson is not written as it should be; the message names its line. */
export class LessonError extends Error {
  constructor(message, line) {
    super(`line ${line}: ${message}`);
    this.name = "LessonError";
  }
}

// Reading

/** The text of a lesson -> {title, blocks}. Blocks are {kind: "heading" | "paragraph" | "list" | "code" |
 * "question", ...}, and words in them spans {kind: "text" | "strong" | "emphasis" | "code" | "link", text,
 * settings}. Throws a LessonError. */
export function parseLesson(text) {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const title = /^# (.+)$/.exec(lines[0])?.[1];
  if (!title) throw new LessonError("a lesson begins with its title, # ...", 1);
  const blocks = [];
  for (let k = 1; k < lines.length; ) {
    const from = k;
    const taken = (holds) => {
      while (k < lines.length && holds(lines[k])) k++;
      return lines.slice(from, k);
    };
    if (lines[k].trim() === "") k++;
    else if (lines[k] === "```predict") {
      taken((line) => line !== "```");
      if (k === lines.length) throw new LessonError("this question does not end: ``` is missing", from + 1);
      blocks.push(questionOf(lines.slice(from + 1, k++), from + 2));
    } else if (lines[k].startsWith("## ")) {
      blocks.push({ kind: "heading", spans: spansOf(lines[k].slice(3), k + 1) });
      k++;
    } else if (lines[k].startsWith("    ")) {
      blocks.push({ kind: "code", text: taken((line) => line.startsWith("    ")).map((line) => line.slice(4)).join("\n") });
    } else if (lines[k].startsWith("- ")) {
      const all = taken((line) => line.startsWith("- ") || line.startsWith("  "));
      const items = all.join("\n").slice(2).split("\n- ").map((item) => item.replace(/\n +/g, " "));
      blocks.push({ kind: "list", items: items.map((item) => spansOf(item, from + 1)) });
    } else {
      const all = taken((line) => line.trim() !== "" && !/^(## |- |```| {4})/.test(line));
      if (!all.length) throw new LessonError(`${lines[k].slice(0, 20)} begins nothing that a lesson has`, k + 1);
      blocks.push({ kind: "paragraph", spans: spansOf(all.join(" "), from + 1) });
    }
  }
  return { title, blocks };
}

const SPAN = /\*\*(?<strong>[^*]+)\*\*|\*(?<emphasis>[^*\s][^*]*)\*|`(?<code>[^`]+)`|\[(?<label>[^\]]+)\]\((?<address>#[^)\s]*)\)/g;

function spansOf(text, line) {
  const spans = [];
  let at = 0;
  for (const found of text.matchAll(SPAN)) {
    if (found.index > at) spans.push({ kind: "text", text: text.slice(at, found.index) });
    at = found.index + found[0].length;
    const { strong, emphasis, code, label, address } = found.groups;
    if (label) spans.push({ kind: "link", text: label, settings: settingsOf(address, line) });
    else if (strong) spans.push({ kind: "strong", text: strong });
    else if (emphasis) spans.push({ kind: "emphasis", text: emphasis });
    else spans.push({ kind: "code", text: code });
  }
  if (at < text.length) spans.push({ kind: "text", text: text.slice(at) });
  return spans;
}

function settingsOf(address, line) {
  const { settings, problems } = readAddress(address);
  if (problems.length) throw new LessonError(problems.join("; "), line);
  return settings;
}

const QUESTION_PARTS = ["ask", "set", "steps", "until", "against", "measure", "show", "then"];

function questionOf(lines, first) {
  const parts = {};
  const options = [];
  const optionLines = [];
  lines.forEach((line, k) => {
    const [, name, value] = /^(\w+): (.+)$/.exec(line) ?? [];
    if (line.startsWith("- ")) {
      options.push(optionOf(line.slice(2), first + k));
      optionLines.push(first + k);
    } else if (QUESTION_PARTS.includes(name) && !Object.hasOwn(parts, name)) parts[name] = value;
    else throw new LessonError(`a question has once each of ${QUESTION_PARTS.join(", ")}, and options: - text | low..high | what to say`, first + k);
  });
  const { ask, set, steps, until, against, measure, show = "number", then } = parts;
  if (!ask || !set || !measure || !/^\d+$/.test(steps ?? "") || options.length < 2) {
    throw new LessonError("a question has ask, set, steps (a number), measure, and two options or more", first);
  }
  if (!Object.hasOwn(SHOWN_AS, show)) throw new LessonError(`show is one of ${Object.keys(SHOWN_AS).join(", ")}`, first);
  const settings = settingsOf(`#${set}`, first);
  return {
    kind: "question",
    ask: spansOf(ask, first),
    settings,
    against: against ? settingsOf(`#${overridden(set, against)}`, first) : null,
    steps: Number(steps),
    until: until ? conditionOf(until, first) : null,
    measure: measureOf(measure, first),
    show,
    options,
    then: then ? spansOf(then, first) : null,
  };
}

/** The settings of the second experiment: what is given again replaces that of the first. */
function overridden(set, against) {
  const again = new URLSearchParams(against);
  const kept = set.split("&").filter((part) => !again.has(part.split("=")[0]));
  return [...kept, against].join("&");
}

function optionOf(text, line) {
  const [, label, low, high, feedback] = /^(.+?) \| (-?[\d.e-]*?)\.\.(-?[\d.e-]*) \| (.+)$/.exec(text) ?? [];
  if (!feedback) throw new LessonError("an option is written: - text | low..high | what to say", line);
  return {
    label: spansOf(label, line),
    low: low === "" ? -Infinity : Number(low),
    high: high === "" ? Infinity : Number(high),
    feedback: spansOf(feedback, line),
  };
}

// Measuring

const layerAt = (frame, k) => {
  const layer = frame.layers.at(k);
  if (!layer) throw new RangeError(`the network has no layer ${k}`);
  return layer;
};
const weightAt = (name) => (frame, k, unit, input) => {
  const layer = layerAt(frame, k);
  return layer[name][unit * layer.fanIn + input];
};
const updatesIn = (frame) => frame.layers.flatMap((layer) => [...layer.weightUpdate, ...layer.biasUpdate].map(Math.abs));

/** What can be measured: numbers of a frame, by the name and the arguments that follow it. Layers, units
 * and inputs are counted from 0, layers also from the end, by -1. */
const MEASURES = {
  "accuracy.train": (frame) => frame.accuracy.train,
  "accuracy.test": (frame) => frame.accuracy.test,
  "loss.train": (frame) => frame.loss.train,
  "loss.test": (frame) => frame.loss.test,
  steps: (frame) => frame.step,
  weight: weightAt("weight"),
  gradient: weightAt("weightGradient"),
  update: weightAt("weightUpdate"),
  bias: (frame, k, unit) => layerAt(frame, k).bias[unit],
  input: (frame, k) => frame.batch.inputs[k],
  norm: (frame, k) => Math.hypot(...layerAt(frame, k).weightGradient),
  "update.largest": (frame) => Math.max(...updatesIn(frame)),
  "update.smallest": (frame) => Math.min(...updatesIn(frame)),
};

/** "norm 0 / norm -2" -> a function of a frame. What is not a number, of a training that diverged, is
 * infinite. */
function measureOf(text, line) {
  const [left, sign, right] = text.split(/ ([/-]) /);
  const one = singleMeasure(left, line);
  const other = right === undefined ? null : singleMeasure(right, line);
  const combined = (frame) => {
    if (!other) return one(frame);
    return sign === "/" ? one(frame) / other(frame) : one(frame) - other(frame);
  };
  return (frame) => {
    const found = combined(frame);
    return found === null || Number.isNaN(found) ? Infinity : found;
  };
}

function singleMeasure(text, line) {
  const [name, ...places] = text.trim().split(" ");
  const numbers = places.map(Number);
  if (!Object.hasOwn(MEASURES, name) || !numbers.every(Number.isInteger)) {
    throw new LessonError(`${text} is nothing that can be measured: there are ${Object.keys(MEASURES).join(", ")}`, line);
  }
  return (frame) => MEASURES[name](frame, ...numbers);
}

function conditionOf(text, line) {
  const [, what, limit] = /^(.+) < ([\d.]+)$/.exec(text) ?? [];
  if (!limit) throw new LessonError("until is written: loss.train < 0.1", line);
  const measure = measureOf(what, line);
  return (frame) => measure(frame) < Number(limit);
}

const roundedTo = (digits) => (x) => (x === 0 ? "0" : String(Number(x.toPrecision(digits))));
const SHOWN_AS = {
  number: (x) => (Number.isFinite(x) ? roundedTo(3)(x) : "no finite number: it diverged"),
  percent: (x) => `${(100 * x).toFixed(0)} %`,
  times: (x) => (roundedTo(2)(x) === "1" ? "the same" : `${roundedTo(2)(x)} times`),
  steps: (x) => `${x} steps`,
};

/** Does the experiment of a question, and measures -> {value, text, right: index of the option, or -1}.
 *
 * `lab` is the page or an engine: `set(settings)` begins anew, `train(n)` trains n steps, `frame()`
 * resolves to a frame with losses and gradients. */
export async function measured(question, lab) {
  let value = await experiment(question, question.settings, lab);
  if (question.against) value /= await experiment(question, question.against, lab);
  const right = question.options.findIndex(({ low, high }) => value >= low && (value < high || high === Infinity));
  return { value, text: SHOWN_AS[question.show](value), right };
}

const CHUNKS = 40; // parts that an experiment is trained in, so that it is seen

async function experiment({ steps, until, measure }, settings, lab) {
  await lab.set(settings);
  let frame = await lab.frame();
  for (let done = 0; done < steps && !frame.diverged && !until?.(frame); ) {
    // Steps that are counted are counted to a twentieth of them.
    const wanted = until ? Math.max(1, Math.floor(done / 20)) : Math.ceil(steps / CHUNKS);
    const n = Math.min(wanted, steps - done);
    await lab.train(n);
    done += n;
    frame = await lab.frame();
  }
  return measure(frame);
}

// Showing

/** Shows a lesson in an element.
 *
 * `on.name`: that of the lesson. `on.set(settings)` is called for a link; `on.lab` does the experiments of
 * questions. */
export function showLesson(host, lesson, on) {
  const heading = elementOf("h2", {}, lesson.title);
  host.replaceChildren(heading, ...lesson.blocks.map((block, k) => BLOCK_NODES[block.kind](block, on, k)));
  return heading;
}

const BLOCK_NODES = {
  heading: ({ spans }, on) => elementOf("h3", {}, ...spanNodes(spans, on)),
  paragraph: ({ spans }, on) => elementOf("p", {}, ...spanNodes(spans, on)),
  code: ({ text }) => elementOf("pre", { tabindex: "0" }, text),
  list: ({ items }, on) => elementOf("ul", {}, ...items.map((item) => elementOf("li", {}, ...spanNodes(item, on)))),
  question: questionNode,
};

function spanNodes(spans, on) {
  return spans.map(({ kind, text, settings }) => {
    if (kind === "text") return document.createTextNode(text);
    if (kind !== "link") return elementOf({ strong: "strong", emphasis: "em", code: "code" }[kind], {}, text);
    // One that leads into no other lesson leaves this one open.
    const chosen = { ...settings, lesson: settings.lesson === "none" ? on.name : settings.lesson };
    const link = elementOf("a", { href: `#${writeAddress(chosen)}`, class: "set-up" }, text);
    link.addEventListener("click", (event) => {
      // With a key held, the browser opens it elsewhere.
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      on.set(chosen);
    });
    return link;
  });
}

function questionNode(question, on, position) {
  const options = question.options.map(({ label }, k) => {
    const input = elementOf("input", { type: "radio", name: `predict-${position}`, value: String(k) });
    return elementOf("label", {}, input, elementOf("span", {}, ...spanNodes(label, on)));
  });
  const button = elementOf("button", { type: "submit" }, "Look");
  const verdict = elementOf("div", { class: "verdict", role: "status" });
  const form = elementOf(
    "form",
    { class: "predict" },
    elementOf("fieldset", {}, elementOf("legend", {}, ...spanNodes(question.ask, on)), ...options),
    button,
    verdict,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const chosen = new FormData(form).get(`predict-${position}`);
    if (chosen === null) return verdict.replaceChildren(elementOf("p", {}, "Predict first: choose an answer."));
    // One experiment at a time.
    const buttons = form.parentElement.querySelectorAll(".predict button");
    for (const each of buttons) each.disabled = true;
    verdict.replaceChildren(elementOf("p", {}, "Training \u2026"));
    try {
      showVerdict(form, verdict, question, Number(chosen), await measured(question, on.lab), on);
    } catch (error) {
      verdict.replaceChildren(elementOf("p", {}, `This could not be measured: ${error.message}`));
    }
    for (const each of buttons) each.disabled = false;
  });
  return form;
}

function showVerdict(form, verdict, { options, then }, chosen, { text, right }, on) {
  const isRight = chosen === right;
  form.dataset.verdict = isRight ? "right" : "wrong";
  form.querySelectorAll("label").forEach((label, k) => label.classList.toggle("right", k === right));
  const first = elementOf("p", {}, elementOf("strong", {}, isRight ? "As you predicted: " : "Measured: "), text, ". ", ...spanNodes(options[chosen].feedback, on));
  const rest = [];
  const instead = right < 0 ? "It is none of these: your page was changed, or the lesson has to be." : "";
  if (instead) rest.push(elementOf("p", {}, instead));
  else if (!isRight) rest.push(elementOf("p", {}, ...spanNodes(options[right].feedback, on)));
  if (then) rest.push(elementOf("p", {}, ...spanNodes(then, on)));
  verdict.replaceChildren(first, ...rest);
}

function elementOf(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
