// The list of tasks: asked for every few seconds while somebody can see it.

import { agentPath, get } from "./api.js";
import { addressOf, shownTask } from "./address.js";
import { byId, element, setProblem, setText } from "./dom.js";
import { forget, recentTasks, remember } from "./recent.js";
import { ageText, statusText } from "./wording.js";

const EVERY = 5000; // milliseconds
const SLOWEST = 60_000;
const AT_ONCE = 8; // agents whose tasks are listed together
const PAGE = 50;
const MOST = 200; // what the server gives in one page

export class TaskList {
  #list = byId("tasks");
  #note = byId("tasks-note");
  #more = byId("tasks-more");
  #filter = byId("filter");
  #agents = [];
  #rows = new Map();
  #tasks = [];
  #limit = PAGE;
  #delay = EVERY;
  #timer = null;
  #asked = 0;
  #isListed = true;
  #isSignedOut = false;
  #problem = null;
  #opened = new Map(); // what this page has shown, which a listing may be too short for
  #onSignedOut;

  constructor(onSignedOut) {
    this.#onSignedOut = onSignedOut;
    this.#filter.addEventListener("change", () => this.#anew());
    this.#more.addEventListener("click", () => {
      this.#limit = Math.min(MOST, this.#limit * 2);
      this.refresh();
    });
    document.addEventListener("visibilitychange", () => this.refresh());
    setInterval(() => this.#showAges(), EVERY);
  }

  /** List the tasks of these agents from now on; none where the platform does not list them. */
  start(agents) {
    this.#agents = agents;
    const all = agents.length <= AT_ONCE ? [element("option", { value: "" }, "All agents")] : [];
    const options = agents.map(({ id }) => element("option", { value: id }, id));
    this.#filter.replaceChildren(...all, ...options);
    this.#filter.hidden = agents.length < 2;
    this.refresh();
  }

  #anew() {
    this.#limit = PAGE;
    this.refresh();
  }

  /** Ask now, and then every few seconds; for an agent's tasks, if they are not among the listed. */
  refresh = async (agent) => {
    clearTimeout(this.#timer);
    if (agent && this.#filter.value) this.#filter.value = agent;
    if (document.hidden) return;
    const asked = (this.#asked += 1);
    const chosen = this.#filter.value;
    const agents = chosen ? [{ id: chosen }] : this.#agents;
    const answers = await Promise.all(agents.map(({ id }) => this.#ask(id)));
    if (asked !== this.#asked) return; // somebody has asked for something else meanwhile
    this.#take(answers);
    if (!this.#isSignedOut) this.#timer = setTimeout(() => this.refresh(), this.#delay);
  };

  async #ask(agent) {
    try {
      const query = new URLSearchParams({ limit: this.#limit, sort: "-created_at" });
      const { tasks, cursor } = await get(agentPath(agent, `/tasks?${query}`));
      return { tasks: tasks.map((task) => ({ agent, ref: task.ref, ...read(task.info) })), cursor };
    } catch (error) {
      return { error };
    }
  }

  #take(answers) {
    const errors = answers.map(({ error }) => error).filter(Boolean);
    const unable = errors.filter(({ status }) => status === 501);
    const wrong = errors.find(({ status }) => status !== 501);
    this.#isSignedOut = wrong?.status === 401;
    if (this.#isSignedOut) this.#onSignedOut(); // then it is asked for again
    // A server that is busy is left alone for longer; one that is not there is not disturbed.
    this.#delay = wrong?.status ? Math.min(SLOWEST, this.#delay * 2) : EVERY;
    this.#isListed = answers.length > 0 && !unable.length;
    const known = this.#isListed ? [] : recentTasks();
    const listed = answers.flatMap(({ tasks }) => tasks ?? []);
    const opened = [...this.#opened.values()];
    // What a stream has told while the listing was under way is newer.
    const newer = opened.filter(({ asked }) => asked === this.#asked);
    const all = [...known, ...opened, ...listed, ...newer];
    const found = new Map(all.map((task) => [task.ref, task]));
    // What could not be asked for is not gone.
    for (const task of this.#tasks) if (wrong && !found.has(task.ref)) found.set(task.ref, task);
    this.#tasks = [...found.values()];
    const why = this.#isSignedOut ? "your session has ended." : wrong?.message;
    this.#problem = wrong ? `The tasks cannot be listed: ${why}` : null;
    this.#more.hidden = this.#limit >= MOST || !answers.some(({ cursor }) => cursor);
    this.#show();
  }

  /** Show at once what the stream of a task has told. */
  update(ref, info) {
    const known = this.#tasks.find((each) => each.ref === ref);
    const task = { ref, agent: info.agent_id, ...known, ...read(info), asked: this.#asked };
    this.#opened.set(ref, task);
    if (!this.#isListed) remember(task);
    this.#tasks = [task, ...this.#tasks.filter((each) => each !== known)];
    this.#show();
  }

  /** Forget a task that does not exist, or not any more. */
  drop(ref) {
    this.#opened.delete(ref);
    forget(ref);
    this.refresh();
  }

  #show() {
    const chosen = this.#filter.value;
    const tasks = this.#tasks.filter(({ agent }) => !chosen || agent === chosen);
    tasks.sort((a, b) => (b.created ?? 0) - (a.created ?? 0));
    const refs = new Set(tasks.map(({ ref }) => ref));
    for (const [ref, row] of this.#rows) {
      if (refs.has(ref)) continue;
      row.node.remove();
      this.#rows.delete(ref);
    }
    let place = this.#list.firstChild;
    for (const task of tasks) {
      const row = this.#rows.get(task.ref) ?? this.#add(task);
      row.update(task);
      if (row.node === place) place = place.nextSibling;
      else this.#list.insertBefore(row.node, place);
    }
    setProblem(this.#note, this.#problem ?? (tasks.length ? null : "No tasks yet."));
    this.mark();
  }

  #add(task) {
    const row = rowOf(task);
    this.#rows.set(task.ref, row);
    return row;
  }

  #showAges() {
    for (const task of this.#tasks) this.#rows.get(task.ref)?.update(task);
  }

  /** Mark the task that is shown. */
  mark() {
    const shown = shownTask();
    for (const [ref, { link }] of this.#rows) {
      if (ref === shown) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  /** Put the focus on the list, or so many rows further on. */
  move(steps) {
    const links = [...this.#list.querySelectorAll("a")];
    const from = links.indexOf(document.activeElement);
    const shown = links.findIndex((link) => link.hasAttribute("aria-current"));
    const to = from < 0 ? Math.max(shown, 0) : from + steps;
    links[Math.min(Math.max(to, 0), links.length - 1)]?.focus();
  }
}

const time = (text) => (text ? Date.parse(text) : undefined);

const read = ({ status, name, created_at, updated_at }) => ({
  status: status ?? "running",
  name: name ?? undefined,
  created: time(created_at),
  updated: time(updated_at),
});

function rowOf({ ref }) {
  const name = element("span", { class: "name" });
  const status = element("span", { class: "status" });
  const agent = element("span", { class: "agent" });
  const age = element("time", { class: "age" });
  const link = element("a", { href: addressOf(ref) }, name, status, agent, age);
  const node = element("li", {}, link);
  return {
    node,
    link,
    update(task) {
      setText(name, task.name || task.ref);
      setText(status, statusText(task.status));
      status.dataset.status = task.status;
      setText(agent, task.agent ?? "");
      setText(age, task.created ? ageText(task.created) : "");
      if (task.created) age.dateTime = new Date(task.created).toISOString();
    },
  };
}
