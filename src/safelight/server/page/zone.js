// Places that take one picture: dropped there, chosen from the files, pasted, or a print from the tray.

import { element, setText } from "./markup.js";
import { readPicture } from "./pictures.js";

const PRINT = "application/x-safelight-print";

const zones = new Set();
const readings = new Set();

/** Resolves when no picture is being read any more. */
export const picturesRead = () => Promise.allSettled([...readings]);

/** Make `area` take pictures, `choose` a button for files and `trouble` where to say what is wrong; each goes to `take`. */
export function makeZone({ area, choose, trouble }, take) {
  const zone = { area, choose, trouble, take, turn: 0 };
  for (const type of ["dragenter", "dragover"]) area.addEventListener(type, (event) => hover(zone, event));
  area.addEventListener("dragleave", ({ relatedTarget }) => area.classList.toggle("over", area.contains(relatedTarget)));
  area.addEventListener("drop", (event) => drop(zone, event));
  const input = element("input", { type: "file", accept: "image/*" });
  input.addEventListener("change", () => takeFile(zone, input));
  choose.addEventListener("click", () => input.click());
  zones.add(zone);
  return zone;
}

/** No longer offer a zone that has left the page. */
export const dropZone = (zone) => zones.delete(zone);

/** Read a file or a data URL into a zone, unless another one comes meanwhile; what is wrong is said in place. */
export function receive(zone, source) {
  const reading = read(zone, source).finally(() => readings.delete(reading));
  readings.add(reading);
  return reading;
}

async function read(zone, source) {
  const turn = ++zone.turn;
  say(zone, "");
  zone.area.setAttribute("aria-busy", "true");
  try {
    const picture = await readPicture(source);
    if (turn === zone.turn) await zone.take(picture);
  } catch (error) {
    if (turn === zone.turn) say(zone, error.message);
  } finally {
    if (turn === zone.turn) zone.area.removeAttribute("aria-busy");
  }
}

/** Forget what is being read. */
export function interrupt(zone) {
  zone.turn += 1;
  zone.area.removeAttribute("aria-busy");
  say(zone, "");
}

function say({ trouble }, text) {
  setText(trouble, text);
  trouble.hidden = text === "";
}

const carriesPicture = ({ types }) => types.includes("Files") || types.includes(PRINT);
const pictureIn = (transfer) => transfer.getData(PRINT) || transfer.files[0];

function hover({ area }, event) {
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
  area.classList.add("over");
}

function drop(zone, event) {
  event.preventDefault();
  zone.area.classList.remove("over");
  const source = pictureIn(event.dataTransfer);
  if (source) receive(zone, source);
  else say(zone, "There was no picture in that. Drop a PNG, JPEG or WebP file.");
}

/** Take the file that was chosen, so that the same one can be chosen again. */
function takeFile(zone, input) {
  const [file] = input.files;
  input.value = "";
  if (file) receive(zone, file);
}

/** A pasted picture goes where the focus is, else into the first zone that can be seen. */
function paste(event) {
  const source = event.clipboardData?.files[0];
  if (!source) return;
  const seen = [...zones].filter(({ choose, area }) => choose.checkVisibility() || area.checkVisibility());
  const zone = seen.find(({ area }) => area.contains(document.activeElement)) ?? seen[0];
  if (!zone) return;
  event.preventDefault();
  receive(zone, source);
}

/** Let a print be dragged, as the picture it shows. */
export function letDrag(node, url) {
  node.draggable = true;
  node.addEventListener("dragstart", ({ dataTransfer }) => {
    dataTransfer.setData(PRINT, url());
    dataTransfer.effectAllowed = "copy";
  });
}

/** Paste, open sections that a picture is dragged over, and keep one dropped beside a zone from replacing the page. */
export function setUpZones() {
  document.addEventListener("paste", paste);
  document.addEventListener("dragenter", ({ target, dataTransfer }) => {
    const section = target instanceof Element && carriesPicture(dataTransfer) && target.closest("details.pictured");
    if (section) section.open = true;
  });
  for (const type of ["dragover", "drop"]) {
    document.addEventListener(type, (event) => {
      if (event.defaultPrevented || !carriesPicture(event.dataTransfer)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "none";
    });
  }
}
