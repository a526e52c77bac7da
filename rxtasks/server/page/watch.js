// The stream of one task: the browser's EventSource, which resumes by itself with Last-Event-ID.
//
// Where the browser gives up (any answer but 200), and where a connection has been silent for so
// long that it may be dead, a new one takes over behind the last event that came: `?after=`.

import { get, taskPath, urlOf } from "./api.js";

const KINDS = [
  "user", "agent", "tool", "agent-error", "thinking", "typing", "agent-run", "handover", "unknown",
  "update", "transport-fault", "fatal-fault", "gap", "reset", "live", "end",
];
const RETRY = 1000; // milliseconds, as the server has told the browser
const SLOWEST = 15_000;
const SILENCE = 60_000;

export class Watch {
  #ref;
  #onEvent;
  #onState;
  #source = null;
  #position = null;
  #attempt = 0;
  #timer = null;
  #closed = false;

  /**
   * @param onEvent gets each event's kind and value, once and in order.
   * @param onState gets `{is}`: "connecting", "open", "reconnecting" (with `at`, milliseconds),
   *   "signed-out", "refused" (with `why`, an error) or "ended".
   */
  constructor(ref, { onEvent, onState }) {
    this.#ref = ref;
    this.#onEvent = onEvent;
    this.#onState = onState;
    onState({ is: "connecting" });
    this.#connect();
    addEventListener("online", this.reconnect);
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#source?.close();
    removeEventListener("online", this.reconnect);
  }

  /** Go on with a new connection; the old one stays until the new one is open. */
  reconnect = () => {
    if (!this.#closed) this.#connect();
  };

  #connect() {
    const url = urlOf(taskPath(this.#ref, "/events"));
    if (this.#position) url.searchParams.set("after", this.#position);
    const before = this.#source;
    const source = new EventSource(url);
    this.#source = source; // from now on, events of the one before are not ours
    source.onopen = () => {
      before?.close();
      if (source !== this.#source) return;
      this.#attempt = 0;
      this.#wait(SILENCE);
      this.#onState({ is: "open" });
    };
    source.onerror = () => {
      before?.close();
      if (source === this.#source) this.#failed(source);
    };
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        if (source === this.#source) this.#take(kind, event);
      });
    }
    this.#wait(SILENCE);
  }

  #take(kind, event) {
    this.#wait(SILENCE);
    if (event.lastEventId) this.#position = event.lastEventId;
    this.#onEvent(kind, JSON.parse(event.data));
    if (kind === "end") {
      this.close();
      this.#onState({ is: "ended" });
    }
  }

  #failed(source) {
    if (source.readyState === EventSource.CONNECTING) {
      this.#onState({ is: "reconnecting", at: Date.now() + RETRY });
    } else {
      clearTimeout(this.#timer);
      this.#askWhy();
    }
  }

  /** An EventSource does not say why it was refused. */
  async #askWhy() {
    let why = null;
    try {
      await get(taskPath(this.#ref));
    } catch (error) {
      why = error;
    }
    if (this.#closed) return;
    if (why?.status === 401) {
      this.#onState({ is: "signed-out" });
    } else if (why && !why.isPassing) {
      this.#onState({ is: "refused", why });
    } else {
      const longest = Math.min(SLOWEST, 1000 * 2 ** this.#attempt++);
      const delay = longest * (0.5 + Math.random() / 2);
      this.#onState({ is: "reconnecting", at: Date.now() + delay });
      this.#wait(delay);
    }
  }

  #wait(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.reconnect, delay);
  }
}
