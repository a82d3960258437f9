// Control pictures: each steers what is painted through a ControlNet of the chosen model.

import { announce, find, setText, stamp } from "./markup.js";
import { slide } from "./slider.js";
import { amount } from "./words.js";
import { dropZone, interrupt, makeZone } from "./zone.js";

const MOST = 4;
const FULL = 1;

let names = [];
let rows = [];

/** Offer the ControlNets of these names; a row whose own is not among them takes the first. */
export function showControls(offered) {
  if (offered.join("\n") === names.join("\n")) return;
  names = offered;
  for (const row of rows) fillNames(row);
  showRows();
}

/** The ControlNets asked for, with their pictures, as a request has them; nothing when there are none. */
export function chosenControls() {
  if (rows.length === 0 || names.length === 0) return undefined;
  return rows.map(({ parts, url }) => ({ name: parts.name.value, scale: Number(parts.scale.value), image: url }));
}

/** Set all rows to what a request named. */
export function setControls(controls = []) {
  for (const row of [...rows]) removeRow(row);
  for (const { image, name, scale } of controls) addRow({ url: image }, name, scale);
  if (controls.length > 0) find("controls-section").open = true;
}

function addRow(picture, wanted = firstUnused(), scale = FULL) {
  const row = { ...stamp("control-template"), wanted, url: "" };
  const { parts, node } = row;
  row.zone = makeZone({ area: node, choose: parts.choose, trouble: parts.trouble }, (taken) => showPicture(row, taken));
  parts.name.addEventListener("change", () => (row.wanted = parts.name.value));
  parts.scale.addEventListener("input", () => setScale(row, parts.scale.value));
  parts.remove.addEventListener("click", () => {
    removeRow(row);
    (rows.at(-1)?.parts.remove ?? find("control-choose")).focus();
  });
  rows.push(row);
  fillNames(row);
  setScale(row, scale);
  showPicture(row, picture);
  showRows();
}

function addPicture(picture) {
  if (rows.length >= MOST) throw new Error(`One picture takes at most ${MOST} control pictures.`);
  addRow(picture);
  announce(`Control picture ${rows.length} added.`);
}

const firstUnused = () => names.find((name) => rows.every(({ parts }) => parts.name.value !== name)) ?? names[0];

function fillNames({ parts, wanted }) {
  parts.name.replaceChildren(...names.map((name) => new Option(name)));
  parts.name.value = names.includes(wanted) ? wanted : names[0];
}

function setScale({ parts }, wanted) {
  setText(parts.said, amount(slide(parts.scale, wanted)));
}

function showPicture(row, { url }) {
  row.url = url;
  row.parts.thumb.src = url;
}

function removeRow(row) {
  interrupt(row.zone);
  dropZone(row.zone);
  row.node.remove();
  rows = rows.filter((other) => other !== row);
  showRows();
}

function showRows() {
  find("controls-section").hidden = names.length === 0;
  find("control-zone").hidden = rows.length >= MOST;
  setText(find("controls-note"), rows.length > 0 ? String(rows.length) : "");
  setText(find("controls-hint"), `ControlNets: ${names.join(", ")}`);
  rows.forEach(({ node }, index) => node.setAttribute("aria-label", `Control picture ${index + 1}`));
  find("controls").append(...rows.map(({ node }) => node).filter((node) => !node.isConnected));
}

export function setUpControls() {
  const parts = { area: find("control-zone"), choose: find("control-choose"), trouble: find("control-trouble"), many: true };
  makeZone(parts, addPicture);
}
