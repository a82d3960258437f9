// Which adapters there are: asked for now and then, since they come and go while the server runs.

import { call } from "./server.js";

const REFRESH_MS = 5000;

let adapters = [];
let due = 0;

/** Ask again when it is time to; whether that was so. */
export async function refreshAdapters() {
  if (performance.now() < due) return false;
  due = performance.now() + REFRESH_MS;
  adapters = (await (await call("v1/adapters")).json()).data;
  return true;
}

/** The names of the adapters of a kind, "lora" or "controlnet", that were made for a model. */
export const adaptersFor = (model, kind) =>
  adapters.filter((adapter) => adapter.kind === kind && adapter.model === model).map(({ id }) => id);
