// Requests to the server. Each has a bound in time, and fails with a sentence for people.

const SECONDS = 30;

export class RequestFailed extends Error {
  /** `status` is 0 where no answer came. */
  constructor(status, message, mayHaveHappened = false) {
    super(message);
    this.status = status;
    this.mayHaveHappened = mayHaveHappened;
  }

  /** Whether asking again can help. */
  get isPassing() {
    return this.status === 0 || this.status >= 500 || [408, 425, 429].includes(this.status);
  }
}

/** Where something is, wherever the page is mounted. */
export const urlOf = (path) => new URL(path, document.baseURI.replace(/[?#].*/s, ""));

export const taskPath = (ref, rest = "") => `v1/tasks/${encodeURIComponent(ref)}${rest}`;

export const agentPath = (id, rest = "") => `v1/agents/${encodeURIComponent(id)}${rest}`;

export const get = (path) => ask("GET", path);

/** POST something; where the session has ended, again when somebody has signed in. */
export async function post(path, body = {}) {
  try {
    return await ask("POST", path, body);
  } catch (error) {
    if (error.status !== 401) throw error; // it was refused, and so has had no effect
    await signIn();
    return post(path, body);
  }
}

let signIn = null;

/** Say who signs in: a function that is done when it has been done. */
export const whoSignsIn = (ask) => (signIn = ask);

/** Exchange a token for a session. */
export const openSession = (token) =>
  ask("POST", "session", {}, { Authorization: `Bearer ${token}` });

export const remove = (path) => ask("DELETE", path, {});

/** POST something that must take effect once: who tries again uses the same key. */
export const postOnce = (path, body, key) => post(path, { ...body, idempotency_key: key });

/** Make a key. `crypto.randomUUID` is missing where the page does not come over TLS. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function ask(method, path, body, headers = {}) {
  let response;
  let text;
  try {
    response = await fetch(urlOf(path), {
      method,
      headers: body ? { "Content-Type": "application/json", ...headers } : headers,
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(SECONDS * 1000),
      cache: "no-store",
    });
    text = await response.text();
  } catch (error) {
    const late = error.name === "TimeoutError";
    const why = late ? `did not answer in ${SECONDS} seconds` : "cannot be reached";
    throw new RequestFailed(0, `The server ${why}.`, method !== "GET");
  }
  const found = parsed(text);
  if (response.ok) return found;
  const { message, maybe_accepted } = found?.error ?? {};
  throw new RequestFailed(
    response.status,
    sentence(message ?? `The server answered with status ${response.status}`),
    maybe_accepted ?? false,
  );
}

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null; // a proxy's page, for one
  }
}

function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
