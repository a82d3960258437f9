// What a finished print can be taken away as: a larger view, or a command.

import { element, find, setText } from "./markup.js";

export function enlarge(url, prompt) {
  find("viewer-image").src = url;
  find("viewer-image").alt = prompt;
  setText(find("viewer-caption"), prompt);
  find("viewer").showModal();
}

/** A shell command that paints the same picture. */
export function curlOf(order) {
  const body = JSON.stringify(order).replaceAll("'", "'\\''");
  const address = new URL("v1/images/generations", document.baseURI);
  const decode = "jq -r '.data[0].b64_json' | base64 -d > picture.png";
  return `curl -s ${address} -H 'Content-Type: application/json' -d '${body}' | ${decode}`;
}

/** Copy, also where the page is served without TLS and the clipboard interface is therefore missing. */
export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = element("textarea", { value: text, className: "unseen" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
