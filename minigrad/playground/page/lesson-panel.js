// Lessons beside the page: a list of them, and the one that is open. Their texts are in the page; their
// experiments are done by it, where they can be watched.

import { defaults, LESSONS } from "./address.js";
import { make } from "./dom.js";
import { parseLesson, showLesson } from "./lessons.js";

export class LessonPanel {
  /** @param on {app, change(settings), view(name), refresh(), stop()} */
  constructor(host, on) {
    Object.assign(this, { host, on, name: null });
    const texts = JSON.parse(document.getElementById("lesson-texts")?.textContent ?? "{}");
    this.lessons = LESSONS.filter((name) => Object.hasOwn(texts, name)).map((name) => ({ name, ...parseLesson(texts[name]) }));
    this.list();
  }

  /** Opens the lesson of a name; for "none", the list, unless it is seen already. */
  open(name) {
    const lesson = this.lessons.find((each) => each.name === name);
    if (name === this.name) return;
    if (!lesson) {
      if (this.name !== null) this.list();
      return;
    }
    this.name = name;
    this.on.app.tabs("tab-lessons");
    const shown = make("article", { class: "lesson" });
    const heading = showLesson(shown, lesson, { name, set: (settings) => (settings.lesson === name ? this.setUp(settings) : this.go(settings.lesson)), lab: this.lab() });
    heading.tabIndex = -1;
    this.host.replaceChildren(this.way(lesson), shown, this.ending(lesson));
    this.host.scrollTop = 0;
  }

  frame() {}

  list() {
    this.name = null;
    const entries = this.lessons.map(({ name, title }, k) => {
      const button = make("button", { type: "button", class: "plain lesson-entry" }, make("span", { class: "lesson-number" }, String(k + 1)), title);
      button.addEventListener("click", () => this.go(name));
      return make("li", {}, button);
    });
    this.host.replaceChildren(
      make("p", { class: "small faint" }, "Predict, then look: the page checks what you say by its own numbers."),
      make("ol", { class: "lesson-list" }, ...entries),
    );
  }

  way({ name }) {
    const back = make("button", { type: "button", class: "plain small" }, "\u2190 All lessons");
    back.addEventListener("click", () => {
      this.list();
      this.on.change({ lesson: "none" });
      this.host.querySelector(`li:nth-child(${LESSONS.indexOf(name) + 1}) button`)?.focus();
    });
    return make("div", { class: "lesson-way" }, back);
  }

  ending({ name }) {
    const next = this.lessons[this.lessons.findIndex((each) => each.name === name) + 1];
    if (!next) return make("p", { class: "lesson-end small faint" }, "That was the last one.");
    const button = make("button", { type: "button" }, `Next: ${next.title}`);
    button.addEventListener("click", () => this.go(next.name));
    return make("div", { class: "lesson-end" }, button);
  }

  /** Opens a lesson as its first link sets it up. */
  async go(name) {
    const lesson = this.lessons.find((each) => each.name === name);
    const first = lesson.blocks.flatMap(({ spans }) => spans ?? []).find(({ kind }) => kind === "link");
    await this.setUp({ ...(first?.settings ?? defaults()), lesson: name });
    this.open(name);
    this.host.querySelector("h2")?.focus();
  }

  /** A network that is not trained yet. */
  async setUp(settings) {
    const { app, change, view, stop } = this.on;
    await stop();
    view(settings.view);
    await change({ ...settings, speed: app.settings.speed });
  }

  /** What does the experiments. If the page is used meanwhile, nothing is measured. */
  lab() {
    const { app, refresh } = this.on;
    let settings = null;
    let steps = 0;
    const check = () => {
      if (app.settings !== settings || app.frame.step !== steps) throw new Error("the page was changed meanwhile: look again");
    };
    return {
      set: async (chosen) => {
        await this.setUp({ ...chosen, lesson: this.name });
        [settings, steps] = [app.settings, 0];
      },
      train: async (n) => {
        check();
        steps += n;
        await app.engine.step(n);
        await refresh();
        await new Promise(requestAnimationFrame);
      },
      frame: async () => {
        if (!app.frame) await refresh();
        if (!app.frame.diverged) check();
        return app.frame;
      },
    };
  }
}
