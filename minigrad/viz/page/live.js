// The page of an explanation whose leaves can be edited: a compiled program computes both passes again
import { Program } from "../../compiler/export/program.js";
import { mountExplanation } from "./explanation.js";
import { unpack } from "./numbers.js";

const dataIn = (id) => JSON.parse(document.getElementById(id).textContent);
const { module, inputs } = dataIn("program");
const program = await Program.load(Uint8Array.from(atob(module), (letter) => letter.charCodeAt(0)));
const { numbers } = program.functions;
const views = new Map(inputs.map((step, k) => [step, numbers.inputs[k].view]));
const structure = dataIn("structure"), initial = dataIn("numbers");
unpack(structure, initial).forEach((array, step) => views.get(step)?.set(array));

function edit(step, entry, value) {
  views.get(step)[entry] = value;
  program.run("numbers");
  return { arrays: numbers.outputs.map(({ view }) => view) };
}

window.explanation = mountExplanation(document.body, structure, initial, { edit });
document.documentElement.dataset.ready = "yes";
