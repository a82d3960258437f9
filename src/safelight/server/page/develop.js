// From an order to a picture: one stream for each card.

import { closeStream, openStream } from "./streams.js";
import { setState, showCancelled, showFinished, showLatent, showTrouble, wipe } from "./prints.js";
import { schedulePoll } from "./pulse.js";
import { cancelPicture, eventsOf, startPicture } from "./server.js";

/** Make the picture of a card: wait for a free connection, then follow its stream to the end. */
export async function develop(card) {
  wipe(card);
  setState(card, "sending", "Waiting for a free connection");
  try {
    await openStream(card.abort.signal);
    await follow(card).finally(closeStream);
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
    if (event.type.endsWith(".partial_image")) showLatent(card, pngOf(event));
    if (event.type.endsWith(".completed")) return showFinished(card, pngOf(event), event.safelight);
  }
}

const pngOf = (event) => `data:image/png;base64,${event.b64_json}`;

/** Stop a card's picture; the stream then ends, and says so. */
export async function cancelCard(card) {
  setState(card, card.node.dataset.state, "Cancelling");
  if (!card.pictureId) return card.abort.abort();
  await cancelPicture(card.pictureId).catch(() => card.abort.abort());
  schedulePoll(0);
}
