// The page of an explanation whose leaves can be edited: a compiled program computes both passes again
import { decoded } from "../../compiler/export/arrays.js";
import { Program } from "../../compiler/export/program.js";
import { mountExplanation } from "./explanation.js";

const dataIn = (id) => JSON.parse(document.getElementById(id).textContent);
const { module, inputs, values } = dataIn("program");
const program = await Program.load(decoded(module));
const { numbers } = program.functions;
const views = new Map(inputs.map((step, k) => [step, numbers.inputs[k].view]));
const start = decoded(values);
let at = 0;
for (const { buffer, byteOffset, byteLength } of views.values()) {
  new Uint8Array(buffer, byteOffset, byteLength).set(start.subarray(at, at += byteLength));
}

function edit(step, entry, value) {
  views.get(step)[entry] = value;
  program.run("numbers");
  return { arrays: numbers.outputs.map(({ view }) => view) };
}

window.explanation = mountExplanation(document.body, dataIn("structure"), dataIn("numbers"), { edit });
document.documentElement.dataset.ready = "yes";
