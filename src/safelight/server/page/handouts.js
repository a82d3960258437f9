// What a finished print can be taken away as: a larger view, or a command.

import { element, find, setText } from "./markup.js";
import { routeOf } from "./server.js";

export function enlarge(url, prompt) {
  find("viewer-image").src = url;
  find("viewer-image").alt = prompt;
  setText(find("viewer-caption"), prompt);
  find("viewer").showModal();
}

/** The pictures of an order as files of a command: the path of each in the JSON, its file, and its data URL. */
export function filesOf({ image, mask, controls = [] }) {
  const pictures = [
    { path: ".image", name: "start", url: image },
    { path: ".mask", name: "mask", url: mask },
    ...controls.map((control, at) => ({ path: `.controls[${at}].image`, name: `control${at + 1}`, url: control.image })),
  ];
  const given = pictures.filter(({ url }) => url);
  return given.map((picture) => ({ ...picture, file: `${picture.name}.${/^data:image\/(\w+)/.exec(picture.url)[1]}` }));
}

/** A shell command that paints the same picture; other pictures, which are long, it reads from files. */
export function curlOf(order) {
  const address = new URL(routeOf(order), document.baseURI);
  const post = `curl -s ${address} -H 'Content-Type: application/json' -d`;
  const decode = "jq -r '.data[0].b64_json' | base64 -d > picture.png";
  const files = filesOf(order);
  if (files.length === 0) return `${post} ${quoted(JSON.stringify(order))} | ${decode}`;
  return `${bodyFromFiles(order, files)} | ${post} @- | ${decode}`;
}

/** A command, for bash or zsh, that writes the JSON of an order with pictures from files as data URLs. */
function bodyFromFiles({ image, mask, ...order }, files) {
  const controls = order.controls?.map(({ name, scale }) => ({ name, scale }));
  const readers = files.map(({ name, file, url }) => {
    const start = url.slice(0, url.indexOf(",") + 1);
    return `--rawfile ${name} <(printf ${quoted(start)}; base64 < ${file} | tr -d '\\n')`;
  });
  const program = [JSON.stringify({ ...order, controls }), ...files.map(({ path, name }) => `${path} = $${name}`)];
  return `jq -n ${readers.join(" ")} ${quoted(program.join(" | "))}`;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Copy, also where the page is served without TLS and the clipboard interface is therefore missing. */
export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = element("textarea", { value: text, className: "unseen" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
