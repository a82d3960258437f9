// Safelight's built-in page: no framework, no build step. This module only joins the others.

import { showCharts } from "./charts.js";
import { hasModels, setUpForm, showModels } from "./form.js";
import { refreshLoras } from "./loras.js";
import { find } from "./markup.js";
import { setUpTray } from "./prints.js";
import { startPulse } from "./pulse.js";
import { showQueue, showWorkers } from "./queue.js";
import { call } from "./server.js";

setUpForm();
setUpTray();
startPulse(async (snapshot) => {
  showQueue(snapshot);
  showWorkers(snapshot);
  showCharts(snapshot);
  if (!hasModels()) showModels((await (await call("v1/models")).json()).data);
  await refreshLoras(find("model").value);
});
