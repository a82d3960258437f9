// The prints in the tray: one card for each picture, from the order to the end.

import { announce, element, find, setText, stamp } from "./markup.js";
import { factsOf } from "./facts.js";
import { jobLine } from "./words.js";
import { copyText, curlOf, enlarge, filesOf } from "./handouts.js";
import { letDrag } from "./zone.js";

const BUSY = ["sending", "waiting", "running"];
const COPIED_MS = 1500;

export const cards = new Set();
export const isBusy = (card) => BUSY.includes(card.node.dataset.state);

/** A new card in the tray; `hands` say what its buttons do: `cancel`, `retry`, `reuse` and `start`. */
export function makeCard(order, hands) {
  const card = { ...stamp("print-template"), order, pictureId: null, abort: null, timer: 0 };
  const { parts } = card;
  setText(parts.asked, order.prompt);
  parts.asked.title = order.prompt;
  parts.frame.style.aspectRatio = (order.size ?? "1x1").replace("x", " / ");
  for (const [name, hand] of Object.entries(hands)) parts[name].addEventListener("click", () => hand(card));
  parts.curl.addEventListener("click", () => copyCurl(card));
  parts.remove.addEventListener("click", () => removeCard(card));
  parts.enlarge.addEventListener("click", () => enlarge(parts.final.src, order.prompt));
  letDrag(parts.enlarge, () => parts.final.src);
  cards.add(card);
  return card;
}

export function setState(card, state, status = "") {
  card.node.dataset.state = state;
  card.node.setAttribute("aria-busy", String(isBusy(card)));
  setText(card.parts.status, status);
  showTray();
}

/** Wipe a card for a new try. */
export function wipe(card) {
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

export function showLatent({ parts }, url) {
  if (parts.latent.src !== url) parts.latent.src = url;
  parts.latent.hidden = false;
}

/** Show how far a card's picture is, from its entry in the queue. */
export function showProgress(card, job, place) {
  if (!isBusy(card)) return;
  showShare(card, job.steps ? job.step / job.steps : 0, `Step ${job.step} of ${job.steps}`);
  if (job.preview) showLatent(card, job.preview);
  setState(card, job.state, jobLine(job, place));
}

/** Show the picture; `made` says where it came from. */
export async function showFinished(card, url, made) {
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
  const pairOf = ([term, fact]) => element("div", {}, element("dt", {}, term), element("dd", {}, String(fact)));
  parts.facts.replaceChildren(...factsOf(order, made).map(pairOf));
}

export function showTrouble(card, { message, retryAfterS = 0 }) {
  setText(card.parts.trouble, message);
  setState(card, "failed");
  countDown(card, Math.ceil(retryAfterS));
}

export function showCancelled(card) {
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

/** Copy the command, and say which pictures have to be in files for it. */
async function copyCurl({ parts: { curl, status }, order }) {
  await copyText(curlOf(order));
  const files = filesOf(order).map(({ file }) => file);
  if (files.length > 0) setText(status, `Copied. It reads ${files.join(", ")} in the current folder.`);
  curl.classList.add("done");
  announce(["The curl command is in the clipboard.", files.length > 0 ? status.textContent : ""].join(" "));
  setTimeout(() => curl.classList.remove("done"), COPIED_MS);
}

/** Put new cards before all others. */
export function lay(fresh) {
  find("prints").prepend(...fresh.map((card) => card.node));
  showTray();
}

function showTray() {
  find("empty").hidden = cards.size > 0;
  find("clear").hidden = [...cards].every(isBusy);
}

export function setUpTray() {
  find("clear").addEventListener("click", () => {
    for (const card of [...cards]) if (!isBusy(card)) removeCard(card);
    find("prompt").focus();
  });
  find("viewer").addEventListener("click", ({ target }) => target === find("viewer") && find("viewer").close());
}
