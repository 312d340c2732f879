// The page: it holds the settings, asks the engine for a frame in each animation frame, and hands it
// to the parts that show it.

import { defaults, readAddress, SETTINGS, writeAddress } from "./address.js";
import { ChainPanel } from "./chain.js";
import { Histories, LossChart } from "./charts.js";
import { connect } from "./client.js";
import { Controls, tabs } from "./controls.js";
import { DataSource } from "./data.js";
import { briefly, byId, classColor, digits, palette, readColors, say } from "./dom.js";
import { make } from "../../viz/page/make.js";
import { ExplainView } from "./explain-view.js";
import { LessonPanel } from "./lesson-panel.js";
import { isBox, NetworkDrawing, VIEWS } from "./network.js";
import { mark, Plane } from "./plane.js";
import { programOf } from "./python.js";

const ADJUSTABLE = ["activation", "optimizer", "rate", "batch", "l1", "l2", "zeroGradients", "shuffle"];
const MADE = ["data", "formula", "drawn", "points", "classes", "noise", "split"];
const NETWORK = ["features", "layers", "init", "seed"];
const DEAD = -8; // a bias at which no example of the data reaches a ReLU
const COARSE = 28; // points along a side of the plane while training runs
const FINE = 64;
const DIVERGED = "A loss or a weight has grown beyond the numbers of 32 bits, so training has stopped: Reset, with a lower learning rate.";
const UNFIT = "The loss is not a finite number before the first step: look for NaN or infinity in the data and the weights.";
const FRAMED = "minigrad-play"; // the type of messages to and from a page around this one

// The state of the page; `playground` in the browser's console.
const app = (globalThis.playground = { settings: defaults(), running: false, frame: null, busy: null, pending: 0, shown: null });

