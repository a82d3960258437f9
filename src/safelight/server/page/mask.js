// A mask painted with the pointer over a picture: what is covered is to be made anew.

import { element, find, setText } from "./markup.js";

const SIDE = 1024;
const STRIPE = 14;
const HALF = 128;
const OPAQUE = 255;

let share = 0;
let last = null;
let changed = () => {};

const canvas = () => find("mask-canvas");
const contextOf = (surface) => surface.getContext("2d", { willReadFrequently: true });

/** Begin an empty mask over a picture of this size. */
export function startMask({ width, height }) {
  const scale = SIDE / Math.max(width, height);
  const sides = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  [canvas().width, canvas().height] = sides;
  report();
}

function clear() {
  contextOf(canvas()).clearRect(0, 0, canvas().width, canvas().height);
  report();
}

/** The mask as the server reads it, white where to paint on black; nothing when it is empty. */
export function maskUrl() {
  if (share === 0) return undefined;
  const { width, height } = canvas();
  const pixels = contextOf(canvas()).getImageData(0, 0, width, height);
  const { data } = pixels;
  for (let at = 0; at < data.length; at += 4) {
    data.fill(data[at + 3] >= HALF ? OPAQUE : 0, at, at + 3);
    data[at + 3] = OPAQUE;
  }
  const copy = element("canvas", { width, height });
  contextOf(copy).putImageData(pixels, 0, 0);
  return copy.toDataURL("image/png");
}

/** Take the mask from a picture, read as the server reads it: what is transparent, or else what is white. */
export async function takeMask({ url }) {
  const image = element("img", { src: url });
  await image.decode();
  const { width, height } = canvas();
  const copy = element("canvas", { width, height });
  const context = contextOf(copy);
  context.drawImage(image, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height);
  if (!keepOnlyPainted(pixels.data)) throw new Error("This mask keeps everything: make it white, or transparent, where to paint.");
  context.putImageData(pixels, 0, 0);
  clear();
  context.globalCompositeOperation = "source-in";
  context.fillStyle = stripes();
  context.fillRect(0, 0, width, height);
  contextOf(canvas()).drawImage(copy, 0, 0);
  report();
}

/** Make opaque what is to be painted, and transparent the rest; how many pixels are to be painted. */
function keepOnlyPainted(data) {
  let isOpaque = true;
  for (let at = 3; at < data.length; at += 4) isOpaque &&= data[at] === OPAQUE;
  let painted = 0;
  for (let at = 0; at < data.length; at += 4) {
    const level = 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
    const isPainted = isOpaque ? level >= HALF : data[at + 3] < HALF;
    data[at + 3] = isPainted ? OPAQUE : 0;
    painted += isPainted;
  }
  return painted;
}

/** Slanted stripes, which show on a picture of any colour. */
function stripes() {
  const tile = element("canvas", { width: 2 * STRIPE, height: 2 * STRIPE });
  const context = contextOf(tile);
  context.fillStyle = "#ff6b4f";
  context.fillRect(0, 0, 2 * STRIPE, 2 * STRIPE);
  context.fillStyle = "#fff";
  for (const x of [-2, 0, 2].map((step) => step * STRIPE)) {
    context.beginPath();
    context.moveTo(x, 2 * STRIPE);
    context.lineTo(x + 2 * STRIPE, 0);
    context.lineTo(x + 3 * STRIPE, 0);
    context.lineTo(x + STRIPE, 2 * STRIPE);
    context.fill();
  }
  return context.createPattern(tile, "repeat");
}

function report() {
  const { data } = contextOf(canvas()).getImageData(0, 0, canvas().width, canvas().height);
  let painted = 0;
  for (let at = 3; at < data.length; at += 4) painted += data[at] >= HALF;
  share = painted / (data.length / 4);
  const percent = Math.max(1, Math.round(100 * share));
  const text = share > 0 ? `${percent} % is made anew, the rest is kept.` : "Paint over what to make anew; without a mask, all may change.";
  setText(find("mask-hint"), text);
  canvas().setAttribute("aria-label", `Mask: ${text}`);
  find("mask-clear").disabled = share === 0;
  changed(share > 0);
}

/** Where the pointer is, in the canvas's own pixels. */
function placeOf({ clientX, clientY }) {
  const box = canvas().getBoundingClientRect();
  return [((clientX - box.left) / box.width) * canvas().width, ((clientY - box.top) / box.height) * canvas().height];
}

function paint(event) {
  const context = contextOf(canvas());
  const [x, y] = placeOf(event);
  const [fromX, fromY] = last ?? [x - 0.01, y];
  context.lineWidth = (Number(find("brush").value) / 100) * SIDE;
  context.lineCap = "round";
  context.strokeStyle = stripes();
  context.beginPath();
  context.moveTo(fromX, fromY);
  context.lineTo(x, y);
  context.stroke();
  last = [x, y];
}

/** Let the mask be painted; `reportMasked` is called at each change with whether anything is covered. */
export function setUpMask(reportMasked) {
  changed = reportMasked;
  canvas().addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas().setPointerCapture(event.pointerId);
    paint(event);
  });
  canvas().addEventListener("pointermove", (event) => last && paint(event));
  for (const type of ["pointerup", "pointercancel"]) {
    canvas().addEventListener(type, () => {
      if (last) report();
      last = null;
    });
  }
  find("mask-clear").addEventListener("click", clear);
}
