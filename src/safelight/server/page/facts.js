// What is told under a finished print: where it came from, and with what it was made.

import { amount, seconds } from "./words.js";

/** Terms and facts, of an order and what the server says it made of it. */
export function factsOf(order, made) {
  const facts = {
    model: made.model ?? order.model,
    route: made.quality?.cascade ? routeOf(made.quality) : null,
    promise: promiseOf(made.quality ?? {}),
    seed: made.seed ?? order.seed,
    queue: seconds(made.queue_s),
    compute: seconds(made.compute_s),
    steps: made.steps_run < made.steps ? `${made.steps_run} of ${made.steps}` : made.steps,
    retries: made.retries || null,
    pauses: made.pauses || null,
    late: made.met_deadline === false ? `by ${seconds(Math.max(...made.images.map((image) => image.late_s ?? 0)))}` : null,
    strength: order.image ? amount(order.strength) + (order.mask ? " in a mask" : "") : null,
    controls: listed(made.controls),
    loras: listed(made.loras),
  };
  return Object.entries(facts).filter(([, fact]) => fact != null);
}

/** Which models painted it, and what the gate or the router said. */
function routeOf({ levels, reason, gate_score: score, threshold, hardness, kept_for_deadline: isKept }) {
  const [first, ...others] = levels;
  const scored = score == null ? "" : ` (score ${amount(score)}, needs ${amount(threshold)})`;
  const judged = reason === "prompt" && hardness != null ? ` (hard prompt: ${amount(hardness)})` : "";
  const why = { unfit: " (no gate for this)", load: " (under load)", random: " (drawn)" }[reason] ?? "";
  return [`${first}${scored}${judged}${why}`, ...others].join(" → ") + (isKept ? ", kept for its deadline" : "");
}

const promiseOf = ({ promise, kept_promise: isKept }) =>
  promise == null ? null : `${amount(promise)}, ${isKept ? "kept" : "broken"}`;

const listed = (uses) => uses?.map(({ name, scale }) => `${name} ${amount(scale)}`).join(", ") || null;
