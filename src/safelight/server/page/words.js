// Numbers and chance, as people read them.

export const pick = (list) => list[Math.floor(Math.random() * list.length)];
export const rollSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];
export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** A strength of at most two decimals, such as "1.0" or "−0.25". */
export const amount = (value) => value.toFixed(2).replace(/0$/, "").replace("-", "−");

export function seconds(value) {
  if (value == null || !Number.isFinite(value)) return "–";
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  return value < 59.95 ? `${value.toFixed(1)} s` : `${Math.floor(value / 60)} min ${Math.floor(value % 60)} s`;
}

export function ordinal(number) {
  const endings = { one: "st", two: "nd", few: "rd", other: "th" };
  return number + endings[new Intl.PluralRules("en", { type: "ordinal" }).select(number)];
}

export const timeLeft = (job) => (job.expected_s == null ? "" : ` · ${seconds(job.expected_s)} left`);

/** How far an entry of the queue is; `place` is its place among those that wait. */
export function jobLine(job, place) {
  const where = job.state === "running" ? `Step ${job.step} of ${job.steps}` : `${ordinal(place)} in line`;
  return where + timeLeft(job);
}
