// Safelight's built-in page: no framework, no build step.
// Whatever comes from people or from the server enters the document as text.

// ---- numbers and chance, as people read them

const pick = (list) => list[Math.floor(Math.random() * list.length)];
const rollSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];
const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

function seconds(value) {
  if (value == null || !Number.isFinite(value)) return "–";
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  return value < 59.95 ? `${value.toFixed(1)} s` : `${Math.floor(value / 60)} min ${Math.floor(value % 60)} s`;
}

function ordinal(number) {
  const endings = { one: "st", two: "nd", few: "rd", other: "th" };
  return number + endings[new Intl.PluralRules("en", { type: "ordinal" }).select(number)];
}

const timeLeft = (job) => (job.expected_s == null ? "" : ` · ${seconds(job.expected_s)} left`);

/** How far an entry of the queue is; `place` is its place among those that wait. */
function jobLine(job, place) {
  const where = job.state === "running" ? `Step ${job.step} of ${job.steps}` : `${ordinal(place)} in line`;
  return where + timeLeft(job);
}

// ---- the document

const find = (id) => document.getElementById(id);

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

function announce(text) {
  find("news").textContent = text;
}

function icon(name) {
  const drawing = svgElement("svg", { "aria-hidden": "true" });
  drawing.append(svgElement("use", { href: `#i-${name}` }));
  return drawing;
}

// ---- what the form said last time; the page does without where storage is switched off

const FORM_KEY = "safelight.form";

function remember(form) {
  try {
    localStorage.setItem(FORM_KEY, JSON.stringify(Object.fromEntries(new FormData(form))));
  } catch {
    return;
  }
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(FORM_KEY)) ?? {};
  } catch {
    return {};
  }
}

// ---- how the page speaks to the server

const PICTURE_IDS_HEADER = "x-safelight-picture-ids";

class ServerError extends Error {
  constructor(message, { status = 0, retryAfterS = 0, code = null } = {}) {
    super(message);
    Object.assign(this, { status, retryAfterS, code });
  }
}

/** Fetch; throws a ServerError for what went wrong, or the reason of a signal that aborted. */
async function call(path, options = {}) {
  const response = await fetch(path, options).catch(() => {
    options.signal?.throwIfAborted();
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

/** Start a picture: the answer that streams it, and its id in the queue. */
async function startPicture(order, signal) {
  const response = await post("v1/images/generations", { ...order, stream: true, partial_images: 3 }, signal);
  return { pictureId: response.headers.get(PICTURE_IDS_HEADER), response };
}

/** Stop a picture; one that has ended meanwhile is no error. */
async function cancelPicture(pictureId) {
  await post(`v1/queue/${encodeURIComponent(pictureId)}/cancel`).catch((error) => {
    if (error.status !== 404) throw error;
  });
}

/** The events of a text/event-stream answer, parsed; throws what an event tells as error, or that the stream broke. */
async function* eventsOf(response, signal) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read().catch(() => {
      signal.throwIfAborted();
      return { done: true };
    });
    if (done) throw new ServerError("The connection broke before the picture was ready.");
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const event of blocks.map(parseEvent).filter(Boolean)) {
      if (event.error) throw new ServerError(event.error.message, { code: event.error.code });
      yield event;
    }
  }
}

function parseEvent(block) {
  const lines = block.split(/\r?\n/).filter((line) => line.startsWith("data:"));
  const data = lines.map((line) => line.slice(5).trimStart()).join("\n");
  return data && data !== "[DONE]" ? JSON.parse(data) : null;
}

// ---- connections: browsers open six to one host, and the queue and cancelling need two

const STREAMS_AT_ONCE = 4;

let openStreams = 0;
let waitingStreams = [];

const hasOpenStreams = () => openStreams > 0;

