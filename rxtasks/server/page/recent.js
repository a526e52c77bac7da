// Tasks that this browser has seen, for platforms that cannot list theirs.

const KEY = `rxtasks ${location.pathname}`;
const MOST = 50;

export function recentTasks() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? [];
  } catch {
    return []; // no storage, or not ours
  }
}

export function remember(task) {
  store([task, ...recentTasks().filter((each) => each.ref !== task.ref)].slice(0, MOST));
}

export const forget = (ref) => store(recentTasks().filter((each) => each.ref !== ref));

export const forgetAll = () => store([]);

function store(tasks) {
  try {
    localStorage.setItem(KEY, JSON.stringify(tasks));
  } catch {
    // A browser that stores nothing still shows the page.
  }
}
