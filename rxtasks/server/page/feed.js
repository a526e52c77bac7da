// A list of any length, of which only what can be seen is in the page.
//
// Above and below the shown part stand two empty boxes as high as what they stand for; heights are
// estimated until an item has been shown. So a place is kept as an item and a distance into it, not
// as a number of pixels. Everything happens once per animation frame: it shows what is at the place,
// measures it, and puts right what it had estimated. That is left to the box above as long as it can
// be, since a script that scrolls would stop the browser's own motion.

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
  #place = null; // `{item, into}`: what is at the upper edge
  #above = 0; // pixels that stand above what is shown
  #slack = 0; // pixels by which the box above is higher than that
  #jumps = false; // somebody has asked for another place
  #room = 0; // how high the scroller was when it was last looked at

  /**
   * @param makeView makes `{node, kind, version, update(item)}` for an item.
   * @param onScroll is called when it has been scrolled, or shown anew.
   */
  constructor(scroller, makeView, onScroll = () => {}) {
    this.#scroller = scroller;
    this.#makeView = makeView;
    this.#onScroll = onScroll;
    scroller.append(this.#before, this.#window, this.#after);
    scroller.addEventListener("scroll", () => {
      this.#look();
      this.refreshSoon();
    });
    scroller.addEventListener("keydown", (event) => this.#jump(event));
    this.#observer.observe(scroller);
  }

  refreshSoon = () => nextFrame(this.#refresh);

  /** Show a list from its end. */
  reset(items) {
    this.items = items;
    this.follows = true;
    this.#place = null;
    this.#slack = 0;
    this.#measured = { total: 0, count: 0 };
    for (const key of this.#views.keys()) this.#drop(key);
    this.refreshSoon();
  }

  // What is asked for is done at once: a scroll event on its way would undo it.

  toEnd() {
    this.follows = true;
    this.#refresh();
  }

  toStart() {
    this.#goTo(this.items[0]);
  }

  /** Stay where it is: what is looked at has grown by the reader's own will. */
  hold() {
    this.follows = false;
    this.#refresh();
  }

  #goTo(item) {
    this.follows = false;
    this.#place = { item, into: 0 };
    this.#jumps = true;
    this.#refresh();
  }

  /** Put the focus on the item that is so many further on than the one that has it. */
  move(steps) {
    const focused = document.activeElement?.closest?.("[data-key]")?.dataset.key;
    const from = this.items.findIndex((item) => item.key === focused);
    const start = from < 0 ? this.items.length - (steps < 0 ? 0 : 1) : from;
    const to = Math.min(Math.max(start + steps, 0), this.items.length - 1);
    if (to < 0) return;
    const item = this.items[to];
    if (!this.#views.has(item.key)) this.#goTo(item);
    const node = this.#views.get(item.key)?.node;
    node?.focus({ preventScroll: true });
    node?.scrollIntoView({ block: "nearest" });
  }

  #refresh = () => {
    for (let pass = 0; pass < PASSES; pass += 1) {
      const range = this.#range();
      this.#show(...range);
      if (!this.#measure(...range)) break;
    }
    this.#scroll();
    this.#room = this.#scroller.clientHeight;
    this.#look();
    this.#onScroll();
  };

  // ---------------------------------------------------------------- where it is scrolled to

  #jump(event) {
    if (event.target !== this.#scroller || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Home") this.toStart();
    else if (event.key === "End") this.toEnd();
    else return;
    event.preventDefault();
  }

  /** Take in where it is scrolled to. */
  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    // What takes room from it, as a question does, is no wish to read further up.
    const isLess = this.follows && clientHeight < this.#room;
    this.follows = isLess || scrollHeight - scrollTop - clientHeight < NEAR;
    if (!isLess) this.#room = clientHeight;
    let into = scrollTop - this.#slack;
    this.#place = null;
    for (const item of this.items) {
      const height = this.#height(item);
      if (into < height) {
        this.#place = { item, into };
        return;
      }
      into -= height;
    }
  }

  /** Bring the place to the upper edge: by scrolling, or by what stands above it. */
  #scroll() {
    const { scrollTop } = this.#scroller;
    const top = this.#top();
    const slack = scrollTop - top;
    const canStay = this.#above > 0 && this.#above + slack > MARGIN;
    this.#slack = canStay && !this.follows && !this.#jumps ? slack : 0;
    this.#jumps = false;
    this.#before.style.height = `${this.#above + this.#slack}px`;
    const to = this.follows ? this.#scroller.scrollHeight : top + this.#slack;
    if (Math.abs(to - scrollTop) >= 1) this.#scroller.scrollTop = to;
  }

  /** Where the upper edge is to be, in pixels, without the slack. */
  #top() {
    const index = this.items.indexOf(this.#place?.item);
    if (index < 0) return this.#scroller.scrollTop - this.#slack;
    return this.#heightOf(0, index) + this.#place.into;
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
    const { clientHeight } = this.#scroller;
    const top = this.follows ? this.#heightOf(0, this.items.length) - clientHeight : this.#top();
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
    const views = wanted.map((item) => this.#viewOf(item));
    let next = this.#window.firstChild;
    views.forEach(({ node }, offset) => {
      node.setAttribute("aria-posinset", first + offset + 1);
      node.setAttribute("aria-setsize", this.items.length);
      if (node === next) next = next.nextSibling;
      else this.#window.insertBefore(node, next);
    });
    this.#above = this.#heightOf(0, first);
    this.#before.style.height = `${this.#above + this.#slack}px`;
    this.#after.style.height = `${this.#heightOf(last, this.items.length)}px`;
  }

  #viewOf(item) {
    let view = this.#views.get(item.key);
    if (view && view.kind !== item.kind) {
      this.#drop(item.key); // what was being typed has become something else
      view = null;
    }
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