/** Wait for one of the connections that streams may use; rejects when `signal` aborts first. */
async function openLane(signal) {
  if (openStreams < STREAMS_AT_ONCE) {
    openStreams += 1;
    return;
  }
  await new Promise((resolve, reject) => {
    waitingStreams.push(resolve);
    signal.addEventListener("abort", () => {
      waitingStreams = waitingStreams.filter((other) => other !== resolve);
      reject(signal.reason);
    });
  });
}

/** Give the connection to whoever waited longest. */
function closeLane() {
  const next = waitingStreams.shift();
  if (next) next();
  else openStreams -= 1;
}

// ---- the pulse: it asks for the queue again and again, and says when nobody answers

const POLL_BUSY_MS = 200;
const POLL_IDLE_MS = 1000;
const POLL_HIDDEN_MS = 5000;
const POLL_LOST_MS = 2000;
const POLL_TIMEOUT_MS = 8000;

let pollTimer = 0;
let isPolling = false;
let isLost = false;
let isServerBusy = false;
let showSnapshot = async () => {};

/** Poll from now on; `show` is given each answer of the queue route. */
function startPulse(show) {
  showSnapshot = show;
  document.addEventListener("visibilitychange", () => document.hidden || schedulePoll(0));
  poll();
}

function schedulePoll(delay_ms) {
  clearTimeout(pollTimer);
  pollTimer = setTimeout(poll, delay_ms);
}

async function poll() {
  if (isPolling) return;
  isPolling = true;
  try {
    const response = await call("v1/queue", { signal: AbortSignal.timeout(POLL_TIMEOUT_MS) });
    await beat(await response.json());
  } catch (error) {
    // A browser that spends all its connections on streams is slow to ask, not cut off.
    if (error.name !== "TimeoutError" || !hasOpenStreams()) lose(error);
  } finally {
    isPolling = false;
  }
  schedulePoll(nextPoll_ms());
}

function nextPoll_ms() {
  if (isLost) return POLL_LOST_MS;
  if (document.hidden) return POLL_HIDDEN_MS;
  return isServerBusy || hasOpenStreams() ? POLL_BUSY_MS : POLL_IDLE_MS;
}

async function beat(snapshot) {
  if (isLost) find("banner").hidden = true;
  isLost = false;
  isServerBusy = snapshot.running + snapshot.waiting > 0;
  showLamp(...stateOf(snapshot));
  await showSnapshot(snapshot);
}

function stateOf({ running, waiting, workers }) {
  if (!workers.some((worker) => worker.state === "ready")) return ["starting", "Loading models"];
  if (!isServerBusy) return ["ready", "Ready"];
  return ["busy", waiting > 0 ? `${running} developing, ${waiting} waiting` : `${running} developing`];
}

function lose(error) {
  isLost = true;
  isServerBusy = false;
  showLamp("lost", "Connection lost");
  const isAnswered = error.status > 0;
  showBanner(isAnswered ? error.message : "The connection to the server is lost. Trying again every two seconds.");
}

function showLamp(state, text) {
  find("pulse").dataset.state = state;
  setText(find("pulse-text"), text);
  document.body.classList.toggle("busy", state === "busy");
  document.body.classList.toggle("lost", state === "lost");
}

function showBanner(text) {
  find("banner").hidden = false;
  setText(find("banner"), text);
}

// ---- what a finished print can be taken away as: a larger view, or a command

function enlarge(url, prompt) {
  find("viewer-image").src = url;
  find("viewer-image").alt = prompt;
  setText(find("viewer-caption"), prompt);
  find("viewer").showModal();
}

