// Keyboard shortcuts. Single letters can be switched off, and never count in a field.

import { byId, element } from "./dom.js";

const KEY = "rxtasks letters";
const letters = byId("help-letters");

/** Listen; `shortcuts` are `[key, what it does, function]`, `notes` only `[keys, what they do]`. */
export function listen(shortcuts, notes) {
  letters.checked = stored() !== "off";
  letters.addEventListener("change", () => store(letters.checked ? "on" : "off"));
  const known = new Map(shortcuts.map(([key, , act]) => [key, act]));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const act = letters.checked && known.get(event.key);
    if (!act) return;
    event.preventDefault();
    act();
  });
  for (const [key, what] of [...shortcuts, ...notes]) {
    const keys = key.split(" ").map((each) => element("kbd", {}, each));
    byId("help-keys").append(element("div", {}, element("dt", {}, ...keys), element("dd", {}, what)));
  }
}

/** Let arrows move in a list of links. */
export function arrows(node, move) {
  const steps = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };
  node.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(step);
  });
}

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function store(value) {
  try {
    localStorage.setItem(KEY, value);
  } catch {
    // Then it holds for this page.
  }
}
