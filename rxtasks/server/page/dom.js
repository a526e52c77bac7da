// Elements. Text that comes from anywhere else gets into the page here, and only as text.

export const byId = (id) => document.getElementById(id);

/** Make an element; properties are attributes, children are elements or text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** Show a text in an element, touching the page only where it has changed. */
export function setText(node, text) {
  const shown = node.firstChild;
  if (!shown) {
    if (text) node.textContent = text;
    return;
  }
  if (shown.data === text) return;
  // What is being typed grows at its end: the browser need not lay out anew what stands before.
  if (text.startsWith(shown.data)) shown.appendData(text.slice(shown.data.length));
  else shown.data = text;
}

/** Show a sentence in a `.problem`, or hide it. */
export function setProblem(node, text) {
  setText(node, text ?? "");
  node.hidden = !text;
}
