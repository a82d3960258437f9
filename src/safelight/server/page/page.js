// Safelight's built-in page. Whatever comes from people or from the server enters the document as text.

const STREAMS_AT_ONCE = 4; // browsers open six connections to one host; the queue and cancelling need two
const MAX_COUNT = 10;
const WINDOW_S = 120;
const POLL_BUSY_MS = 200;
const POLL_IDLE_MS = 1000;
const POLL_HIDDEN_MS = 5000;
const POLL_LOST_MS = 2000;
const POLL_TIMEOUT_MS = 8000;
const PLOT = { width: 240, height: 56 };
const FORM_KEY = "safelight.form";

const EXAMPLES = {
  "Red circle": "a large red circle on a white background",
  "Star above square": "a small yellow star above a medium blue square on a gray background",
  "Heart beside triangle": "a medium pink heart left of a small green triangle on a beige background",
};
const WORDS = {
  sizes: ["small", "medium", "large"],
  colours: ["red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink"],
  shapes: ["circle", "square", "triangle", "star", "cross", "heart"],
  backgrounds: ["white", "gray", "black", "beige"],
  relations: ["left of", "above"],
};

const find = (id) => document.getElementById(id);
const cards = new Set();
const history = [];
const models = new Map();
const lane = { open: 0, waiting: [] };

// ---------------------------------------------------------------- documents and words

