// <minigrad-play src="moons.html#data=moons&layers=4"></minigrad-play>: a playground in a page of yours.
//
// The file of `src` is one that `minigrad play --html` or `minigrad.play(...).html` wrote. It runs in a
// frame with an origin of its own: it can read nothing of your page, and asks for nothing from anywhere.
// docs/playground.md has more.

{
  const TYPE = "minigrad-play"; // of the messages between the frame and this page
  const PROTOCOLS = ["http:", "https:", "file:", "blob:"];
  const STYLE = `
    :host { display: block; height: clamp(600px, 88vh, 860px); }
    :host([hidden]) { display: none; }
    iframe { display: block; width: 100%; height: 100%; border: 0; color-scheme: normal; }
    p { margin: 0; padding: 1em; border: 1px solid; }`;

  class MinigradPlay extends HTMLElement {
    static observedAttributes = ["src", "title"];
    #root = this.attachShadow({ mode: "open" });
    #frame = null;
    #state = "";

    connectedCallback() {
      addEventListener("message", this.#heard);
      this.#show();
    }

    disconnectedCallback() {
      removeEventListener("message", this.#heard);
      this.#root.replaceChildren();
      this.#frame = null;
    }

    attributeChangedCallback(name, before, after) {
      if (!this.isConnected || before === after) return;
      if (name === "title" && this.#frame) this.#frame.title = this.#title;
      else this.#show();
    }

    /** The settings of the page, as in its address after #. They can be set: the page checks them, and says
     * what does not fit. After each change there is an event "change". */
    get state() {
      return this.#state;
    }

    set state(text) {
      this.#state = String(text).replace(/^#/, "");
      this.#frame?.contentWindow?.postMessage({ type: TYPE, state: this.#state }, "*");
    }

    get #title() {
      return this.getAttribute("title") ?? "minigrad playground";
    }

    #show() {
      const style = document.createElement("style");
      style.textContent = STYLE;
      this.#root.replaceChildren(style);
      this.#frame = null;
      const src = this.getAttribute("src");
      if (!src) return;
      const url = URL.canParse(src, document.baseURI) ? new URL(src, document.baseURI) : null;
      if (!url || !PROTOCOLS.includes(url.protocol)) {
        const text = document.createElement("p");
        text.textContent = `minigrad-play: src is the address of a file that minigrad wrote, not ${src.slice(0, 60)}`;
        this.#root.append(text);
        return;
      }
      const frame = document.createElement("iframe");
      // No allow-same-origin: whatever the file is, it gets no hold of this page.
      frame.setAttribute("sandbox", "allow-scripts allow-downloads");
      frame.allow = "fullscreen; clipboard-write";
      frame.loading = "lazy";
      frame.title = this.#title;
      frame.src = url.href;
      this.#state = url.hash.slice(1);
      this.#frame = frame;
      this.#root.append(frame);
    }

    #heard = ({ source, data }) => {
      if (!this.#frame || source !== this.#frame.contentWindow) return;
      if (data?.type !== TYPE || typeof data.state !== "string" || data.state === this.#state) return;
      this.#state = data.state;
      this.dispatchEvent(new Event("change"));
    };
  }

  if (!customElements.get("minigrad-play")) customElements.define("minigrad-play", MinigradPlay);
}
