// Pictures that people bring: read in the browser, and made into what the server takes.

import { element } from "./markup.js";

const MOST_SIDE = 2048;
const MOST_CHARACTERS = 2_500_000; // So six of them fit into one request: a start, its mask, four control pictures.
const PNG_START = ";base64,iVBORw0KGgo";
const JPEG_URL = "data:image/jpeg;base64,";
const JPEG_QUALITY = 0.92;

/** Read a file, or a data URL, as `{ url, width, height }` with a data URL; throws an error in words for people. */
export async function readPicture(source) {
  const name = source.name ? `“${source.name}”` : "This";
  if (source.size === 0) throw new Error(`${name} is an empty file. Take a PNG, JPEG or WebP picture.`);
  const image = await decode(source);
  if (!image) throw new Error(`${name} is no picture that this browser can read. Take a PNG, JPEG or WebP.`);
  const url = await untouched(source, image);
  return url ? { url, width: image.naturalWidth, height: image.naturalHeight } : redraw(image);
}

/** The decoded image, or null. */
async function decode(source) {
  const url = source instanceof Blob ? URL.createObjectURL(source) : source;
  const image = element("img", { src: url });
  try {
    await image.decode();
    return image.naturalWidth > 0 && image.naturalHeight > 0 ? image : null;
  } catch {
    return null;
  } finally {
    if (url !== source) URL.revokeObjectURL(url);
  }
}

/** The picture untouched, as a data URL: a PNG of modest size, whatever its file is called, or what was drawn here before. */
async function untouched(source, { naturalWidth, naturalHeight }) {
  if (Math.max(naturalWidth, naturalHeight) > MOST_SIDE || source.size > MOST_CHARACTERS) return null;
  const url = source instanceof Blob ? await dataUrlOf(source) : source;
  if (url.length > MOST_CHARACTERS) return null;
  const start = url.indexOf(PNG_START);
  if (start >= 0) return `data:image/png${url.slice(start)}`;
  return url === source && url.startsWith(JPEG_URL) ? url : null;
}

function dataUrlOf(file) {
  const reader = new FileReader();
  return new Promise((resolve) => {
    reader.addEventListener("loadend", () => resolve(reader.result ?? ""));
    reader.readAsDataURL(file);
  });
}

/** The picture drawn anew: upright as its camera meant it, scaled down where it is large, a PNG or else a JPEG. */
function redraw(image) {
  const scale = Math.min(1, MOST_SIDE / Math.max(image.naturalWidth, image.naturalHeight));
  const [width, height] = [image.naturalWidth, image.naturalHeight].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = element("canvas", { width, height });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  const png = canvas.toDataURL("image/png");
  return { url: png.length > MOST_CHARACTERS ? canvas.toDataURL("image/jpeg", JPEG_QUALITY) : png, width, height };
}