/** A fresh copy of a template, with the elements it names by `data-part`. */
function stamp(templateId) {
  const node = find(templateId).content.firstElementChild.cloneNode(true);
  const parts = {};
  for (const part of node.querySelectorAll("[data-part]")) parts[part.dataset.part] = part;
  return { node, parts };
}

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function svgElement(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** Change text only when it differs, so that selections and screen readers are left in peace. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const pick = (list) => list[Math.floor(Math.random() * list.length)];
const rollSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

function seconds(value) {
  if (value == null || !Number.isFinite(value)) return "–";
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  return value < 60 ? `${value.toFixed(1)} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

function ordinal(number) {
  const ending = { one: "st", two: "nd", few: "rd", other: "th" };
  return number + ending[new Intl.PluralRules("en", { type: "ordinal" }).select(number)];
}

function announce(text) {
  find("news").textContent = text;
}

// ---------------------------------------------------------------- the server

class ServerError extends Error {
  constructor(message, { status = 0, retryAfterS = 0, code = null } = {}) {
    super(message);
    Object.assign(this, { status, retryAfterS, code });
  }
}

async function call(path, options) {
  const response = await fetch(path, options).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server cannot be reached.");
  });
  if (!response.ok) throw await errorOf(response);
  return response;
}

async function errorOf(response) {
  const error = (await response.json().catch(() => null))?.error;
  const retryAfterS = Number(response.headers.get("retry-after")) || 0;
  const message = error?.message ?? `The server answered with status ${response.status}.`;
  return new ServerError(message, { status: response.status, retryAfterS, code: error?.code });
}

const post = (path, body, signal) =>
  call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal });

/** The events of a text/event-stream answer, parsed; an `error` event is thrown. */
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const event of blocks.map(parseEvent)) if (event) yield event;
  }
}

function parseEvent(block) {
  const lines = block.split(/\r?\n/).filter((line) => line.startsWith("data:"));
  const data = lines.map((line) => line.slice(5).trimStart()).join("\n");
  return data && data !== "[DONE]" ? JSON.parse(data) : null;
}

// ---------------------------------------------------------------- the form

async function loadModels() {
  const { data } = await (await call("v1/models")).json();
  models.clear();
  for (const model of data) models.set(model.id, model.safelight ?? {});
  const select = find("model");
  const chosen = select.value || remembered().model;
  select.replaceChildren(...data.map((model) => new Option(model.id, model.id)));
  if (models.has(chosen)) select.value = chosen;
  showModel();
}

function showModel() {
  const spec = models.get(find("model").value) ?? {};
  const told = [];
  if (spec.steps) told.push(plural(spec.steps, "step"));
  if (spec.guidance_scale) told.push(spec.guidance_scale > 1 ? `guidance ${spec.guidance_scale}` : "no guidance");
  if (spec.size) told.push(spec.size.replace("x", " × "));
  setText(find("model-hint"), told.join(" · "));
  find("steps").placeholder = spec.steps ?? "model’s own";
  find("guidance").placeholder = spec.guidance_scale ?? "model’s own";
  fillSelect("sampler", spec.samplers ?? [], (name) => (name === spec.sampler ? `${name} (model’s own)` : name), spec.sampler);
  const sizes = sizesOf(spec);
  fillSelect("size", sizes, (size) => size.replace("x", " × "), sizes[0]);
}

function fillSelect(id, values, label, fallback) {
  const select = find(id);
  const chosen = select.value || remembered()[id];
  select.replaceChildren(...values.map((value) => new Option(label(value), value)));
  select.value = values.includes(chosen) ? chosen : (fallback ?? "");
  select.disabled = values.length === 0;
}

/** The model's own size first, then a few others that it can paint, as "WIDTHxHEIGHT". */
function sizesOf({ size, size_multiple: multiple = 1, max_side: most = Infinity }) {
  if (!size) return [];
  const [width, height] = size.split("x").map(Number);
  const fit = (side) => Math.min(most, Math.round(side / multiple) * multiple);
  const [wide, tall, large] = [fit(width * 1.5), fit(height * 1.5), Math.min(fit(width * 2), fit(height * 2))];
  const sizes = [[width, height], [wide, height], [width, tall], [wide, tall], [large, large]];
  return [...new Set(sizes.map((sides) => sides.join("x")))];
}

const number = (id) => (find(id).value.trim() === "" ? undefined : Number(find(id).value));

/** A whole number within bounds, which the field then shows too. */
function whole(id, least, most) {
  const value = number(id);
  if (value === undefined) return undefined;
  return (find(id).value = Math.min(most, Math.max(least, Math.round(value)))) && number(id);
}

/** What the form asks for; what is left empty is left to the server. */
function orderOf(seed) {
  return {
    prompt: find("prompt").value,
    model: find("model").value || undefined,
    size: find("size").value || undefined,
    seed,
    num_inference_steps: number("steps"),
    guidance_scale: number("guidance"),
    sampler: find("sampler").value || undefined,
    deadline_s: number("deadline"),
  };
}

function submit(event) {
  event?.preventDefault();
  remember();
  const first = whole("seed", 0, Number.MAX_SAFE_INTEGER - MAX_COUNT) ?? rollSeed();
  const count = whole("count", 1, MAX_COUNT) ?? 1;
  const fresh = Array.from({ length: count }, (_, index) => makeCard(orderOf(first + index)));
  find("prints").prepend(...fresh.map((card) => card.node));
  showTray();
  for (const card of fresh) develop(card);
  if (matchMedia("(max-width: 48rem)").matches) find("prints").scrollIntoView({ block: "start" });
}

function remember() {
  const form = Object.fromEntries(new FormData(find("compose")));
  try {
    localStorage.setItem(FORM_KEY, JSON.stringify(form));
  } catch {
    // Storage may be switched off; the page does without.
  }
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(FORM_KEY)) ?? {};
  } catch {
    return {};
  }
}

function restoreForm() {
  const form = remembered();
  for (const id of ["prompt", "count", "seed", "steps", "guidance", "deadline"]) if (form[id]) find(id).value = form[id];
  find("advanced").open = ["seed", "steps", "guidance", "deadline"].some((id) => form[id]);
  if (!find("prompt").value) find("prompt").value = EXAMPLES["Star above square"];
}

function surprise() {
  const thing = () => `a ${pick(WORDS.sizes)} ${pick(WORDS.colours)} ${pick(WORDS.shapes)}`;
  const things = Math.random() < 0.35 ? thing() : `${thing()} ${pick(WORDS.relations)} ${thing()}`;
  return `${things} on a ${pick(WORDS.backgrounds)} background`;
}

function icon(name) {
  const drawing = svgElement("svg", { "aria-hidden": "true" });
  drawing.append(svgElement("use", { href: `#i-${name}` }));
  return drawing;
}

function makeChip(label, prompt, ...extra) {
  const chip = element("button", { type: "button", className: "chip" }, ...extra, label);
  chip.addEventListener("click", () => {
    find("prompt").value = prompt();
    find("prompt").focus();
  });
  return chip;
}

function setUpForm() {
  restoreForm();
  const examples = Object.entries(EXAMPLES).map(([label, text]) => makeChip(label, () => text));
  find("chips").append(...examples, makeChip("Surprise me", surprise, icon("dice")));
  find("compose").addEventListener("submit", submit);
  find("model").addEventListener("change", showModel);
  find("dice").addEventListener("click", () => (find("seed").value = rollSeed()));
  find("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  });
}

// ---------------------------------------------------------------- prints

const isBusy = (card) => ["sending", "waiting", "running"].includes(card.node.dataset.state);

function makeCard(order) {
  const card = { ...stamp("print-template"), order, requestId: null, queueId: null, abort: null, timer: 0 };
  const { parts } = card;
  setText(parts.asked, order.prompt);
  parts.asked.title = order.prompt;
  const [width, height] = (order.size ?? "1x1").split("x");
  parts.frame.style.aspectRatio = `${width} / ${height}`;
  parts.cancel.addEventListener("click", () => cancelCard(card));
  parts.retry.addEventListener("click", () => develop(card));
  parts.reuse.addEventListener("click", () => reuse(card));
  parts.curl.addEventListener("click", () => copyCurl(card));
  parts.remove.addEventListener("click", () => removeCard(card));
  parts.enlarge.addEventListener("click", () => enlarge(card));
  cards.add(card);
  return card;
}

function setState(card, state, status = "") {
  card.node.dataset.state = state;
  card.node.setAttribute("aria-busy", String(isBusy(card)));
  setText(card.parts.status, status);
  showTray();
}

/** Make the picture of a card: wait for a free connection, then follow its stream to the end. */
async function develop(card) {
  clearInterval(card.timer);
  Object.assign(card, { requestId: null, queueId: null, abort: new AbortController() });
  card.parts.progress.value = 0;
  card.parts.latent.hidden = true;
  card.parts.trouble.textContent = "";
  setState(card, "sending", "Waiting for a free connection");
  try {
    await openLane(card.abort.signal);
    await follow(card).finally(closeLane);
  } catch (error) {
    if (error.name === "AbortError" || error.code === "cancelled") showCancelled(card);
    else showTrouble(card, error);
  }
}

async function openLane(signal) {
  if (lane.open < STREAMS_AT_ONCE) {
    lane.open += 1;
    return;
  }
  await new Promise((resolve, reject) => {
    lane.waiting.push(resolve);
    signal.addEventListener("abort", () => {
      lane.waiting = lane.waiting.filter((other) => other !== resolve);
      reject(signal.reason);
    });
  });
}

function closeLane() {
  const next = lane.waiting.shift();
  if (next) next();
  else lane.open -= 1;
}

async function follow(card) {
  setState(card, "sending", "Sending");
  schedulePoll(0);
  const order = { ...card.order, stream: true, partial_images: 3 };
  const response = await post("v1/images/generations", order, card.abort.signal);
  card.requestId = response.headers.get("x-request-id");
  setState(card, "waiting", "In line");
  for await (const event of eventsOf(response)) {
    if (event.error) throw new ServerError(event.error.message, { code: event.error.code });
    if (event.type === "image_generation.partial_image") showLatent(card, dataUrl(event));
    if (event.type === "image_generation.completed") return showFinished(card, event);
  }
  throw new ServerError("The connection broke before the picture was ready.");
}

const dataUrl = (event) => `data:image/${event.output_format ?? "png"};base64,${event.b64_json}`;

function showLatent(card, url) {
  card.parts.latent.src = url;
  card.parts.latent.hidden = false;
}

/** Show how far a card's picture is, from its entry in the queue. */
function showProgress(card, job, place) {
  if (!isBusy(card)) return;
  card.queueId = job.id;
  const share = job.steps ? job.step / job.steps : 0;
  card.node.style.setProperty("--left", (1 - share).toFixed(3));
  card.parts.progress.value = share;
  card.parts.progress.setAttribute("aria-label", `Step ${job.step} of ${job.steps}`);
  if (job.preview) showLatent(card, job.preview);
  setState(card, job.state, jobLine(job, place));
}

async function showFinished(card, event) {
  const { parts, order } = card;
  const made = event.safelight ?? {};
  const url = dataUrl(event);
  parts.final.src = url;
  parts.final.alt = order.prompt;
  await parts.final.decode().catch(() => {});
  parts.enlarge.hidden = false;
  parts.enlarge.setAttribute("aria-label", `Enlarge: ${order.prompt}`);
  parts.download.href = url;
  parts.download.download = `safelight-${made.seed ?? order.seed}.${event.output_format ?? "png"}`;
  parts.latent.hidden = true;
  showFacts(card, made);
  setState(card, "finished");
  announce(`Picture ready: ${order.prompt}`);
}

function showFacts(card, made) {
  const facts = {
    model: made.model ?? card.order.model,
    seed: made.seed ?? card.order.seed,
    queue: seconds(made.queue_s),
    compute: seconds(made.compute_s),
    steps: made.steps,
    retries: made.retries || null,
  };
  const told = Object.entries(facts).filter(([, fact]) => fact != null);
  const rows = told.map(([term, fact]) => element("div", {}, element("dt", {}, term), element("dd", {}, String(fact))));
  card.parts.facts.replaceChildren(...rows);
}

function showTrouble(card, error) {
  setText(card.parts.trouble, error.message);
  setState(card, "failed");
  countDown(card, Math.ceil(error.retryAfterS));
}

function showCancelled(card) {
  setText(card.parts.trouble, "Cancelled");
  setState(card, "cancelled");
  countDown(card, 0);
}

/** Hold the retry button back for so many seconds, and say how many are left. */
function countDown(card, left) {
  const { retry } = card.parts;
  retry.disabled = left > 0;
  setText(retry, left > 0 ? `Retry in ${left} s` : "Retry");
  clearTimeout(card.timer);
  if (left > 0) card.timer = setTimeout(() => countDown(card, left - 1), 1000);
}

async function cancelCard(card) {
  setText(card.parts.status, "Cancelling");
  if (card.queueId) await cancelJob(card.queueId);
  else card.abort.abort();
}

function removeCard(card) {
  const next = card.node.nextElementSibling ?? card.node.previousElementSibling;
  clearTimeout(card.timer);
  cards.delete(card);
  card.node.remove();
  showTray();
  (next?.querySelector("[data-part=remove]") ?? find("prompt")).focus();
}

function reuse({ order }) {
  find("prompt").value = order.prompt;
  find("seed").value = order.seed;
  find("steps").value = order.num_inference_steps ?? "";
  find("guidance").value = order.guidance_scale ?? "";
  find("advanced").open = true;
  if (models.has(order.model)) find("model").value = order.model;
  showModel();
  for (const id of ["sampler", "size"]) if (order[id]) find(id).value = order[id];
  find("prompt").focus();
}

function curlOf(order) {
  const body = JSON.stringify(order).replaceAll("'", "'\\''");
  const address = new URL("v1/images/generations", document.baseURI);
  return `curl -s ${address} -H 'Content-Type: application/json' -d '${body}' | jq -r '.data[0].b64_json' | base64 -d > picture.png`;
}

async function copyCurl(card) {
  const { curl } = card.parts;
  await copyText(curlOf(card.order));
  curl.classList.add("done");
  announce("The curl command is in the clipboard.");
  setTimeout(() => curl.classList.remove("done"), 1500);
}

/** Copy, also where the page is served without TLS and the clipboard interface is therefore missing. */
async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = element("textarea", { value: text, className: "unseen" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

function enlarge({ parts, order }) {
  find("viewer-image").src = parts.final.src;
  find("viewer-image").alt = order.prompt;
  setText(find("viewer-caption"), order.prompt);
  find("viewer").showModal();
}

function showTray() {
  const all = [...cards];
  find("empty").hidden = all.length > 0;
  find("clear").hidden = all.every(isBusy);
}

function setUpTray() {
  find("clear").addEventListener("click", () => {
    for (const card of [...cards]) if (!isBusy(card)) removeCard(card);
    find("prompt").focus();
  });
  find("viewer").addEventListener("click", ({ target }) => target === find("viewer") && find("viewer").close());
}

// ---------------------------------------------------------------- the queue

const rows = new Map();

async function cancelJob(id) {
  await post(`v1/queue/${encodeURIComponent(id)}/cancel`).catch((error) => {
    if (error.status !== 404) showBanner(error.message); // 404: it ended meanwhile
  });
  schedulePoll(0);
}

const timeLeft = (job) => (job.expected_s == null ? "" : ` · ${seconds(job.expected_s)} left`);

function jobLine(job, place) {
  const where = job.state === "running" ? `Step ${job.step} of ${job.steps}` : `${ordinal(place)} in line`;
  return where + timeLeft(job);
}

function makeRow(job) {
  const row = stamp("queue-template");
  setText(row.parts.prompt, job.prompt);
  row.node.title = job.prompt;
  row.parts.cancel.setAttribute("aria-label", `Cancel: ${job.prompt}`);
  row.parts.cancel.title = "Cancel";
  row.parts.cancel.addEventListener("click", () => {
    row.parts.cancel.disabled = true;
    cancelJob(job.id);
  });
  return row;
}

function showRow(row, job, place, mine) {
  const { parts, node } = row;
  const where = job.state === "running" ? `${job.step}/${job.steps}` : ordinal(place);
  setText(parts.line, `${where} · ${seconds(job.age_s)} old${timeLeft(job)}`);
  parts.line.title = [job.model, job.worker].filter(Boolean).join(" on ");
  parts.progress.value = job.steps ? job.step / job.steps : 0;
  parts.progress.setAttribute("aria-label", `Step ${job.step} of ${job.steps}`);
  parts.thumb.hidden = !job.preview;
  if (job.preview && parts.thumb.src !== job.preview) parts.thumb.src = job.preview;
  node.classList.toggle("mine", mine);
}

const cardOf = (job) => [...cards].find((card) => card.requestId && job.id.startsWith(card.requestId));

function showQueue({ requests }) {
  const present = new Set(requests.map((job) => job.id));
  for (const [id, row] of rows) if (!present.has(id)) row.node.remove(), rows.delete(id);
  let place = 0;
  for (const job of requests) {
    if (job.state === "waiting") place += 1;
    if (!rows.has(job.id)) rows.set(job.id, makeRow(job));
    const card = cardOf(job);
    showRow(rows.get(job.id), job, place, Boolean(card));
    if (card) showProgress(card, job, place);
  }
  arrange(find("queue"), requests.map((job) => rows.get(job.id).node));
  find("queue-empty").hidden = requests.length > 0;
}

/** Put nodes in order, moving none that already stands right (a moved node loses its focus). */
function arrange(list, nodes) {
  nodes.forEach((node, index) => {
    if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
  });
}

function showWorkers({ workers }) {
  find("workers-empty").hidden = workers.length > 0;
  find("workers").replaceChildren(...workers.map(makeWorker));
}

function makeWorker({ name, models: served, rows: held, state }) {
  const { node, parts } = stamp("worker-template");
  node.dataset.state = state === "ready" && held > 0 ? "busy" : state;
  setText(parts.name, name);
  setText(parts.state, state === "ready" ? plural(held, "row") : state);
  setText(parts.models, served.join(", "));
  parts.pips.append(...Array.from({ length: Math.min(held, 64) }, () => element("span", { className: "pip" })));
  return node;
}

// ---------------------------------------------------------------- charts

/** The least of 1, 2 or 5 times a power of ten that is not below `value`. */
function ceilingOf(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 2, 5, 10].map((factor) => factor * power).find((most) => most >= value);
}

/** Runs of points without a gap, as `[x, y]` in plot units. */
function runsOf(key, ceiling, now) {
  const runs = [[]];
  for (const sample of history) {
    if (sample[key] == null) runs.push([]);
    else runs.at(-1).push([(1 - (now - sample.at) / WINDOW_S) * PLOT.width, (1 - sample[key] / ceiling) * (PLOT.height - 6) + 4]);
  }
  return runs.filter((run) => run.length > 1);
}

const pathOf = (run) => "M" + run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
const areaOf = (run) => `${pathOf(run)}L${run.at(-1)[0].toFixed(1)} ${PLOT.height}L${run[0][0].toFixed(1)} ${PLOT.height}Z`;

function drawStrip(id, keys, now, unit) {
  const values = history.flatMap((sample) => keys.map((key) => sample[key] ?? 0));
  const peak = Math.max(0, ...values);
  const ceiling = ceilingOf(peak);
  const shapes = [svgElement("path", { class: "rule", d: `M0 ${PLOT.height / 2}H${PLOT.width}` })];
  keys.forEach((key, index) => {
    for (const run of runsOf(key, ceiling, now)) {
      if (index === 0) shapes.push(svgElement("path", { class: "area", d: areaOf(run) }));
      shapes.push(svgElement("path", { class: `line ${key}`, d: pathOf(run) }));
    }
  });
  find(`${id}-chart`).replaceChildren(...shapes);
  setText(find(`${id}-max`), peak > 0 ? `${ceiling} ${unit}` : "");
  return peak;
}

function showCharts(snapshot) {
  const now = performance.now() / 1000;
  const { throughput_per_s: throughput, latency_p50_s: p50, latency_p95_s: p95 } = snapshot;
  history.push({ at: now, throughput, p50, p95 });
  while (history[0].at < now - WINDOW_S) history.shift();
  const most = drawStrip("throughput", ["throughput"], now, "/s");
  const slowest = drawStrip("latency", ["p50", "p95"], now, "s");
  setText(find("throughput-now"), throughput.toFixed(throughput < 10 ? 2 : 0));
  setText(find("p50-now"), seconds(p50));
  setText(find("p95-now"), seconds(p95));
  find("throughput-chart").setAttribute("aria-label", `Throughput: now ${throughput.toFixed(2)}, at most ${most.toFixed(2)} pictures per second.`);
  find("latency-chart").setAttribute("aria-label", `Latency: median ${seconds(p50)}, 95th percentile ${seconds(p95)}, at most ${seconds(slowest)}.`);
}

// ---------------------------------------------------------------- the pulse

let pollTimer = 0;
let polling = false;
let isLost = false;

function schedulePoll(delay_ms) {
  clearTimeout(pollTimer);
  pollTimer = setTimeout(poll, delay_ms);
}

async function poll() {
  if (polling) return;
  polling = true;
  try {
    const response = await call("v1/queue", { signal: AbortSignal.timeout(POLL_TIMEOUT_MS) });
    await showSnapshot(await response.json());
  } catch (error) {
    if (lane.open === 0 || error.name !== "TimeoutError") showLost(error); // else other tabs hold the connections
  } finally {
    polling = false;
  }
  schedulePoll(nextPoll());
}

function nextPoll() {
  if (isLost) return POLL_LOST_MS;
  if (document.hidden) return POLL_HIDDEN_MS;
  return rows.size > 0 || [...cards].some(isBusy) ? POLL_BUSY_MS : POLL_IDLE_MS;
}

async function showSnapshot(snapshot) {
  if (isLost) hideBanner();
  isLost = false;
  if (models.size === 0 && snapshot.workers.length > 0) await loadModels();
  const { running, waiting } = snapshot;
  document.body.classList.remove("lost");
  document.body.classList.toggle("busy", running + waiting > 0);
  showQueue(snapshot);
  showWorkers(snapshot);
  showCharts(snapshot);
  setText(find("queue-tally"), running + waiting ? `${running} developing, ${waiting} waiting` : "");
  showPulse(...pulseOf(snapshot));
}

function pulseOf({ running, workers }) {
  if (workers.length === 0) return ["connecting", "Workers are starting"];
  return running > 0 ? ["busy", `Developing ${plural(running, "picture")}`] : ["ready", "Ready"];
}

function showPulse(state, text) {
  find("pulse").dataset.state = state;
  setText(find("pulse-text"), text);
}

function showLost(error) {
  isLost = true;
  document.body.classList.remove("busy");
  document.body.classList.add("lost");
  showPulse("lost", "Connection lost");
  const unreachable = !error.status;
  showBanner(unreachable ? "The connection to the server is lost. Trying again every two seconds." : error.message);
}

function showBanner(text) {
  find("banner").hidden = false;
  setText(find("banner"), text);
}

function hideBanner() {
  find("banner").hidden = true;
}

setUpForm();
setUpTray();
document.addEventListener("visibilitychange", () => document.hidden || schedulePoll(0));
poll();
