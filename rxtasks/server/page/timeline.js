// Events per second over the last two minutes, as bars.

import { byId, setText } from "./dom.js";
import { number } from "./wording.js";

const SECONDS = 120;
const HEIGHT = 24;

export class Timeline {
  #counts = new Array(SECONDS).fill(0);
  #second = now();
  #path = byId("timeline").querySelector("path");
  #timer = setInterval(() => this.#draw(), 1000);

  count() {
    this.#advance();
    this.#counts[SECONDS - 1] += 1;
  }

  close() {
    clearInterval(this.#timer);
    this.#counts.fill(0);
    this.#draw();
  }

  #advance() {
    const passed = Math.min(SECONDS, now() - this.#second);
    if (passed <= 0) return;
    this.#counts.splice(0, passed);
    while (this.#counts.length < SECONDS) this.#counts.push(0);
    this.#second = now();
  }

  #draw() {
    this.#advance();
    const peak = Math.max(...this.#counts);
    const bars = this.#counts.map((count, second) => {
      // One event is to be seen beside a thousand.
      const height = count ? Math.max(2, (count / peak) * HEIGHT) : 0;
      return height ? `M${second} ${HEIGHT}v${-height}h1v${height}z` : "";
    });
    this.#path.setAttribute("d", bars.join(""));
    const rate = this.#counts[SECONDS - 2]; // the last second that is over
    setText(byId("rate"), peak ? `${number(rate)}/s` : "");
    const label = `${number(rate)} events per second, ${number(peak)} at most in two minutes`;
    byId("timeline").setAttribute("aria-label", label);
  }
}

const now = () => Math.floor(Date.now() / 1000);
