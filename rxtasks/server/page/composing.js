// A form with a text that is sent once: Ctrl+Enter sends, and a text that failed stays.

import { newKey, postOnce } from "./api.js";
import { refocus, setProblem } from "./dom.js";

/**
 * @param form has a `textarea`, a submit button and a `.problem`.
 * @param where gives the path that the text is posted to; it may throw a sentence.
 * @param onSent gets the server's answer.
 */
export function compose(form, where, onSent) {
  const text = form.querySelector("textarea");
  const button = form.querySelector("[type=submit]");
  const problem = form.querySelector(".problem");
  let attempt = null; // the same text to the same place is tried again with the same key

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled || !text.value.trim()) return text.focus();
    const focused = document.activeElement;
    button.disabled = true;
    setProblem(problem, null);
    try {
      const path = where();
      if (attempt?.path !== path || attempt.text !== text.value) {
        attempt = { path, text: text.value, key: newKey() };
      }
      const answer = await postOnce(path, { text: attempt.text }, attempt.key);
      if (text.value === attempt.text) text.value = "";
      attempt = null;
      onSent(answer);
    } catch (error) {
      setProblem(problem, error.message + advice(error));
      if (error.status) attempt = null; // the server has said so, and would say so again
    } finally {
      button.disabled = false;
      if (focused === button) refocus(button);
    }
  });

  sendByKey(form, text);
}

export function sendByKey(form, text) {
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

function advice({ status, mayHaveHappened }) {
  if (!mayHaveHappened) return "";
  if (!status) return " Send it again: it takes effect only once.";
  return " It may have been accepted: look before you send it again.";
}
