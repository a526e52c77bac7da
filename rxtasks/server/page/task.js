// The live view of one task.

import { post, taskPath } from "./api.js";
import { announceEvent, announceStatus } from "./announce.js";
import { Connection } from "./connection.js";
import { Conversation } from "./conversation.js";
import { byId, refocus, setProblem, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { viewOf } from "./message.js";
import { Requests } from "./requests.js";
import { Timeline } from "./timeline.js";
import { Watch } from "./watch.js";
import { ageText, statusText, usageText, visible } from "./wording.js";

const RUNNING = ["queued", "running", "action"];
const newest = byId("newest");

// One feed for all tasks: its listeners stay.
const feed = new Feed(
  byId("feed"),
  (item) => viewOf(item, () => feed.hold()),
  () => (newest.hidden = feed.follows),
);

newest.addEventListener("click", () => feed.toEnd());

export const moveInFeed = (steps) => feed.move(steps);

export class TaskView {
  #ref;
  #hooks;
  #conversation = new Conversation();
  #connection = new Connection();
  #timeline = new Timeline();
  #requests;
  #watch;
  #info = null;
  #isTold = false; // all that was there when we came has been told
  #counts = false;
  #ages = setInterval(() => this.#showAge(), 5000);

  /**
   * @param capabilities are those of the platform.
   * @param hooks `onInfo(ref, info)`, `onEnd(ref)`, `onSignedOut()`.
   */
  constructor(ref, capabilities, hooks) {
    this.#ref = ref;
    this.#hooks = hooks;
    this.#requests = new Requests(ref, capabilities?.respond !== false);
    byId("cancel").dataset.can = capabilities?.cancel !== false;
    this.#show({ name: ref, status: "", requests: [] });
    setProblem(byId("task-problem"), null);
    feed.reset(this.#conversation.items);
    this.#watch = new Watch(ref, {
      onEvent: (kind, value) => this.#take(kind, value),
      onState: (state) => this.#changed(state),
    });
  }

  close() {
    this.#watch.close();
    this.#timeline.close();
    this.#connection.close();
    this.#requests.close();
    clearInterval(this.#ages);
    document.title = "rxtasks";
  }

  /** Go on after having signed in again. */
  resume() {
    this.#watch.reconnect();
  }

  async cancel() {
    const button = byId("cancel");
    const hadFocus = document.activeElement === button;
    button.disabled = true;
    try {
      await post(taskPath(this.#ref, "/cancel"));
      setProblem(byId("task-problem"), null);
    } catch (error) {
      setProblem(byId("task-problem"), `It could not be cancelled: ${error.message}`);
    } finally {
      button.disabled = false;
      if (hadFocus) refocus(button);
    }
  }

  #take(kind, value) {
    if (this.#counts) this.#timeline.count();
    if (kind === "reset") this.#forget();
    else if (kind === "live") this.#isTold = this.#counts = true;
    else if (kind === "update") this.#show(value);
    else if (kind === "end") this.#hooks.onEnd(this.#ref);
    else this.#add(kind, value);
  }

  #add(kind, value) {
    this.#conversation.apply(kind, value);
    feed.refreshSoon();
    if (kind === "transport-fault") this.#connection.failed(value);
    if (this.#isTold) announceEvent(kind, value);
  }

  #forget() {
    this.#conversation.clear();
    this.#isTold = false;
    feed.reset(this.#conversation.items);
  }

  #changed(state) {
    this.#counts = false; // until what was missed has been told
    this.#connection.changed(state);
    byId("task").dataset.connection = state.is; // where nothing can come, nothing can be sent
    if (state.is === "open") setProblem(byId("task-problem"), null);
    if (state.is === "refused") setProblem(byId("task-problem"), refusal(state.why));
    if (state.why?.status === 404) this.#hooks.onEnd(this.#ref);
    if (state.is === "ended") setProblem(byId("task-problem"), "This task has been deleted.");
    if (state.is === "signed-out") this.#hooks.onSignedOut();
  }

  #show(info) {
    const before = this.#info;
    this.#info = info;
    this.#conversation.agent = info.agent_id;
    const isRunning = RUNNING.includes(info.status);
    setText(byId("task-name"), info.name || this.#ref);
    const status = byId("task-status");
    setText(status, statusText(info.status));
    status.dataset.status = info.status;
    byId("feed").classList.toggle("running", isRunning);
    setText(byId("task-agent"), info.agent_id ?? "");
    setText(byId("usage"), usageText(info.usage, info.cost));
    const cancel = byId("cancel");
    const hadFocus = document.activeElement === cancel;
    cancel.hidden = !isRunning || cancel.dataset.can === "false";
    if (hadFocus && cancel.hidden) refocus();
    this.#requests.show(info.requests ?? [], { isNews: this.#isTold });
    this.#connection.updated(info.connection);
    this.#showAge();
    if (!info.id) return; // only what the page itself knows
    const name = visible(info.name || this.#ref);
    document.title = `${info.requests?.length ? "● " : ""}${name} - rxtasks`;
    this.#hooks.onInfo(this.#ref, info);
    if (this.#isTold && before?.status !== info.status) announceStatus(info.status);
  }

  #showAge() {
    const created = this.#info.created_at;
    const age = byId("task-age");
    setText(age, created ? `${ageText(Date.parse(created))} ago` : "");
    if (created) age.dateTime = created;
  }
}

function refusal({ status, message }) {
  const why = "It may have been deleted, or the address is wrong.";
  return status === 404 ? `${message} ${why}` : message;
}
