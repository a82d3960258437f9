// Places that take one picture: dropped there, chosen from the files, pasted, or a print from the tray.

import { element, setText } from "./markup.js";
import { readPicture } from "./pictures.js";

const PRINT = "application/x-safelight-print";

const zones = new Set();

/** Resolves when no picture is being read any more. */
export const picturesRead = () => Promise.all([...zones].map((zone) => zone.reading));

/** Make `area` take pictures, `choose` a button for files and `trouble` where to say what is wrong; each goes to `take`. */
export function makeZone({ area, choose, trouble, many = false }, take) {
  const zone = { area, choose, trouble, many, take, turn: 0, reading: Promise.resolve() };
  for (const type of ["dragenter", "dragover"]) area.addEventListener(type, (event) => hover(zone, event));
  area.addEventListener("dragleave", ({ relatedTarget }) => area.classList.toggle("over", area.contains(relatedTarget)));
  area.addEventListener("drop", (event) => drop(zone, event));
  const input = element("input", { type: "file", accept: "image/*", multiple: many });
  input.addEventListener("change", () => takeFiles(zone, input));
  choose.addEventListener("click", () => input.click());
  zones.add(zone);
  return zone;
}

/** No longer offer a zone that has left the page. */
export const dropZone = (zone) => zones.delete(zone);

/** Read files or data URLs into a zone one after the other, the first only if it has room for one; what is wrong is said there. */
export function receive(zone, ...sources) {
  const { turn } = zone;
  say(zone, "");
  for (const source of zone.many ? sources : sources.slice(0, 1)) {
    zone.reading = zone.reading.then(() => read(zone, source, turn));
  }
  return zone.reading;
}

async function read(zone, source, turn) {
  zone.area.setAttribute("aria-busy", "true");
  try {
    const picture = await readPicture(source);
    if (turn === zone.turn) await zone.take(picture);
  } catch (error) {
    if (turn === zone.turn) say(zone, error.message);
  }
  zone.area.removeAttribute("aria-busy");
}

/** Forget what is being read. */
export function interrupt(zone) {
  zone.turn += 1;
  say(zone, "");
}

function say({ trouble }, text) {
  setText(trouble, text);
  trouble.hidden = text === "";
}

const carriesPicture = ({ types }) => types.includes("Files") || types.includes(PRINT);

function picturesIn(transfer) {
  const print = transfer.getData(PRINT);
  return print ? [print] : [...transfer.files];
}

function hover({ area }, event) {
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
  area.classList.add("over");
}

function drop(zone, event) {
  event.preventDefault();
  zone.area.classList.remove("over");
  const sources = picturesIn(event.dataTransfer);
  if (sources.length > 0) receive(zone, ...sources);
  else say(zone, "There was no picture in that. Drop a PNG, JPEG or WebP file.");
}

/** Take the files that were chosen, so that the same ones can be chosen again. */
function takeFiles(zone, input) {
  receive(zone, ...input.files);
  input.value = "";
}

/** A pasted picture goes where the focus is, else into the first zone that can be seen; text stays text. */
function paste(event) {
  const sources = [...(event.clipboardData?.files ?? [])];
  if (sources.length === 0 || event.clipboardData.types.includes("text/plain")) return;
  const seen = [...zones].filter(({ choose, area }) => choose.checkVisibility() || area.checkVisibility());
  const zone = seen.find(({ area }) => area.contains(document.activeElement)) ?? seen[0];
  if (!zone) return;
  event.preventDefault();
  receive(zone, ...sources);
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
    const section = target instanceof Element && carriesPicture(dataTransfer) && target.closest("details.takes-picture");
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