/** A shell command that paints the same picture. */
function curlOf(order) {
  const body = JSON.stringify(order).replaceAll("'", "'\\''");
  const address = new URL("v1/images/generations", document.baseURI);
  const decode = "jq -r '.data[0].b64_json' | base64 -d > picture.png";
  return `curl -s ${address} -H 'Content-Type: application/json' -d '${body}' | ${decode}`;
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

// ---- the prints in the tray: one card for each picture, from the order to the end

const BUSY = ["sending", "waiting", "running"];
const COPIED_MS = 1500;

const cards = new Set();
const isBusy = (card) => BUSY.includes(card.node.dataset.state);

/** A new card in the tray; `hands` say what its buttons do: `cancel`, `retry` and `reuse`. */
function makeCard(order, hands) {
  const card = { ...stamp("print-template"), order, pictureId: null, abort: null, timer: 0 };
  const { parts } = card;
  setText(parts.asked, order.prompt);
  parts.asked.title = order.prompt;
  parts.frame.style.aspectRatio = (order.size ?? "1x1").replace("x", " / ");
  for (const [name, hand] of Object.entries(hands)) parts[name].addEventListener("click", () => hand(card));
  parts.curl.addEventListener("click", () => copyCurl(card));
  parts.remove.addEventListener("click", () => removeCard(card));
  parts.enlarge.addEventListener("click", () => enlarge(parts.final.src, order.prompt));
  cards.add(card);
  return card;
}

function setState(card, state, status = "") {
  card.node.dataset.state = state;
  card.node.setAttribute("aria-busy", String(isBusy(card)));
  setText(card.parts.status, status);
  showTray();
}

/** Wipe a card for a new try. */
function wipe(card) {
  clearTimeout(card.timer);
  Object.assign(card, { pictureId: null, abort: new AbortController() });
  card.parts.latent.hidden = true;
  card.parts.trouble.textContent = "";
  showShare(card, 0, "Not started");
}

function showShare({ node, parts }, share, label) {
  node.style.setProperty("--left", (1 - share).toFixed(3));
  parts.progress.value = share;
  parts.progress.setAttribute("aria-label", label);
}

function showLatent({ parts }, url) {
  if (parts.latent.src !== url) parts.latent.src = url;
  parts.latent.hidden = false;
}

/** Show how far a card's picture is, from its entry in the queue. */
function showProgress(card, job, place) {
  if (!isBusy(card)) return;
  showShare(card, job.steps ? job.step / job.steps : 0, `Step ${job.step} of ${job.steps}`);
  if (job.preview) showLatent(card, job.preview);
  setState(card, job.state, jobLine(job, place));
}

/** Show the picture; `made` says where it came from. */
async function showFinished(card, url, made) {
  const { parts, order } = card;
  parts.final.src = url;
  parts.final.alt = order.prompt;
  await parts.final.decode().catch(() => {});
  parts.enlarge.hidden = false;
  parts.enlarge.setAttribute("aria-label", `Enlarge: ${order.prompt}`);
  parts.download.href = url;
  parts.download.download = `safelight-${made.seed ?? order.seed}.png`;
  parts.latent.hidden = true;
  showFacts(card, made);
  setState(card, "finished");
  announce(`Picture ready: ${order.prompt}`);
}

function showFacts({ parts, order }, made) {
  const facts = {
    model: made.model ?? order.model,
    seed: made.seed ?? order.seed,
    queue: seconds(made.queue_s),
    compute: seconds(made.compute_s),
    steps: made.steps,
    retries: made.retries || null,
  };
  const told = Object.entries(facts).filter(([, fact]) => fact != null);
  const pairs = told.map(([term, fact]) => element("div", {}, element("dt", {}, term), element("dd", {}, String(fact))));
  parts.facts.replaceChildren(...pairs);
}

function showTrouble(card, { message, retryAfterS = 0 }) {
  setText(card.parts.trouble, message);
  setState(card, "failed");
  countDown(card, Math.ceil(retryAfterS));
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

function removeCard(card) {
  const next = card.node.nextElementSibling ?? card.node.previousElementSibling;
  clearTimeout(card.timer);
  cards.delete(card);
  card.node.remove();
  showTray();
  const buttons = [...(next?.querySelectorAll("button") ?? [])];
  (buttons.findLast((button) => button.checkVisibility()) ?? find("prompt")).focus();
}

async function copyCurl({ parts: { curl }, order }) {
  await copyText(curlOf(order));
  curl.classList.add("done");
  announce("The curl command is in the clipboard.");
  setTimeout(() => curl.classList.remove("done"), COPIED_MS);
}

/** Put new cards before all others. */
function lay(fresh) {
  find("prints").prepend(...fresh.map((card) => card.node));
  showTray();
}

function showTray() {
  find("empty").hidden = cards.size > 0;
  find("clear").hidden = [...cards].every(isBusy);
}

function setUpTray() {
  find("clear").addEventListener("click", () => {
    for (const card of [...cards]) if (!isBusy(card)) removeCard(card);
    find("prompt").focus();
  });
  find("viewer").addEventListener("click", ({ target }) => target === find("viewer") && find("viewer").close());
}

// ---- from an order to a picture: one stream for each card

/** Make the picture of a card: wait for a free connection, then follow its stream to the end. */
async function develop(card) {
  wipe(card);
  setState(card, "sending", "Waiting for a free connection");
  try {
    await openLane(card.abort.signal);
    await follow(card).finally(closeLane);
  } catch (error) {
    if (error.name === "AbortError" || error.code === "cancelled") showCancelled(card);
    else showTrouble(card, error);
  }
}

async function follow(card) {
  setState(card, "sending", "Sending");
  const { pictureId, response } = await startPicture(card.order, card.abort.signal);
  card.pictureId = pictureId;
  setState(card, "waiting", "In line");
  schedulePoll(0);
  for await (const event of eventsOf(response, card.abort.signal)) {
    if (event.type === "image_generation.partial_image") showLatent(card, pngOf(event));
    if (event.type === "image_generation.completed") return showFinished(card, pngOf(event), event.safelight);
  }
}

const pngOf = (event) => `data:image/png;base64,${event.b64_json}`;

/** Stop a card's picture; the stream then ends, and says so. */
async function cancelCard(card) {
  setState(card, card.node.dataset.state, "Cancelling");
  if (!card.pictureId) return card.abort.abort();
  await cancelPicture(card.pictureId).catch(() => card.abort.abort());
  schedulePoll(0);
}

// ---- the form: what to paint, and how

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
const hasModels = () => models.size > 0;

/** Offer these models, as `GET /v1/models` lists them. */
function showModels(list) {
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
  fillSelect("size", sizesOf(spec), (size) => size.replace("x", " × "), spec.size);
}

/** Fill in the options and keep the choice where it still stands; else take the one of last time, else `usual`. */
function fillSelect(id, values, label, usual) {
  const select = find(id);
  const wishes = [select.value, remembered()[id], usual];
  select.replaceChildren(...values.map((value) => new Option(label(value), value)));
  select.value = wishes.find((wish) => values.includes(wish));
}

/** The model's own size first, then a few others that it can paint, as "WIDTHxHEIGHT". */
function sizesOf({ size, size_multiple: multiple, max_side: most }) {
  const fit = (side) => Math.min(most, Math.round(side / multiple) * multiple);
  const [width, height] = size.split("x").map(Number);
  const [wide, tall] = [fit(width * 1.5), fit(height * 1.5)];
  const sizes = [[width, height], [wide, height], [width, tall], [wide, tall], [fit(width * 2), fit(height * 2)]];
  return [...new Set(sizes.map((sides) => sides.join("x")))];
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
  event.preventDefault();
  const first = whole("seed", 0, MOST_SEED) ?? rollSeed();
  const count = whole("count", 1, MOST_PICTURES) ?? 1;
  remember(find("compose"));
  const hands = { cancel: cancelCard, retry: develop, reuse };
  const fresh = Array.from({ length: count }, (_, index) => makeCard(orderOf(first + index), hands));
  lay(fresh);
  for (const card of fresh) develop(card);
  if (matchMedia(NARROW).matches) find("tray-title").scrollIntoView({ block: "start" });
}

/** Fill in the form with what a card was made from. */
function reuse({ order }) {
  if (models.has(order.model)) find("model").value = order.model;
  showAbilities();
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

function setUpForm() {
  restore();
  const chips = Object.entries(EXAMPLES).map(([label, prompt]) => makeChip(() => prompt, label));
  find("chips").append(...chips, makeChip(surprise, icon("dice"), "Surprise me"));
  find("compose").addEventListener("submit", submit);
  find("model").addEventListener("change", showAbilities);
  find("dice").addEventListener("click", () => (find("seed").value = rollSeed()));
  find("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  });
}

// ---- the queue as the server tells it, and the workers

const MOST_PIPS = 64;
const rows = new Map();

function showQueue({ requests }) {
  dropRowsBut(new Set(requests.map((job) => job.id)));
  let place = 0;
  for (const job of requests) {
    if (job.state === "waiting") place += 1;
    if (!rows.has(job.id)) rows.set(job.id, makeRow(job));
    const card = cardOf(job);
    showRow(rows.get(job.id), job, place, card);
    if (card) showProgress(card, job, place);
  }
  arrange(find("queue"), requests.map((job) => rows.get(job.id).node));
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
  parts.line.title = [job.model, job.worker].filter(Boolean).join(" on ");
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

function showWorkers({ workers }) {
  find("workers-empty").hidden = workers.length > 0;
  find("workers").replaceChildren(...workers.map(makeWorker));
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

// ---- strip charts of the last two minutes

const WINDOW_S = 120;
const PLOT = { width: 240, height: 56 };
const EDGE = 3;
const history = [];

/** The least of 1, 2 or 5 times a power of ten that is not below `value`. */
function ceilingOf(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 2, 5, 10].map((factor) => Number((factor * power).toPrecision(1))).find((most) => most >= value);
}

/** Runs of points without a gap, as `[x, y]` in plot units. */
function runsOf(key, ceiling, now) {
  const runs = [[]];
  for (const { at, [key]: value } of history) {
    const x = (1 - (now - at) / WINDOW_S) * PLOT.width;
    if (value == null) runs.push([]);
    else runs.at(-1).push([x, (1 - value / ceiling) * (PLOT.height - 2 * EDGE) + EDGE]);
  }
  return runs.filter((run) => run.length > 1);
}

const pathOf = (run) => "M" + run.map((point) => point.map((value) => value.toFixed(1)).join(" ")).join("L");
const areaOf = (run) => `${pathOf(run)}V${PLOT.height}H${run[0][0].toFixed(1)}Z`;

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

function showCharts({ throughput_per_s: throughput, latency_p50_s: p50, latency_p95_s: p95 }) {
  const now = performance.now() / 1000;
  history.push({ at: now, throughput, p50, p95 });
  while (history[0].at < now - WINDOW_S) history.shift();
  const most = drawStrip("throughput", ["throughput"], now, "/s");
  const slowest = drawStrip("latency", ["p50", "p95"], now, "s");
  setText(find("throughput-now"), throughput.toFixed(throughput < 10 ? 2 : 0));
  setText(find("p50-now"), seconds(p50));
  setText(find("p95-now"), seconds(p95));
  describe("throughput-chart", `Throughput: now ${throughput.toFixed(2)}, at most ${most.toFixed(2)} pictures per second.`);
  describe("latency-chart", `Latency: median ${seconds(p50)}, 95th percentile ${seconds(p95)}, at most ${seconds(slowest)}.`);
}

const describe = (id, text) => find(id).setAttribute("aria-label", text);

// ---- start

setUpForm();
setUpTray();
startPulse(async (snapshot) => {
  showQueue(snapshot);
  showWorkers(snapshot);
  showCharts(snapshot);
  if (!hasModels()) showModels((await (await call("v1/models")).json()).data);
});
