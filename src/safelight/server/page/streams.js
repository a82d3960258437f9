// Browsers open six connections to one host; the queue and cancelling need two of them.

const STREAMS_AT_ONCE = 4;

let open = 0;
let waiting = [];

export const hasOpenStreams = () => open > 0;

/** Wait for one of the connections that streams may use; rejects when `signal` aborts first. */
export async function openStream(signal) {
  if (open < STREAMS_AT_ONCE) {
    open += 1;
    return;
  }
  await new Promise((resolve, reject) => {
    waiting.push(resolve);
    signal.addEventListener("abort", () => {
      waiting = waiting.filter((other) => other !== resolve);
      reject(signal.reason);
    });
  });
}

/** Give the connection to whoever waited longest. */
export function closeStream() {
  const next = waiting.shift();
  if (next) next();
  else open -= 1;
}
