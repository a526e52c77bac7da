// Elements. Text that comes from anywhere else gets into the page here, and only as text.
//
// What is a name, a value or a sentence of the page shows characters that would turn the direction
// of what is read. A message (`setMessage`, `setLongText`) has them as they are: the style keeps
// each of its lines to itself.

import { visible } from "./wording.js";

export const byId = (id) => document.getElementById(id);

/** Make an element; properties are attributes, children are elements or text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.map((each) => (typeof each === "string" ? visible(each) : each)));
  return made;
}

/** Show a text in an element, touching the page only where it has changed. */
export const setText = (node, text) => setMessage(node, visible(text));

/** Show what somebody has said. */
export function setMessage(node, text) {
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

const BLOCK = 4000; // characters

/**
 * Show a text that may be very long and still grow, in blocks that end with a line: the browser lays
 * out anew only the block that grows.
 */
export function setLongText(node, text) {
  const shown = node.textContent;
  if (shown === text) return;
  const goesOn = text.startsWith(shown);
  if (!goesOn) node.replaceChildren();
  let block = node.lastChild ?? node.appendChild(element("div"));
  let begin = goesOn ? shown.length - block.textContent.length : 0;
  let end = endOfBlock(text, begin);
  while (end < text.length) {
    setMessage(block, text.slice(begin, end));
    block = node.appendChild(element("div"));
    begin = end;
    end = endOfBlock(text, begin);
  }
  setMessage(block, text.slice(begin));
}

/** Where a block ends: behind the first end of a line that makes it long enough. */
function endOfBlock(text, begin) {
  const line = text.indexOf("\n", begin + BLOCK);
  return line < 0 ? text.length : line + 1;
}

/** Put the focus back; where that cannot be, on the messages: lost, it would begin at the top. */
export function refocus(node) {
  node?.focus();
  if (document.activeElement !== node) byId("feed").focus({ preventScroll: true });
}

/** Show a sentence in a `.problem`, or hide it. */
export function setProblem(node, text) {
  setText(node, text ?? "");
  node.hidden = !text;
}
