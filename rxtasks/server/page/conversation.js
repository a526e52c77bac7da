// What has been said in a task, put together from its events. It knows nothing of the page.

export class Conversation {
  /** Items in the platform's order: `{key, kind, at, version, value, text, thoughts, isLive}`. */
  items = [];
  agent = ""; // whose name stands at what is being typed
  #known = new Map();
  #count = 0;

  clear() {
    this.items = [];
    this.#known.clear();
  }

  /** Take an event in; give the item that it has changed. */
  apply(kind, value) {
    switch (kind) {
      case "typing":
      case "thinking":
        return this.#delta(kind, value);
      case "transport-fault":
      case "fatal-fault":
      case "gap":
        return this.#fault(kind, value);
      default:
        return this.#message(kind, value);
    }
  }

  #delta(kind, value) {
    const key = `message ${value.id}`;
    const item = this.#known.get(key) ?? this.#add(key, "agent", value);
    if (!item.isLive && item.value) return item; // it is final, and nothing can come of it
    item.isLive = true;
    item.agent = this.agent;
    const more = value.text ?? ""; // what is empty is left out on the way
    if (kind === "typing") item.text += more;
    else item.thoughts += more;
    item.version += 1;
    return item;
  }

  #message(kind, value) {
    const key = value.id ? `message ${value.id}` : `unnamed ${this.#count}`;
    const known = this.#known.get(key);
    const item = known ?? this.#add(key, kind, value);
    if (known && value.created_at && Date.parse(value.created_at) !== known.at) {
      this.#remove(known);
      known.at = Date.parse(value.created_at);
      this.#place(known);
    }
    item.kind = kind;
    item.value = value;
    item.text = value.text ?? "";
    item.thoughts = (value.thoughts ?? []).join("\n\n");
    item.isLive = false;
    item.version += 1;
    return item;
  }

  #fault(kind, value) {
    const last = this.items.at(-1);
    // An outage has a fault every few seconds: the newest of them stands for all.
    const goesOn = kind === "transport-fault" && last?.kind === kind;
    const item = goesOn ? last : this.#add(`fault ${this.#count}`, kind, value);
    item.value = value;
    item.times = (item.times ?? 0) + 1;
    item.version += 1;
    return item;
  }

  #add(key, kind, value) {
    // What has no time stays behind what came before it.
    const at = Date.parse(value.created_at ?? "") || (this.items.at(-1)?.at ?? 0);
    const item = {
      key, kind, at, version: 0, value: null, text: "", thoughts: "", isLive: false, opened: {},
    };
    this.#known.set(key, item);
    this.#count += 1;
    this.#place(item);
    return item;
  }

  #place(item) {
    let index = this.items.length;
    while (index > 0 && this.items[index - 1].at > item.at) index -= 1;
    this.items.splice(index, 0, item);
  }

  #remove(item) {
    this.items.splice(this.items.lastIndexOf(item), 1);
  }
}
