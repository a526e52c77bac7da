// What stands in the address: `#task=<ref>` is shown, `#token=<token>` is taken out at once.

const read = () => new URLSearchParams(location.hash.slice(1));

/** Take a token out of the address and of the browser's history; null where there is none. */
export function takeToken() {
  const parameters = read();
  const token = parameters.get("token");
  if (token === null) return null;
  parameters.delete("token");
  const rest = parameters.toString();
  history.replaceState(null, "", location.pathname + location.search + (rest && `#${rest}`));
  return token;
}

export const shownTask = () => read().get("task");

export const addressOf = (ref) => `#${new URLSearchParams({ task: ref })}`;
