// How one item of a conversation looks. Nothing in here is ever markup.

import { addressOf } from "./address.js";
import { element, setLongText, setMessage, setText } from "./dom.js";
import { lineText, statusText, valueText } from "./wording.js";

/** Make the view of an item; `onFold` is called when a reader has folded something. */
export function viewOf(item, onFold) {
  const node = element("article", { class: `item ${item.kind}`, tabindex: "-1" });
  const make = VIEWS[item.kind] ?? unknown;
  const update = make(node, item, onFold);
  return {
    node,
    kind: item.kind,
    version: -1,
    update(changed) {
      node.classList.toggle("live", changed.isLive);
      update(changed);
    },
  };
}

const VIEWS = {
  user,
  agent,
  tool,
  "agent-error": agentError,
  "agent-run": agentRun,
  handover,
  "transport-fault": transportFault,
  "fatal-fault": fatalFault,
  gap,
};

// ---------------------------------------------------------------- messages

function user(node) {
  const head = heading(node);
  const text = node.appendChild(element("div", { class: "text" }));
  const files = node.appendChild(element("p", { class: "quiet", hidden: true }));
  return (item) => {
    head(item.value.is_trigger ? "Trigger" : "You", item);
    setMessage(text, item.text);
    text.hidden = !item.text;
    const names = (item.value.attachments ?? []).map((each) => each.name);
    setText(files, names.length ? `Attached: ${names.join(", ")}` : "");
    files.hidden = !names.length;
  };
}

function agent(node, item, onFold) {
  const head = heading(node);
  const thoughts = fold(node, "thoughts", item, onFold);
  const text = node.appendChild(element("div", { class: "text" }));
  return (item) => {
    head(item.value?.agent_id || item.agent || "Agent", item);
    const thinks = item.isLive && !item.text;
    setText(thoughts.title, thinks ? "Thinking …" : "Thoughts");
    thoughts.show(item.thoughts);
    setLongText(text, item.text);
    text.hidden = !item.text;
  };
}

function agentError(node) {
  const head = heading(node);
  const text = node.appendChild(element("div", { class: "text" }));
  return (item) => {
    head("The agent failed", item);
    const { errors = [], last_error: last } = item.value;
    setText(text, [...new Set([...errors, last])].filter(Boolean).join("\n") || "It did not say why.");
  };
}

const MARKS = { pending: "○", running: "◌", completed: "✓", error: "✕", cancelled: "–" };

function tool(node, item, onFold) {
  const details = foldable("call", item, onFold);
  const mark = element("span", { class: "mark", "aria-hidden": "true" });
  const name = element("span", { class: "name" });
  const status = element("span", { class: "quiet" });
  const line = element("span", { class: "line quiet" });
  details.append(element("summary", {}, mark, name, status, line));
  const parts = ["Parameters", "Output"].map((title) => part(details, title));
  const errors = element("div", { class: "text bad", hidden: true });
  const link = element("a", { class: "sub-task", hidden: true });
  node.append(details, errors, link);
  return (item) => {
    const { value } = item;
    const state = value.status ?? "pending";
    node.dataset.status = state;
    node.setAttribute("aria-label", `Tool ${value.name ?? ""}: ${state}`);
    setText(mark, MARKS[state] ?? "○");
    setText(name, value.name || "tool");
    setText(status, state === "completed" ? "" : state);
    setText(line, lineText(value.output) || lineText(value.params));
    parts[0](value.params);
    parts[1](value.output);
    setText(errors, (value.errors ?? []).join("\n"));
    errors.hidden = !value.errors?.length;
    subTask(link, value.sub_task_id, value.sub_agent_id);
  };
}

function part(details, title) {
  const pre = element("pre", { tabindex: "0", "aria-label": title });
  const box = element("div", { hidden: true }, element("h2", {}, title), pre);
  details.append(box);
  return (value) => {
    const isThere = value !== null && value !== undefined;
    box.hidden = !isThere;
    setText(pre, isThere ? valueText(value) : "");
  };
}

// ---------------------------------------------------------------- what else happens

function agentRun(node) {
  const text = node.appendChild(element("p", { class: "quiet" }));
  const link = node.appendChild(element("a", { class: "sub-task", hidden: true }));
  return ({ value }) => {
    const name = value.agent_name || value.agent_id || "An agent";
    setText(text, `${name}: ${statusText(value.status ?? "running")}`);
    subTask(link, value.task_id, value.agent_id);
  };
}

function handover(node) {
  const text = node.appendChild(element("p", { class: "quiet" }));
  return ({ value }) => {
    const name = value.agent_name || value.agent_id || "another agent";
    setText(text, `Handed over to ${name}${value.text ? `: ${value.text}` : ""}`);
  };
}

function unknown(node, item, onFold) {
  const details = foldable("raw", item, onFold);
  const title = element("summary", { class: "quiet" });
  details.append(title);
  const show = part(details, "Content");
  node.append(details);
  return ({ kind, value }) => {
    setText(title, `A message of the kind ${value.type || kind}`);
    show(value.raw ?? value);
  };
}

const SOURCES = { poll: "Asking for the state", stream: "The platform's stream", send: "Sending" };

function transportFault(node) {
  const text = node.appendChild(element("p"));
  return ({ value, times }) => {
    const often = times > 1 ? ` ${times} times` : "";
    const what = SOURCES[value.source] ?? value.source;
    setText(text, `${what} failed${often}: ${value.cause?.message ?? "no reason given"}`);
  };
}

function fatalFault(node) {
  const text = node.appendChild(element("p"));
  return ({ value }) => {
    setText(text, `Watching has ended: ${value.cause?.message ?? "no reason given"}`);
  };
}

function gap(node) {
  node.append(element("p", {}, "Something is missing here: the platform no longer has it."));
  return () => {};
}

// ---------------------------------------------------------------- parts

function heading(node) {
  const who = element("span", { class: "who" });
  const time = element("time", { class: "quiet" });
  node.append(element("header", {}, who, time));
  return (name, { at, value }) => {
    setText(who, name);
    const clock = value?.created_at ? new Date(at).toLocaleTimeString() : "";
    setText(time, clock);
    if (clock) time.dateTime = value.created_at;
    node.setAttribute("aria-label", [name, clock].filter(Boolean).join(", "));
  };
}

/** A `details` that keeps its state in the item, since its element comes and goes. */
function foldable(name, item, onFold) {
  const details = element("details", { class: name, open: item.opened[name] });
  details.addEventListener("toggle", () => {
    if (details.open === Boolean(item.opened[name])) return; // it was made so
    item.opened[name] = details.open;
    onFold();
  });
  return details;
}

function fold(node, name, item, onFold) {
  const details = foldable(name, item, onFold);
  const title = element("summary", { class: "quiet" });
  const text = element("div", { class: "text" });
  details.append(title, text);
  node.append(details);
  return {
    title,
    show(content) {
      setMessage(text, content);
      details.hidden = !content;
    },
  };
}

function subTask(link, task, agent) {
  link.hidden = !task;
  if (!task) return;
  const part = encodeURIComponent;
  link.href = addressOf(agent ? `agent/${part(agent)}/${part(task)}` : task);
  setText(link, "Open its task");
}
