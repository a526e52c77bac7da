// Numbers, times and values in words.

const CONTROLS = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** Show characters that are not seen themselves but change how others are: direction, above all. */
export const visible = (text) => text.replace(CONTROLS, pictureOf);

function pictureOf(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
}

const STATUS = {
  "not-started": "not started",
  action: "waiting for you",
};

export const statusText = (status) => STATUS[status] ?? status;

const STEPS = [
  [60, "s"],
  [60, "min"],
  [24, "h"],
  [Infinity, "d"],
];

/** How long ago something was, in one unit. */
export function ageText(time, now = Date.now()) {
  let amount = Math.max(0, (now - time) / 1000);
  for (const [size, unit] of STEPS) {
    if (amount < size) return `${Math.floor(amount)} ${unit}`;
    amount /= size;
  }
  return "";
}

export const number = (value) => value.toLocaleString("en");

const TOKENS = {
  input: "in",
  output: "out",
  reasoning: "thought",
  cache_read: "cached",
  cache_write: "put into the cache",
};
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** Tokens and dollars of the latest turn; empty where the platform does not say. */
export function usageText(usage, cost) {
  const used = Object.entries(usage ?? {}).filter(([, amount]) => amount);
  const parts = used.map(([kind, amount]) => `${short.format(amount)} ${TOKENS[kind] ?? kind}`);
  if (cost !== null && cost !== undefined) parts.push(`$${cost.toFixed(cost < 1 ? 4 : 2)}`);
  return parts.join(" · ");
}

const LONGEST = 100_000;

/** A value for people: text as it is, anything else as JSON. */
export function valueText(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  if (text.length <= LONGEST) return text;
  return `${text.slice(0, LONGEST)}\n… and ${number(text.length - LONGEST)} characters more`;
}

/** The same in one line. */
export function lineText(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const line = text.slice(0, 400).replace(/\s+/g, " ").trim();
  return line.length > 160 ? `${line.slice(0, 160)}…` : line;
}
