// The page's side of the engine: it starts the worker with the program that is in this file.

import { decoded } from "../../compiler/export/arrays.js";

const METHODS = [
  "about", "configure", "adjust", "step", "example", "back", "set", "run", "pause", "frame", "explain",
  "state", "load",
];

/** The engine in a worker, as `Remote` in protocol.d.ts. */
export async function connect() {
  const text = (id) => JSON.parse(document.getElementById(id).textContent);
  const [bytes, description] = await Promise.all([inflated(text("program")), inflated(text("description"))]);
  const url = URL.createObjectURL(new Blob([text("worker")], { type: "text/javascript" }));
  const worker = new Worker(url);
  URL.revokeObjectURL(url);
  const remote = overMessages(worker);
  await remote.begin(bytes, JSON.parse(new TextDecoder().decode(description)));
  return remote;
}

/** Each method is a message to the worker, and a Promise for its answer. */
export function overMessages(worker) {
  const waiting = new Map();
  let last = 0;
  worker.onmessage = ({ data: { id, result, message } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (message === undefined) resolve(result);
    else reject(new Error(message));
  };
  worker.onerror = (event) => {
    for (const { reject } of waiting.values()) reject(new Error(event.message ?? "the worker has stopped"));
    waiting.clear();
  };
  const call = (method) => (...values) =>
    new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject });
      worker.postMessage({ id: last, method, values });
    });
  return Object.fromEntries(["begin", ...METHODS].map((method) => [method, call(method)]));
}

/** The bytes that zlib deflated, without a header, into base64. */
async function inflated(text) {
  const stream = new Blob([decoded(text)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
