// Elements. Text from the program only ever becomes text: nothing is read as HTML.

const SPACES = { svg: "http://www.w3.org/2000/svg", math: "http://www.w3.org/1998/Math/MathML" };

export function make(name, attributes = {}, ...children) {
  const [space, tag] = name.split(":");
  const element = tag ? document.createElementNS(SPACES[space], tag) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Icons, drawn in a square of 24
const ICONS = {
  first: "M5 5h2.5v14H5zM20 5v14L9 12z",
  back: "M17 5v14L6 12z",
  play: "M7 4.5v15L19.5 12z",
  pause: "M6 5h4v14H6zM14 5h4v14h-4z",
  on: "M7 5v14l11-7z",
  last: "M16.5 5H19v14h-2.5zM4 5v14l11-7z",
  closer: "M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z",
  farther: "M5 11h14v2H5z",
  whole: "M4 4h6v2H6v4H4zM14 4h6v6h-2V6h-4zM4 14h2v4h4v2H4zM18 14h2v6h-6v-2h4z",
  unfold: "M12 2l4.5 5h-9zM12 22l-4.5-5h9zM4 11h16v2H4z",
  fold: "M12 9.5L7.5 4.5h9zM12 14.5l4.5 5h-9zM4 11h16v2H4z",
};

export const icon = (name) => make("svg:svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, make("svg:path", { d: ICONS[name] }));

export function iconButton(name, label, act, attributes = {}) {
  const element = make("button", { type: "button", class: "icon", "aria-label": label, title: label, ...attributes }, icon(name));
  element.addEventListener("click", act);
  return element;
}

// What is no <button>, as in SVG, as a button
export function asButton(element, label, act) {
  for (const [key, value] of [["role", "button"], ["tabindex", "0"], ["aria-label", label]]) element.setAttribute(key, value);
  element.addEventListener("click", act);
  element.addEventListener("keydown", (event) => {
    if (event.target === element && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); act(event); }
  });
  return element;
}
