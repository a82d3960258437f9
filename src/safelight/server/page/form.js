// The form: what to paint, and how.

import { adaptersFor } from "./adapters.js";
import { chosenControls, setControls, setUpControls, showControls } from "./controls.js";
import { cancelCard, develop } from "./develop.js";
import { chosenLoras, setLoras, showLoras } from "./loras.js";
import { element, find, icon, setText } from "./markup.js";
import { lay, makeCard } from "./prints.js";
import { remember, remembered } from "./memory.js";
import { likest, sizesOf } from "./sizes.js";
import { chosenStart, setStart, setUpStart, startFrom } from "./start.js";
import { pick, plural, rollSeed } from "./words.js";
import { picturesRead } from "./zone.js";

const MOST_PICTURES = 10;
const MOST_SEED = Number.MAX_SAFE_INTEGER - MOST_PICTURES;
const NARROW = "(max-width: 48rem)";

const EXAMPLES = {
  "Red circle": "a large red circle on a white background",
  "Star above square": "a small yellow star above a medium blue square on a gray background",
  "Heart beside triangle": "a medium pink heart left of a small green triangle on a beige background",
};
const FIRST_EXAMPLE = "Star above square";
const SIZES = ["small", "medium", "large"];
const COLOURS = ["red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink"];
const SHAPES = ["circle", "square", "triangle", "star", "cross", "heart"];
const RELATIONS = ["left of", "above"];
const BACKGROUNDS = ["white", "gray", "black", "beige"];

const models = new Map();
export const hasModels = () => models.size > 0;

/** Offer these models, as `GET /v1/models` lists them. */
export function showModels(list) {
  for (const { id, safelight } of list) models.set(id, safelight);
  fillSelect("model", [...models.keys()], (name) => name, list[0]?.id);
  showAbilities();
}

function showAbilities() {
  const spec = models.get(find("model").value);
  if (!spec) return;
  const guidance = spec.guidance_scale > 1 ? `guidance ${spec.guidance_scale}` : "no guidance";
  setText(find("model-hint"), [plural(spec.steps, "step"), guidance, spec.size.replace("x", " × ")].join(" · "));
  find("steps").placeholder = spec.steps;
  find("guidance").placeholder = spec.guidance_scale;
  fillSelect("sampler", spec.samplers, (name) => name, spec.sampler);
  showAdapters();
  fillSelect("size", sizesOf(spec), (size) => size.replace("x", " × "), spec.size);
}

/** Offer the adapters that the chosen model can take. */
export function showAdapters() {
  const name = find("model").value;
  const model = models.get(name)?.cascade?.heavy ?? name;
  showLoras(adaptersFor(model, "lora"));
  showControls(adaptersFor(model, "controlnet"));
}

/** Fill in the options and keep the choice where it still stands; else take the one of last time, else `usual`. */
function fillSelect(id, values, label, usual) {
  const select = find(id);
  const choices = [select.value, remembered()[id], usual];
  select.replaceChildren(...values.map((value) => new Option(label(value), value)));
  select.value = choices.find((wanted) => values.includes(wanted));
}

/** Choose the size that is most like that of a picture. */
function fitSize(picture) {
  const sizes = [...find("size").options].map(({ value }) => value);
  if (sizes.length > 0) find("size").value = likest(picture, sizes);
}

const number = (id) => (find(id).value.trim() === "" ? undefined : Number(find(id).value));

/** A whole number within bounds, which the field then shows too. */
function whole(id, least, most) {
  const value = number(id);
  if (value === undefined) return undefined;
  find(id).value = Math.min(most, Math.max(least, Math.round(value)));
  return number(id);
}

/** What the form asks for; what is left empty is left to the server. */
function orderOf(seed) {
  const spec = models.get(find("model").value);
  const sampler = find("sampler").value;
  return {
    prompt: find("prompt").value,
    model: find("model").value || undefined,
    size: find("size").value || undefined,
    seed,
    num_inference_steps: number("steps"),
    guidance_scale: number("guidance"),
    sampler: spec?.cascade && sampler === spec.sampler ? undefined : sampler || undefined,
    loras: chosenLoras(),
    controls: chosenControls(),
    ...chosenStart(),
    deadline_s: number("deadline"),
  };
}

async function submit(event) {
  event.preventDefault();
  await picturesRead();
  const first = whole("seed", 0, MOST_SEED) ?? rollSeed();
  const count = whole("count", 1, MOST_PICTURES) ?? 1;
  remember(find("compose"));
  const start = (card) => startFrom(card.parts.final.src);
  const hands = { cancel: cancelCard, retry: develop, reuse, start };
  const fresh = Array.from({ length: count }, (_, index) => makeCard(orderOf(first + index), hands));
  lay(fresh);
  for (const card of fresh) develop(card);
  if (matchMedia(NARROW).matches) find("tray-title").scrollIntoView({ block: "start" });
}

/** Fill in the form with what a card was made from. */
async function reuse({ order }) {
  if (models.has(order.model)) find("model").value = order.model;
  showAbilities();
  setLoras(order.loras);
  setControls(order.controls);
  await setStart(order);
  find("prompt").value = order.prompt;
  find("seed").value = order.seed;
  find("steps").value = order.num_inference_steps ?? "";
  find("guidance").value = order.guidance_scale ?? "";
  for (const id of ["sampler", "size"]) if (order[id]) find(id).value = order[id];
  find("advanced").open = true;
  find("prompt").focus();
}

function surprise() {
  const thing = () => `a ${pick(SIZES)} ${pick(COLOURS)} ${pick(SHAPES)}`;
  const things = pick([thing(), `${thing()} ${pick(RELATIONS)} ${thing()}`]);
  return `${things} on a ${pick(BACKGROUNDS)} background`;
}

function makeChip(prompt, ...content) {
  const chip = element("button", { type: "button", className: "chip" }, ...content);
  chip.addEventListener("click", () => {
    find("prompt").value = prompt();
    find("prompt").focus();
  });
  return chip;
}

function restore() {
  const fields = remembered();
  for (const id of ["prompt", "count", "seed", "steps", "guidance", "deadline"]) if (fields[id]) find(id).value = fields[id];
  find("advanced").open = ["seed", "steps", "guidance", "deadline"].some((id) => fields[id]);
  find("prompt").value ||= EXAMPLES[FIRST_EXAMPLE];
}

export function setUpForm() {
  restore();
  setUpControls();
  setUpStart(fitSize);
  const chips = Object.entries(EXAMPLES).map(([label, prompt]) => makeChip(() => prompt, label));
  find("chips").append(...chips, makeChip(surprise, icon("dice"), "Surprise me"));
  find("compose").addEventListener("submit", submit);
  find("model").addEventListener("change", showAbilities);
  find("dice").addEventListener("click", () => (find("seed").value = rollSeed()));
  find("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  });
}
