// What the agent waits for: approvals and questions, with buttons to answer them.

import { post, taskPath } from "./api.js";
import { announce } from "./announce.js";
import { sendByKey } from "./composing.js";
import { byId, element, refocus, setProblem } from "./dom.js";

const REFUSING = /^(no|reject|deny|decline|cancel|abort)\b/i;
const APPROVAL = { Approve: "approve", Reject: "reject" }; // where it names no answers

export class Requests {
  #box = byId("requests");
  #ref;
  #canRespond;
  #shown = new Map();

  constructor(ref, canRespond) {
    this.#ref = ref;
    this.#canRespond = canRespond;
  }

  /** Show those that are open; one that is shown already stays as it is. */
  show(requests, { isNews = true } = {}) {
    const open = new Set(requests.map((request) => request.id));
    for (const [id, panel] of this.#shown) {
      if (open.has(id)) continue;
      const hadFocus = panel.contains(document.activeElement);
      panel.remove();
      if (hadFocus) refocus();
      this.#shown.delete(id);
    }
    for (const request of requests) {
      if (this.#shown.has(request.id)) continue;
      const panel = this.#panel(request);
      this.#shown.set(request.id, panel);
      this.#box.append(panel);
      if (isNews) announce(`The agent asks: ${request.prompt ?? ""}`);
    }
  }

  close() {
    this.show([]);
  }

  #panel({ id, kind = "input", prompt = "", options = [] }) {
    const title = kind === "approval" ? "Approval wanted" : "Question";
    const form = element("form", { class: "request", "aria-label": title });
    form.append(element("h2", {}, title), element("div", { class: "text" }, prompt));
    const problem = element("p", { class: "problem", role: "alert", hidden: true });
    if (!this.#canRespond) {
      form.append(element("p", { class: "quiet" }, "The platform takes the answer only at its own place."));
      return form;
    }
    const asItSays = options.map((option) => [option, option]);
    const answers = options.length || kind !== "approval" ? asItSays : Object.entries(APPROVAL);
    const answer = (text) => this.#answer(form, problem, id, text);
    form.append(answers.length ? buttons(answers, answer) : field(form, answer), problem);
    return form;
  }

  async #answer(form, problem, id, answer) {
    const focused = document.activeElement;
    const controls = [...form.elements];
    for (const control of controls) control.disabled = true;
    setProblem(problem, null);
    try {
      await post(taskPath(this.#ref, `/requests/${encodeURIComponent(id)}`), { answer });
      if (controls.includes(focused)) refocus();
    } catch (error) {
      setProblem(problem, error.message);
      for (const control of controls) control.disabled = false;
      if (controls.includes(focused)) refocus(focused);
    }
  }
}

function buttons(answers, answer) {
  const row = element("div", { class: "row" });
  answers.forEach(([label, text], index) => {
    const look = REFUSING.test(text) ? "refusing" : index === 0 ? "main" : "";
    const button = element("button", { type: "button", class: look }, label);
    button.addEventListener("click", () => answer(text));
    row.append(button);
  });
  return row;
}

function field(form, answer) {
  // Several questions at once are answered line by line.
  const input = element("textarea", { "aria-label": "Answer", rows: "1", required: true });
  sendByKey(form, input);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    answer(input.value);
  });
  return element("div", { class: "row" }, input, element("button", { class: "main" }, "Answer"));
}
