// The queue as the server tells it, and the workers.

import { element, find, setText, stamp } from "./markup.js";
import { cards, showProgress } from "./prints.js";
import { schedulePoll, showBanner } from "./pulse.js";
import { cancelPicture } from "./server.js";
import { ordinal, plural, seconds, timeLeft } from "./words.js";

const MOST_PIPS = 64;
const EMPTY = "Nothing is waiting.";
const rows = new Map();

export function showQueue({ requests, running, waiting }) {
  dropRowsBut(new Set(requests.map((job) => job.id)));
  for (const job of requests) {
    if (!rows.has(job.id)) rows.set(job.id, makeRow(job));
    const card = cardOf(job);
    showRow(rows.get(job.id), job, job.position, card);
    if (card) showProgress(card, job, job.position);
  }
  arrange(find("queue"), requests.map((job) => rows.get(job.id).node));
  const others = running + waiting - requests.length;
  setText(find("queue-empty"), others > 0 ? `Nothing of yours is waiting; ${plural(others, "picture")} of others.` : EMPTY);
  find("queue-empty").hidden = requests.length > 0;
}

const cardOf = (job) => [...cards].find((card) => card.pictureId === job.id);

function dropRowsBut(present) {
  for (const [id, { node }] of rows) {
    if (present.has(id)) continue;
    node.remove();
    rows.delete(id);
  }
}

function makeRow(job) {
  const row = stamp("queue-template");
  const { cancel, prompt } = row.parts;
  setText(prompt, job.prompt);
  prompt.title = job.prompt;
  cancel.setAttribute("aria-label", `Cancel: ${job.prompt}`);
  cancel.addEventListener("click", () => cancelRow(row, job.id));
  return row;
}

async function cancelRow({ parts }, id) {
  parts.cancel.disabled = true;
  try {
    await cancelPicture(id);
  } catch (error) {
    parts.cancel.disabled = false;
    showBanner(error.message);
  }
  schedulePoll(0);
}

function showRow({ parts, node }, job, place, card) {
  const where = job.state === "running" ? `${job.step}/${job.steps}` : ordinal(place);
  setText(parts.line, `${where} · ${seconds(job.age_s)} old${timeLeft(job)}`);
  parts.line.title = [[job.model, job.worker].filter(Boolean).join(" on "), job.tenant && `for ${job.tenant}`].filter(Boolean).join(" ");
  parts.progress.value = job.steps ? job.step / job.steps : 0;
  parts.progress.setAttribute("aria-label", `Step ${job.step} of ${job.steps}`);
  parts.thumb.hidden = !job.preview;
  if (job.preview && parts.thumb.src !== job.preview) parts.thumb.src = job.preview;
  node.classList.toggle("mine", Boolean(card));
}

/** Put nodes in order, moving none that already stands right (a moved node loses its focus). */
function arrange(list, nodes) {
  nodes.forEach((node, index) => {
    if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
  });
}

export function showWorkers({ workers }) {
  find("workers-empty").hidden = workers.length > 0;
  find("workers").replaceChildren(...workers.map(makeWorker));
}

/** Show what share of the last minute's pictures of cascades each levels have painted. */
export function showLevels({ levels }) {
  const all = levels.reduce((sum, { pictures }) => sum + pictures, 0);
  find("levels-panel").hidden = all === 0;
  find("levels").replaceChildren(...levels.map((entry) => makeGauge(entry, all)));
}

function makeGauge({ levels, pictures }, all) {
  const name = levels.join(" → ");
  const gauge = element("meter", { max: all, value: pictures });
  gauge.setAttribute("aria-label", name);
  return element("li", {}, element("span", {}, `${name}: ${Math.round((100 * pictures) / all)} %`), gauge);
}

function makeWorker({ name, models, rows: held, state }) {
  const { node, parts } = stamp("worker-template");
  node.dataset.state = state === "ready" && held > 0 ? "busy" : state;
  setText(parts.name, name);
  setText(parts.state, state === "ready" ? plural(held, "row") : state);
  setText(parts.models, models.join(", "));
  parts.pips.append(...Array.from({ length: Math.min(held, MOST_PIPS) }, () => element("span", { className: "pip" })));
  return node;
}
