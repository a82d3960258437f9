// LoRAs: a slider for each that the chosen model can take; one at zero is off, and not asked for.

import { element, find, setText } from "./markup.js";
import { remembered } from "./memory.js";
import { call } from "./server.js";
import { amount } from "./words.js";

const LEAST = -1;
const MOST = 2;
const STEP = 0.05;
const FULL = 1;
const REFRESH_MS = 5000;

const rows = new Map();
let adapters = [];
let due = 0;

/** Learn which adapters there are, now and then, since they come and go while the server runs. */
export async function refreshLoras(model) {
  if (performance.now() < due) return;
  due = performance.now() + REFRESH_MS;
  adapters = (await (await call("v1/adapters")).json()).data;
  showLoras(model);
}

/** Offer the LoRAs made for this model; one that stays keeps its scale. */
export function showLoras(model) {
  const fitting = adapters.filter((adapter) => adapter.kind === "lora" && adapter.model === model);
  const shown = fitting.map(({ id }) => {
    if (!rows.has(id)) rows.set(id, makeRow(id));
    return rows.get(id).node;
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
  const row = { name, slider, toggle, node: element("li", { className: "lora" }, label, slider, toggle) };
  slider.addEventListener("input", () => setScale(row, Number(slider.value)));
  toggle.addEventListener("click", () => setScale(row, Number(slider.value) === 0 ? FULL : 0));
  setScale(row, Number(remembered()[slider.name] ?? 0));
  return row;
}

function setScale({ name, slider, toggle, node }, wish) {
  slider.value = wish;
  const scale = Number(slider.value);
  const isOn = scale !== 0;
  const said = isOn ? amount(scale) : "off";
  node.classList.toggle("on", isOn);
  node.style.setProperty("--from", shareOf(Math.min(0, scale)));
  node.style.setProperty("--to", shareOf(Math.max(0, scale)));
  slider.setAttribute("aria-valuetext", said);
  setText(toggle, said);
  toggle.title = isOn ? `Switch ${name} off` : `Switch ${name} on`;
  toggle.setAttribute("aria-label", `${toggle.title} (${said})`);
}

const shareOf = (scale) => ((scale - LEAST) / (MOST - LEAST)).toFixed(4);
