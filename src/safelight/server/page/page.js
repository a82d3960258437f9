// Safelight's built-in page: no framework, no build step. This module only joins the others.

import { refreshAdapters } from "./adapters.js";
import { showCharts } from "./charts.js";
import { hasModels, setUpForm, showAdapters, showModels } from "./form.js";
import { setUpTray } from "./prints.js";
import { startPulse } from "./pulse.js";
import { showLevels, showQueue, showWorkers } from "./queue.js";
import { call } from "./server.js";
import { setUpZones } from "./zone.js";

setUpForm();
setUpTray();
setUpZones();
startPulse(async (snapshot) => {
  showQueue(snapshot);
  showWorkers(snapshot);
  showLevels(snapshot);
  showCharts(snapshot);
  if (!hasModels()) showModels((await (await call("v1/models")).json()).data);
  if (await refreshAdapters()) showAdapters();
});
