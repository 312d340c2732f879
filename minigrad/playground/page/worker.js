// A worker in which an engine runs: messages {id, method, values} call its methods, and are answered by
// {id, result} or {id, message}, what went wrong. Between messages it trains.

import { Program } from "../../compiler/export/program.js";
import { Engine } from "./engine.js";
import { OwnNetwork } from "./own.js";
import { ReadyNetwork } from "./ready.js";

let engine = null;
let failed = null; // an error between two messages, which is the answer to the next one

// The bytes of a program, and what Python says of it: see Playground in playground.py.
async function begin(bytes, description) {
  const program = await Program.load(bytes);
  const Network = description.about.ready ? ReadyNetwork : OwnNetwork;
  engine = new Engine(new Network(program, description));
}

self.onmessage = async ({ data: { id, method, values } }) => {
  try {
    if (failed !== null) throw failed;
    const result = method === "begin" ? await begin(...values) : engine[method](...values);
    // A frame's arrays are its own, and are handed over; what else there is stays the engine's.
    self.postMessage({ id, result }, method === "frame" ? [...new Set(memoryOf(result))] : []);
    if (method === "run") turn();
  } catch (error) {
    failed = null;
    self.postMessage({ id, message: error.message });
  }
};

// One turn after the other is asked for by a message to itself, behind those of the page.
const channel = new MessageChannel();
channel.port1.onmessage = turn;
let waits = null;

function turn() {
  clearTimeout(waits);
  if (!engine.running) return;
  let idle;
  try {
    idle = engine.advance();
  } catch (error) {
    failed = error;
    return;
  }
  if (idle > 1) waits = setTimeout(turn, idle);
  else channel.port2.postMessage(null);
}

// The memory of all typed arrays in a result, to be handed over and not copied.
function* memoryOf(x) {
  if (ArrayBuffer.isView(x)) yield x.buffer;
  else if (x !== null && typeof x === "object") for (const part of Object.values(x)) yield* memoryOf(part);
}
