// The live page: what is shown follows the address, `#task=<ref>` or nothing.

import { RequestFailed, agentPath, get, taskPath } from "./api.js";
import { addressOf, shownTask, takeToken } from "./address.js";
import { compose } from "./composing.js";
import { byId, element, refocus, setProblem, setText } from "./dom.js";
import { arrows, listen } from "./keys.js";
import { forgetAll } from "./recent.js";
import { enter, exchange, onSignedIn, signIn, signOut } from "./session.js";
import { TaskView, moveInFeed } from "./task.js";
import { TaskList } from "./tasks.js";

const list = new TaskList(signIn);
const note = byId("tasks-note");
let server = null;
let view = null;
let shown = null; // the task whose follow-up is in the field
const drafts = new Map();

begin();

async function begin() {
  try {
    server = await enter();
    setText(byId("platform"), server.platform);
    await showAgents();
  } catch (error) {
    // The server may be starting: the page tries until it is there.
    setProblem(note, error.message);
    setTimeout(begin, 3000);
    return;
  }
  show();
}

async function showAgents() {
  let agents = [];
  try {
    ({ agents } = await get("v1/agents"));
  } catch (error) {
    if (error.status !== 501) throw error; // this platform does not list them
  }
  const select = byId("start-agent");
  select.replaceChildren(...agents.map(({ id }) => element("option", { value: id }, id)));
  select.hidden = !agents.length;
  byId("start-agent-name").hidden = Boolean(agents.length);
  const about = () => setText(byId("start-about"), agents[select.selectedIndex]?.description ?? "");
  select.onchange = about;
  about();
  list.start(agents);
}

onSignedIn(() => {
  list.refresh();
  view?.resume();
});

// ---------------------------------------------------------------- what is shown

function show() {
  const ref = shownTask();
  view?.close();
  view = null;
  keepDraft(ref);
  const hadFocus = byId("start").contains(document.activeElement);
  document.body.classList.toggle("has-task", Boolean(ref));
  byId("task").hidden = !ref;
  byId("start").hidden = Boolean(ref);
  if (ref) view = new TaskView(ref, server.capabilities, HOOKS);
  if (ref && hadFocus) refocus();
  list.mark();
}

/** What is written for one task is not sent to another. */
function keepDraft(ref) {
  const text = byId("composer-text");
  drafts.set(shown, text.value);
  shown = ref;
  text.value = drafts.get(ref) ?? "";
  setProblem(byId("composer").querySelector(".problem"), null);
}

function startAnother() {
  const focus = () => byId("start-text").focus();
  if (!shownTask()) return focus();
  addEventListener("hashchange", focus, { once: true }); // after the one that shows the form
  location.hash = "";
}

const HOOKS = {
  onInfo: (ref, info) => list.update(ref, info),
  onEnd: (ref) => list.drop(ref),
  onSignedOut: signIn,
};

addEventListener("hashchange", () => {
  const token = takeToken();
  if (token !== null) {
    // An address with a token was opened in this tab: what is wrong with it shows anew.
    exchange(token).catch(() => {}).finally(() => location.reload());
  } else if (server) {
    show();
  }
});

// ---------------------------------------------------------------- what can be done

compose(
  byId("start"),
  () => {
    const agent = byId("start-agent").value || byId("start-agent-name").value.trim();
    if (!agent) throw new RequestFailed(400, "Say which agent is to do it.");
    return agentPath(agent, "/tasks");
  },
  ({ ref }) => {
    location.hash = addressOf(ref);
    list.refresh(byId("start-agent").value);
  },
);

compose(byId("composer"), () => taskPath(shownTask(), "/messages"), () => {});

byId("cancel").addEventListener("click", () => view?.cancel());
byId("help-open").addEventListener("click", () => byId("help").showModal());
byId("sign-out").addEventListener("click", () => {
  forgetAll();
  signOut().catch((error) => setProblem(note, error.message));
});

arrows(byId("tasks"), (steps) => list.move(steps));

listen(
  [
    ["n", "Start a new task", startAnother],
    ["t", "Go to the list of tasks", () => list.move(0)],
    ["j", "Next message", () => moveInFeed(1)],
    ["k", "Previous message", () => moveInFeed(-1)],
    ["m", "Write a follow-up", () => byId("composer-text").focus()],
    ["r", "Go to what the agent waits for", () => byId("requests").querySelector("button, textarea")?.focus()],
    ["?", "Show this", () => byId("help").showModal()],
  ],
  [
    ["↑ ↓", "Move in the list of tasks"],
    ["Enter", "Open the task, press the button"],
    ["Ctrl Enter", "Send what is written"],
    ["Esc", "Leave a field, close this"],
  ],
);
