// A picture to start from, how strongly it is changed, and the mask within which.

import { find, setText } from "./markup.js";
import { maskUrl, setUpMask, startMask, takeMask } from "./mask.js";
import { slide } from "./slider.js";
import { amount } from "./words.js";
import { interrupt, makeZone, receive } from "./zone.js";

const STRENGTH = 0.8;
const STRENGTH_WITHIN_MASK = 1;

let picture = null;
let isStrengthChosen = false;
let zones = {};
let report = () => {};

/** What a request says of the start; nothing when it starts from noise. */
export function chosenStart() {
  return picture ? { image: picture.url, mask: maskUrl(), strength: Number(find("strength").value) } : {};
}

/** Start from the picture of a print, or from the file just chosen. */
export async function startFrom(source) {
  find("start-section").open = true;
  await receive(zones.start, source);
  find("start-section").scrollIntoView({ block: "nearest" });
  find("start-choose").focus();
}

/** Start as a request did. */
export async function setStart({ image, mask, strength }) {
  remove();
  if (!image) return;
  await startFrom(image);
  if (mask) await receive(zones.mask, mask);
  isStrengthChosen = true;
  setStrength(strength);
}

function take(fresh) {
  picture = fresh;
  isStrengthChosen = false;
  find("start-image").src = picture.url;
  find("start-stage").style.setProperty("--aspect", picture.width / picture.height);
  startMask(picture);
  showStart();
  report(picture);
}

function remove() {
  picture = null;
  for (const zone of Object.values(zones)) interrupt(zone);
  find("start-image").removeAttribute("src");
  showStart();
}

function showStart() {
  find("start-stage").hidden = !picture;
  find("start-settings").hidden = !picture;
  find("start-remove").hidden = !picture;
  setText(find("start-invite"), picture ? "Another picture" : "Drop, paste or choose a picture");
  find("start-zone").classList.toggle("filled", Boolean(picture));
  setText(find("start-note"), picture ? "on" : "");
}

function setStrength(wish) {
  setText(find("strength-said"), amount(slide(find("strength"), wish)));
}

/** Let a picture be given; `reportSize` is called with its width and height. */
export function setUpStart(reportSize) {
  report = reportSize;
  const start = { area: find("start-zone"), choose: find("start-choose"), trouble: find("start-trouble") };
  const mask = { area: find("mask-zone"), choose: find("mask-choose"), trouble: find("mask-trouble") };
  zones = { start: makeZone(start, take), mask: makeZone(mask, takeMask) };
  setUpMask((isMasked) => {
    interrupt(zones.mask);
    if (!isStrengthChosen) setStrength(isMasked ? STRENGTH_WITHIN_MASK : STRENGTH);
  });
  find("strength").addEventListener("input", () => {
    isStrengthChosen = true;
    setStrength(find("strength").value);
  });
  find("brush").addEventListener("input", () => showBrush());
  find("start-remove").addEventListener("click", () => {
    remove();
    find("start-choose").focus();
  });
  showBrush();
}

function showBrush() {
  slide(find("brush"), find("brush").value, (value) => `${value} %`);
}
