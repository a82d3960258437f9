// The pulse of the page: it asks for the queue again and again, and says when nobody answers.

import { hasOpenStreams } from "./streams.js";
import { find, setText } from "./markup.js";
import { call } from "./server.js";

const BUSY_MS = 200;
const IDLE_MS = 1000;
const HIDDEN_MS = 5000;
const LOST_MS = 2000;
const TIMEOUT_MS = 8000;

let timer = 0;
let isPolling = false;
let isLost = false;
let isBusy = false;
let show = async () => {};

/** Poll from now on; `showSnapshot` is given each answer of the queue route. */
export function startPulse(showSnapshot) {
  show = showSnapshot;
  document.addEventListener("visibilitychange", () => document.hidden || schedulePoll(0));
  poll();
}

export function schedulePoll(delay_ms) {
  clearTimeout(timer);
  timer = setTimeout(poll, delay_ms);
}

async function poll() {
  if (isPolling) return;
  isPolling = true;
  try {
    const response = await call("v1/queue", { signal: AbortSignal.timeout(TIMEOUT_MS) });
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
  if (isLost) return LOST_MS;
  if (document.hidden) return HIDDEN_MS;
  return isBusy || hasOpenStreams() ? BUSY_MS : IDLE_MS;
}

async function beat(snapshot) {
  if (isLost) find("banner").hidden = true;
  isLost = false;
  isBusy = snapshot.running + snapshot.waiting > 0;
  showLamp(...stateOf(snapshot));
  await show(snapshot);
}

function stateOf({ running, waiting, workers }) {
  if (!workers.some((worker) => worker.state === "ready")) return ["starting", "Loading models"];
  if (!isBusy) return ["ready", "Ready"];
  return ["busy", waiting > 0 ? `${running} developing, ${waiting} waiting` : `${running} developing`];
}

function lose(error) {
  isLost = true;
  isBusy = false;
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

export function showBanner(text) {
  find("banner").hidden = false;
  setText(find("banner"), text);
}
