// The document. Whatever comes from people or from the server enters it as text.

export const find = (id) => document.getElementById(id);

/** A fresh copy of a template, with the elements it names by `data-part`. */
export function stamp(templateId) {
  const node = find(templateId).content.firstElementChild.cloneNode(true);
  const parts = {};
  for (const part of node.querySelectorAll("[data-part]")) parts[part.dataset.part] = part;
  return { node, parts };
}

export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

export function svgElement(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** Change text only when it differs, so that selections and screen readers are left in peace. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function announce(text) {
  find("news").textContent = text;
}

export function icon(name) {
  const drawing = svgElement("svg", { "aria-hidden": "true" });
  drawing.append(svgElement("use", { href: `#i-${name}` }));
  return drawing;
}
