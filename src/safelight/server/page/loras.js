// LoRAs: a slider for each that the chosen model can take; one at zero is off, and not asked for.

import { element, find, setText } from "./markup.js";
import { remembered } from "./memory.js";
import { slide } from "./slider.js";
import { amount } from "./words.js";

const LEAST = -1;
const MOST = 2;
const STEP = 0.05;
const FULL = 1;

const rows = new Map();

/** Offer the LoRAs of these names; one that stays keeps its scale. */
export function showLoras(names) {
  const shown = names.map((name) => {
    if (!rows.has(name)) rows.set(name, makeRow(name));
    return rows.get(name).node;
  });
  const list = find("loras");
  if (shown.length !== list.children.length || shown.some((node, index) => node !== list.children[index])) {
    list.replaceChildren(...shown);
  }
  find("loras-field").hidden = shown.length === 0;
}

/** The LoRAs that are on, as a request names them; nothing when all are off. */
export function chosenLoras() {
  const on = [...rows].filter(([, { node, slider }]) => node.isConnected && Number(slider.value) !== 0);
  return on.length > 0 ? on.map(([name, { slider }]) => ({ name, scale: Number(slider.value) })) : undefined;
}

/** Set all sliders to what a request named. */
export function setLoras(loras = []) {
  for (const [name, row] of rows) setScale(row, loras.find((lora) => lora.name === name)?.scale ?? 0);
}

function makeRow(name) {
  const id = `lora-${name}`;
  const slider = element("input", { type: "range", id, name: id, min: LEAST, max: MOST, step: STEP });
  const toggle = element("button", { type: "button", className: "scale" });
  const label = element("label", { htmlFor: id, title: name }, name);
  const row = { name, slider, toggle, node: element("li", { className: "slide lora" }, label, slider, toggle) };
  slider.addEventListener("input", () => setScale(row, Number(slider.value)));
  toggle.addEventListener("click", () => setScale(row, Number(slider.value) === 0 ? FULL : 0));
  setScale(row, Number(remembered()[slider.name] ?? 0));
  return row;
}

const saying = (scale) => (scale === 0 ? "off" : amount(scale));

function setScale({ name, slider, toggle, node }, wanted) {
  const scale = slide(slider, wanted, saying);
  const isOn = scale !== 0;
  node.classList.toggle("on", isOn);
  setText(toggle, saying(scale));
  toggle.title = isOn ? `Switch ${name} off` : `Switch ${name} on`;
  toggle.setAttribute("aria-label", `${toggle.title} (${saying(scale)})`);
}
