// Work for the next animation frame: however often it is asked for, it is done once.

const due = new Set();

export function nextFrame(work) {
  if (!due.size) requestAnimationFrame(run);
  due.add(work);
}

function run() {
  const now = [...due];
  due.clear();
  for (const work of now) work();
}
