// The explanation page of the last step, both passes, over the playground.

import { make } from "../../viz/page/make.js";
import { mountExplanation } from "../../viz/page/explanation.js";

export class ExplainView {
  /** @param explain(target): the engine's explanation of what was clicked */
  constructor(dialog, host, explain) {
    Object.assign(this, { dialog, host, explain });
  }

  async open(target) {
    const { structure, numbers, at } = await this.explain(target);
    const element = make("div", { class: "explanation" });
    this.host.replaceChildren(element);
    this.dialog.showModal();
    mountExplanation(element, structure, numbers, { at });
  }
}
