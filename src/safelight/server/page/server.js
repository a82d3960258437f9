// How the page speaks to the server.

const PICTURE_IDS_HEADER = "x-safelight-picture-ids";

export class ServerError extends Error {
  constructor(message, { status = 0, retryAfterS = 0, code = null } = {}) {
    super(message);
    Object.assign(this, { status, retryAfterS, code });
  }
}

/** Fetch; throws a ServerError for what went wrong, or the reason of a signal that aborted. */
export async function call(path, options = {}) {
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

/** The route that makes an order: from another picture, or from the prompt alone. */
export const routeOf = (order) => (order.image ? "v1/images/edits" : "v1/images/generations");

/** Start a picture: the answer that streams it, and its id in the queue. */
export async function startPicture(order, signal) {
  const response = await post(routeOf(order), { ...order, stream: true, partial_images: 3 }, signal);
  return { pictureId: response.headers.get(PICTURE_IDS_HEADER), response };
}

/** Stop a picture; one that has ended meanwhile is no error. */
export async function cancelPicture(pictureId) {
  await post(`v1/queue/${encodeURIComponent(pictureId)}/cancel`).catch((error) => {
    if (error.status !== 404) throw error;
  });
}

/** The events of a text/event-stream answer, parsed; throws what an event tells as error, or that the stream broke. */
export async function* eventsOf(response, signal) {
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
