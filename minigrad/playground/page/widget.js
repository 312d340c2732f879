// The playground in a notebook, by anywidget: widget.py has the traits `page` and `state`.

const TYPE = "minigrad-play"; // of the messages between the frame and this widget

function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts allow-downloads");
  frame.allow = "fullscreen; clipboard-write";
  frame.title = "minigrad playground";
  frame.style.cssText = "display: block; width: 100%; height: 820px; border: 0";
  frame.srcdoc = model.get("page");
  let told = "";
  const tell = () => {
    if (model.get("state") === told) return;
    told = model.get("state");
    frame.contentWindow?.postMessage({ type: TYPE, state: told }, "*");
  };
  const heard = ({ source, data }) => {
    if (source !== frame.contentWindow || data?.type !== TYPE || typeof data.state !== "string") return;
    if (!told && model.get("state")) return tell(); // what Python had set before the page was there
    told = data.state;
    model.set("state", told);
    model.save_changes();
  };
  addEventListener("message", heard);
  model.on("change:state", tell);
  el.append(frame);
  return () => {
    removeEventListener("message", heard);
    model.off("change:state", tell);
  };
}

export default { render };
