// What a screen reader says: whole messages and what has to be done, never the deltas.

import { byId, element } from "./dom.js";
import { statusText } from "./wording.js";

const KEPT = 20;
const LONGEST = 600;
const log = byId("announcer");

export function announce(text) {
  log.append(element("p", {}, text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text));
  while (log.children.length > KEPT) log.firstChild.remove();
}

export function announceEvent(kind, value) {
  if (kind === "agent" && value.text) announce(`Agent: ${value.text}`);
  else if (kind === "agent-error") announce(`The agent failed: ${value.last_error ?? ""}`);
  else if (kind === "tool" && value.status === "error") announce(`Tool ${value.name ?? ""} failed`);
  else if (kind === "fatal-fault") announce(`Watching has ended: ${value.cause?.message ?? ""}`);
}

export const announceStatus = (status) => announce(`The task is ${statusText(status)}`);
