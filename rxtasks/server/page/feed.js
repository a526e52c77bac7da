// A list of any length, of which only what can be seen is in the page.
//
// Above and below the shown part stand two empty boxes as high as what they stand for; heights are
// estimated until an item has been shown. Everything happens once per animation frame: it looks
// where it is scrolled to, shows that part, measures it, and puts right what it had estimated.

import { element } from "./dom.js";
import { nextFrame } from "./frames.js";

const MARGIN = 600; // pixels that are shown before and behind what can be seen
const NEAR = 24; // pixels from the end that count as the end
const PASSES = 4;

export class Feed {
  items = [];
  follows = true; // stays at the end while the list grows
  #scroller;
  #makeView;
  #onScroll;
  #views = new Map();
  #before = element("div", { "aria-hidden": "true" });
  #window = element("div", { class: "feed-window" });
  #after = element("div", { "aria-hidden": "true" });
  #observer = new ResizeObserver(() => this.refreshSoon());
  #measured = { total: 0, count: 0 };

  /**
   * @param makeView makes `{node, version, update(item)}` for an item.
   * @param onScroll is called when it has been scrolled, or shown anew.
   */
  constructor(scroller, makeView, onScroll = () => {}) {
    this.#scroller = scroller;
    this.#makeView = makeView;
    this.#onScroll = onScroll;
    scroller.append(this.#before, this.#window, this.#after);
    scroller.addEventListener("scroll", () => {
      this.follows = this.#isAtEnd();
      this.refreshSoon();
    });
    this.#observer.observe(scroller);
  }

  refreshSoon = () => nextFrame(this.#refresh);

  /** Show a list from its end. */
  reset(items) {
    this.items = items;
    this.follows = true;
    this.#measured = { total: 0, count: 0 };
    for (const key of this.#views.keys()) this.#drop(key);
    this.refreshSoon();
  }

  toEnd() {
    this.follows = true;
    this.refreshSoon();
  }

  /** Stay where it is: what is looked at has grown by the reader's own will. */
  hold() {
    this.follows = false;
    this.refreshSoon();
  }

  /** Put the focus on the item that is so many further on than the one that has it. */
  move(steps) {
    const focused = document.activeElement?.closest?.("[data-key]")?.dataset.key;
    const from = this.items.findIndex((item) => item.key === focused);
    const start = from < 0 ? this.items.length - (steps < 0 ? 0 : 1) : from;
    const to = Math.min(Math.max(start + steps, 0), this.items.length - 1);
    if (to < 0) return;
    const item = this.items[to];
    if (!this.#views.has(item.key)) {
      this.follows = false;
      this.#scroller.scrollTop = this.#heightOf(0, to);
      this.#refresh();
    }
    const node = this.#views.get(item.key)?.node;
    node?.focus({ preventScroll: true });
    node?.scrollIntoView({ block: "nearest" });
  }

  #refresh = () => {
    const anchor = this.follows ? null : this.#anchor();
    for (let pass = 0; pass < PASSES; pass += 1) {
      const range = this.#range();
      this.#show(...range);
      if (!this.#measure(...range)) break;
    }
    if (this.follows) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    else this.#keep(anchor);
    this.#onScroll();
  };

  // ---------------------------------------------------------------- where it is scrolled to

  #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  /** The first item that can be seen, and where. */
  #anchor() {
    const { top, bottom } = this.#scroller.getBoundingClientRect();
    for (const node of this.#window.children) {
      const box = node.getBoundingClientRect();
      if (box.bottom > top && box.top < bottom) return { node, top: box.top };
    }
    return null;
  }

  #keep(anchor) {
    if (!anchor?.node.isConnected) return;
    const moved = anchor.node.getBoundingClientRect().top - anchor.top;
    if (Math.abs(moved) >= 1) this.#scroller.scrollTop += moved;
  }

  #height(item) {
    return item.height ?? (this.#measured.count ? this.#measured.total / this.#measured.count : 80);
  }

  #heightOf(first, last) {
    let height = 0;
    for (let index = first; index < last; index += 1) height += this.#height(this.items[index]);
    return height;
  }

  #range() {
    const { clientHeight, scrollTop } = this.#scroller;
    const whole = this.#heightOf(0, this.items.length);
    const top = this.follows ? whole - clientHeight : Math.min(scrollTop, whole);
    let first = 0;
    let height = 0;
    while (first < this.items.length && height + this.#height(this.items[first]) < top - MARGIN) {
      height += this.#height(this.items[first]);
      first += 1;
    }
    let last = first;
    while (last < this.items.length && height < top + clientHeight + MARGIN) {
      height += this.#height(this.items[last]);
      last += 1;
    }
    return [first, last];
  }

  // ---------------------------------------------------------------- what is in the page

  #show(first, last) {
    const wanted = this.items.slice(first, last);
    const keys = new Set(wanted.map((item) => item.key));
    for (const key of this.#views.keys()) if (!keys.has(key)) this.#drop(key);
    let place = this.#window.firstChild;
    wanted.forEach((item, offset) => {
      const { node } = this.#viewOf(item);
      node.setAttribute("aria-posinset", first + offset + 1);
      node.setAttribute("aria-setsize", this.items.length);
      if (node === place) place = place.nextSibling;
      else this.#window.insertBefore(node, place);
    });
    this.#before.style.height = `${this.#heightOf(0, first)}px`;
    this.#after.style.height = `${this.#heightOf(last, this.items.length)}px`;
  }

  #viewOf(item) {
    let view = this.#views.get(item.key);
    if (!view) {
      view = this.#makeView(item);
      view.node.dataset.key = item.key;
      this.#views.set(item.key, view);
      this.#observer.observe(view.node);
    }
    if (view.version !== item.version) {
      view.update(item);
      view.version = item.version;
    }
    return view;
  }

  #drop(key) {
    const { node } = this.#views.get(key);
    if (node.contains(document.activeElement)) this.#scroller.focus({ preventScroll: true });
    this.#observer.unobserve(node);
    this.#views.delete(key);
    node.remove();
  }

  /** Measure what is shown; whether something was not as high as it was thought to be. */
  #measure(first, last) {
    let changed = false;
    for (const item of this.items.slice(first, last)) {
      const { height } = this.#views.get(item.key).node.getBoundingClientRect();
      if (item.height !== undefined && Math.abs(height - item.height) < 0.5) continue;
      this.#measured.total += height - (item.height ?? 0);
      this.#measured.count += item.height === undefined ? 1 : 0;
      item.height = height;
      changed = true;
    }
    return changed;
  }
}