async function start() {
  readColors();
  app.engine = await connect();
  app.about = await app.engine.about();
  const { settings, problems } = readAddress(location.hash, ownSettings());
  app.settings = settings;
  if (problems.length) notice(problems.join(". "));
  say(byId("subject"), app.about.ready ? "playground" : app.about.title);
  document.title = `minigrad: ${app.about.ready ? "playground" : app.about.title}`;
  app.network = new NetworkDrawing(byId("network"), { select, hover, units: changeUnits });
  app.plane = new Plane(byId("plane"), { draw: (x, y) => app.source.draw(x, y), erase: (x, y) => app.source.erase(x, y) });
  app.chart = new LossChart(byId("curve"));
  app.histories = new Histories();
  app.chain = new ChainPanel(byId("chain"), { explain: (target) => app.explanation.open(target), set: setValue, select });
  app.explanation = new ExplainView(byId("explain-view"), byId("explain-body"), (target) => app.engine.explain(target));
  app.controls = new Controls(app.settings, app.about, change);
  app.source = new DataSource(app, { change, remake: () => attempt(remake), notice });
  views();
  transport();
  pageTools();
  app.tabs = tabs(document.querySelector("[role=tablist]"));
  app.lessons = new LessonPanel(byId("lessons"), { app, change, view: setView, select, refresh, stop });
  if (parent !== window) addEventListener("message", heard);
  addEventListener("hashchange", () => location.hash !== app.hash && attempt(() => readNew(location.hash)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);
  await attempt(remake);
  if (app.shape.layers[0].kind === "units") select({ layer: 0, kind: "weight", unit: 0, input: 0 });
  if (app.settings.step) await attempt(async () => { await app.engine.step(app.settings.step); await refresh(); });
  app.lessons.open(app.settings.lesson);
  // On a phone the lesson is below the network: an address that opens one leads to it.
  if (app.settings.lesson !== "none") byId("lessons").scrollIntoView({ block: "nearest" });
  document.documentElement.dataset.ready = "yes";
  requestAnimationFrame(tick);
}

/** Runs what talks to the engine, and shows an error as what it says. */
async function attempt(action) {
  app.pending++;
  try {
    await action();
  } catch (error) {
    await stop();
    notice(error.message);
  } finally {
    app.pending--;
  }
}

// The network and its data

async function remake() {
  if (app.about.ready) {
    const data = app.source.make(app.settings);
    if (!data) {
      if (app.running) await stop();
      if (!app.shape) await placeholder();
      app.controls.show(app.settings);
      writeHash();
      return;
    }
    app.data = data;
    const known = app.source.features(app.about.features);
    app.controls.features(known);
    const features = app.settings.features.filter((name) => known.includes(name));
    app.settings.features = features.length ? features : known.slice(0, Math.min(2, known.length));
  } else app.data = app.about.data;
  await configure();
}

/** A network to look at, until there are data of the chosen kind. */
async function placeholder() {
  app.data = app.source.make({ ...app.settings, data: "moons" });
  await configure();
  app.source.make(app.settings);
}

/** A new network; no frame is asked for before the drawing is of this one, too. */
async function configure() {
  await alone(rebuild);
  await refresh();
}

async function rebuild() {
  const { settings } = app;
  const dead = settings.init === "dead";
  const shape = await app.engine.configure({ ...settings, init: dead ? "uniform" : settings.init }, app.data);
  if (dead) {
    for (const [layer, { units }] of shape.layers.slice(0, -1).entries()) {
      for (let unit = 0; unit < units; unit++) await app.engine.set({ layer, kind: "bias", unit }, DEAD);
    }
  }
  app.shape = shape;
  say(byId("plane-title"), planeTitle());
  app.network.classNames = app.data?.classNames;
  app.network.build(shape, { editable: app.about.ready, most: app.about.most.units });
  app.chart.clear();
  app.frame = null;
  app.clearHistories = true;
  app.source.show(app.data);
  legend();
  app.controls.show(settings);
  app.chain.frame = null;
  app.chain.setup(shape, settings, app.histories);
  if (app.running) await app.engine.run(speed());
  writeHash();
}

/** Settings that a control or a lesson changed: training goes on where it can. */
async function change(changes) {
  const names = Object.keys(changes);
  app.settings = { ...app.settings, ...changes, step: 0 };
  await attempt(async () => {
    if (names.some((name) => MADE.includes(name))) await remake();
    else if (names.includes("seed")) await remake();
    else if (names.some((name) => NETWORK.includes(name))) await configure();
    else {
      const adjusted = names.filter((name) => ADJUSTABLE.includes(name));
      if (adjusted.length) {
        app.shape = await app.engine.adjust(Object.fromEntries(adjusted.map((name) => [name, changes[name]])));
        app.network.network = app.shape;
      }
      if (names.includes("speed") && app.running) await app.engine.run(speed());
      app.controls.show(app.settings);
      app.chain.setup(app.shape, app.settings, app.histories);
      writeHash();
      await refresh();
    }
  });
}

const changeUnits = (layer, by) => change({ layers: app.settings.layers.map((units, l) => (l === layer ? units + by : units)) });

async function setValue(target, value) {
  await attempt(async () => {
    await app.engine.set(target, value);
    await refresh();
  });
}

// Training

const speed = () => (app.settings.speed === "full" ? null : Number(app.settings.speed));

async function play() {
  app.running = true;
  document.body.classList.add("running");
  say(byId("play-text"), "Pause");
  await app.engine.run(speed());
}

async function stop() {
  app.running = false;
  document.body.classList.remove("running");
  say(byId("play-text"), "Play");
  await app.engine.pause();
}

const once = (action) => () => attempt(async () => {
  if (app.running) await stop();
  await action();
  await refresh();
  announce();
  if (app.frame.diverged) notice(app.frame.step ? DIVERGED : UNFIT);
});

function transport() {
  byId("play").addEventListener("click", () => attempt(async () => {
    await (app.running ? stop() : play());
    if (!app.running) {
      await refresh();
      announce();
    }
  }));
  byId("step").addEventListener("click", once(() => app.engine.step(1)));
  byId("example").addEventListener("click", once(() => app.engine.example()));
  byId("back").addEventListener("click", once(() => app.engine.back(1)));
  byId("reset").addEventListener("click", () => attempt(async () => {
    byId("notice").hidden = true;
    await stop();
    await configure();
    announce();
  }));
  addEventListener("keydown", (event) => {
    if (event.key !== " " || event.target !== document.body) return;
    event.preventDefault();
    byId("play").click();
  });
}

// Frames

function tick() {
  requestAnimationFrame(tick);
  if (app.running && !app.busy && document.visibilityState === "visible") attempt(() => refresh());
}

const refresh = () => alone(ask);

/** Runs one after the other what must not meet a frame of another network. */
async function alone(action) {
  while (app.busy) await app.busy.catch(() => {});
  app.busy = action();
  try {
    await app.busy;
  } finally {
    app.busy = null;
  }
}

async function ask() {
  const frame = await app.engine.frame({ gradients: true, losses: true, plane: app.source.plane(app.running ? COARSE : FINE) });
  show(frame);
}

function show(frame) {
  const now = app.running && !frame.diverged ? performance.now() : Infinity;
  if (app.clearHistories) {
    app.histories.clear(frame);
    app.clearHistories = false;
  }
  app.frame = frame;
  app.histories.add(frame);
  app.chart.add(frame.history, frame.step);
  app.network.show(frame, app.settings.view, now);
  if (frame.plane) app.plane.show(frame.plane, app.shown);
  const ringed = !app.running && frame.batch ? frame.batch.index : null;
  if (String(ringed) !== String(app.plane.batch ?? null)) app.plane.points(ringed);
  app.chain.show(frame, app.settings.view, now);
  status(frame, now);
  app.lessons?.frame(frame);
  if (frame.diverged && (app.running || !app.diverged)) {
    stop();
    notice(frame.step ? DIVERGED : UNFIT);
  }
  app.diverged = frame.diverged;
}

function status(frame, now) {
  say(byId("step-count"), frame.step.toLocaleString("en"));
  if (now - (app.told ?? 0) < 100) return;
  app.told = Number.isFinite(now) ? now : 0;
  say(byId("epoch-count"), frame.epoch < 100 ? frame.epoch.toFixed(1) : Math.round(frame.epoch).toLocaleString("en"));
  say(byId("pace"), app.running && frame.stepsPerSecond ? Math.round(frame.stepsPerSecond).toLocaleString("en") : "\u2013");
  byId("back").disabled = frame.back === 0;
  for (const set of ["train", "test"]) {
    say(byId(`loss-${set}`), frame.loss[set] === null ? "\u2013" : digits(frame.loss[set]));
    say(byId(`accuracy-${set}`), frame.accuracy[set] === null ? "\u2013" : `${(100 * frame.accuracy[set]).toFixed(1)} %`);
  }
  say(byId("caption"), caption());
  if (app.running && now - (app.announced ?? now) > 10_000) announce();
  app.announced ??= now;
}

/** For screen readers: at each pause, and every ten seconds while training runs. */
function announce() {
  const { frame } = app;
  app.announced = performance.now();
  if (!frame) return;
  const of = (numbers, text) => (numbers.train === null ? "" : `, ${text} ${digits(numbers.train)}${numbers.test === null ? "" : `, held out ${digits(numbers.test)}`}`);
  say(byId("announce"), `Step ${frame.step}${of(frame.loss, "training loss")}${of(frame.accuracy, "accuracy")}.`);
}

function caption() {
  const scale = app.network.scale;
  const { layers } = app.shape;
  if (layers.every(isBox)) {
    const of = { forward: "the first parameter", reverse: "the gradient of the first parameter", update: "what the last step added to the first parameter" }[app.settings.view];
    return `Boxes are modules: their tiles are ${of}, or the output if there is none. Select one for its numbers.`;
  }
  if (app.settings.view === "forward") return "Lines are weights: thicker is larger, dashed negative. Tiles are the units\u2019 outputs" + (app.source.axes().length ? " over the plane." : ", a cell for each example of the last batch.");
  if (!app.frame?.batch) return "No batch has been computed yet: press Step.";
  if (app.settings.view === "reverse") return `Lines are \u2202L/\u2202w of this batch, the thickest ${digits(scale, 2)}; tiles are \u2202L/\u2202z, a cell for each example.`;
  return `Lines are what ${byId("optimizer").selectedOptions[0]?.text || "the optimiser"} added to each weight in the last step, the thickest ${digits(scale, 2)}.`;
}

// What is looked at

function select(target) {
  app.network.select(target);
  app.chain.select(target);
}

/** Of several numbers that are predicted, the plane shows the first. */
const planeTitle = () => (!app.shape.classes && app.shape.layers.at(-1).shape[0] > 1 ? "Output 1" : "Output");

function hover(target) {
  const flat = app.frame?.plane && app.shape.layers.every((layer) => layer.kind === "units");
  app.shown = flat && target?.kind === "output" ? target : null;
  say(byId("plane-title"), app.shown ? app.network.describe({ target }) : planeTitle());
  if (app.frame?.plane) app.plane.show(app.frame.plane, app.shown);
}

function views() {
  const names = { forward: "Forward", reverse: "Reverse", update: "Update" };
  for (const name of Object.keys(VIEWS)) {
    const input = make("input", { type: "radio", name: "view", value: name, id: `view-${name}` });
    input.addEventListener("change", () => setView(name));
    byId("views").append(make("label", {}, input, names[name]));
  }
  setView(app.settings.view);
}

function setView(view) {
  app.settings.view = view;
  byId(`view-${view}`).checked = true;
  document.body.dataset.view = view;
  if (app.frame) {
    app.network.show(app.frame, view, Infinity);
    app.chain.show(app.frame, view, Infinity);
    say(byId("caption"), caption());
  }
  writeHash();
}

function legend() {
  const host = byId("plane-legend");
  const names = app.data?.classes ? Array.from({ length: app.data.classes }, (_, k) => app.data.classNames?.[k] ?? `class ${k}`) : [];
  const hasTest = !!app.data?.test.y.length; // a user's own data may have none
  const swatch = (k, hollow) => {
    const canvas = make("canvas", { width: 28, height: 28, "aria-hidden": "true" });
    mark(canvas.getContext("2d"), 14, 14, 8, k, names.length ? classColor(k) : palette.ink, hollow);
    return canvas;
  };
  const marks = names.map((name, k) => make("span", {}, swatch(k, false), briefly(name, 28)));
  host.replaceChildren(...marks, ...(hasTest ? [make("span", {}, swatch(0, true), "held out")] : []));
  byId("figures").replaceChildren(
    make("thead", {}, make("tr", {}, make("td", {}), make("th", { scope: "col" }, "loss"), make("th", { scope: "col" }, "accuracy"))),
    make("tbody", {}, ...[["train", "training"], ["test", "held out"]].map(([set, text]) => make("tr", { class: set, hidden: set === "test" && !hasTest }, make("th", { scope: "row" }, make("i"), text), make("td", { id: `loss-${set}` }, "\u2013"), make("td", { id: `accuracy-${set}` }, "\u2013")))),
  );
}

function recolor() {
  readColors();
  legend();
  app.source.show(app.data);
  if (app.frame) show(app.frame);
}

// The address, Python, large type

/** Of a user's own model, the settings that it came with. */
const ownSettings = () => (app.about.ready ? null : app.about.settings);

function writeHash() {
  // Columns of a file are not for the address, as the file is not.
  const { features, ...others } = app.settings;
  const known = features?.every((name) => SETTINGS.features.values.includes(name));
  app.hash = `#${writeAddress(known ? app.settings : others, ownSettings())}`;
  // In full: in the frame of a notebook, "#..." alone would belong to the notebook's address.
  history.replaceState(null, "", location.href.replace(/#.*/s, "") + app.hash);
  told();
}

/** A page around this one, minigrad-play.js or a notebook's widget, gets the settings, and may set
 * them: what it says is read as an address is. */
function told() {
  if (parent !== window) parent.postMessage({ type: FRAMED, state: app.hash.slice(1) }, "*");
}

function heard({ source, data }) {
  const isNew = source === parent && data?.type === FRAMED && typeof data.state === "string" && `#${data.state}` !== app.hash;
  // The address itself cannot be set in a frame with an origin of its own.
  if (isNew) attempt(() => readNew(`#${data.state}`));
}

async function readNew(address) {
  const { settings, problems } = readAddress(address, ownSettings());
  app.settings = settings;
  if (problems.length) notice(problems.join(". "));
  setView(settings.view);
  await stop();
  await remake();
  if (settings.step) await app.engine.step(settings.step);
  await refresh();
  app.lessons.open(settings.lesson);
}

function pageTools() {
  byId("share").addEventListener("click", () => attempt(async () => {
    const steps = app.frame?.step ?? 0;
    app.settings.step = Math.min(SETTINGS.step.most, steps);
    writeHash();
    await copy(location.href);
    if (app.settings.step < steps) notice(`Copied, with ${app.settings.step.toLocaleString("en")} steps of ${steps.toLocaleString("en")}: a link trains no more.`);
  }));
  // The program and the lessons are about networks that are built on the page.
  for (const id of ["python", "tab-lessons"]) byId(id).hidden = !app.about.ready;
  byId("python").addEventListener("click", () => attempt(async () => {
    app.program = programOf(app.settings, app.data, app.frame?.step ?? 0);
    say(byId("python-text"), app.program);
    byId("python-view").showModal();
  }));
  byId("python-copy").addEventListener("click", () => attempt(() => copy(app.program)));
  byId("python-save").addEventListener("click", () => {
    const link = make("a", { href: URL.createObjectURL(new Blob([app.program], { type: "text/x-python" })), download: "playground.py" });
    link.click();
    URL.revokeObjectURL(link.href);
  });
  byId("project").addEventListener("click", () => attempt(async () => {
    const large = document.body.classList.toggle("large");
    document.documentElement.classList.toggle("large", large);
    byId("project").setAttribute("aria-pressed", String(large));
    if (large) await document.documentElement.requestFullscreen?.().catch(() => {});
    else if (document.fullscreenElement) await document.exitFullscreen();
  }));
  for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
}

async function copy(text) {
  // navigator.clipboard is not there in a page from a file in all browsers.
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { class: "unseen" });
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  notice("Copied.");
}

function notice(text) {
  const box = byId("notice");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(app.noticeTimer);
  app.noticeTimer = setTimeout(() => (box.hidden = true), 2000 + 60 * text.length);
}

start().catch((error) => notice(error.message));
