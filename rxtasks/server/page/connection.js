// How the task is being watched, in a word: our connection to the server, and the server's to the
// platform. The word is the platform's only while ours is open.

import { byId, setText } from "./dom.js";

const WORDS = {
  connecting: "connecting",
  "signed-out": "signed out",
  refused: "not connected",
  ended: "ended",
};

export class Connection {
  #state = { is: "connecting" };
  #platform = "";
  #retryAt = 0; // when the server will try the platform again
  #timer = null;

  changed(state) {
    this.#state = state;
    this.#show();
  }

  /** Take in what an update says: "live", "polling", "reconnecting" or "idle". */
  updated(connection = "") {
    this.#platform = connection;
    this.#show();
  }

  /** Take in a fault of the server's connection to the platform. */
  failed({ retry_in: seconds }) {
    this.#retryAt = Date.now() + seconds * 1000;
    this.#show();
  }

  close() {
    clearTimeout(this.#timer);
  }

  #show() {
    clearTimeout(this.#timer);
    const isOpen = this.#state.is === "open";
    const word = isOpen ? this.#platform || "connecting" : this.#state.is;
    const at = isOpen ? this.#retryAt : this.#state.at;
    const node = byId("connection");
    node.dataset.connection = word;
    if (word !== "reconnecting") return setText(node, WORDS[word] ?? word);
    const seconds = Math.ceil((at - Date.now()) / 1000);
    setText(node, seconds > 0 ? `reconnecting in ${seconds} s` : "reconnecting");
    if (seconds > 0) this.#timer = setTimeout(() => this.#show(), 500);
  }
}
