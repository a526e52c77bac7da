// Signing in: the token is exchanged for a cookie that no script can read, and then forgotten.

import { RequestFailed, get, openSession, remove, whoSignsIn } from "./api.js";
import { takeToken } from "./address.js";
import { byId, setProblem, setText } from "./dom.js";

const dialog = byId("sign-in");
const form = dialog.querySelector("form");
const field = byId("token");
const problem = dialog.querySelector(".problem");

const FIRST = "This server wants the token that it was started with.";
const AGAIN =
  "Your session has ended, as it does when the server is started anew. With the token you go on " +
  "where you were.";

let signedIn = null; // resolves the promise of those who wait for the form
let hadSession = false;
let goOn = () => {};

whoSignsIn(signIn);

/** Say what is to be done whenever somebody has signed in by the form. */
export const onSignedIn = (work) => (goOn = work);

/** Take a token from the address, if there is one; give the server's description of itself. */
export async function enter() {
  const token = takeToken();
  if (token !== null) await exchange(token).catch(() => {}); // what is wrong shows at once
  byId("sign-out").hidden = !(await hasToken());
  hadSession = true;
  return get("v1");
}

/** Whether the server wants a token; it has one when this returns. */
async function hasToken() {
  try {
    return (await get("session")).token;
  } catch (error) {
    if (error.status !== 401) throw error;
    await signIn();
    return true;
  }
}

/** Ask for the token until it is right; several who ask share one form. */
export function signIn() {
  if (!signedIn) {
    let resolve;
    const promise = new Promise((done) => (resolve = done));
    signedIn = { promise, resolve };
    setText(byId("sign-in-why"), hadSession ? AGAIN : FIRST);
    dialog.showModal();
  }
  return signedIn.promise;
}

export async function signOut() {
  try {
    await remove("session");
  } catch (error) {
    if (error.status !== 401) throw error; // there is no session any more
  }
  location.replace(location.pathname);
}

/** Exchange a token for a session. */
export function exchange(token) {
  // A header takes no other characters, and no token has any.
  if (!/^[\x20-\x7e]+$/.test(token)) throw new RequestFailed(401, "This is not the token.");
  return openSession(token);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  setProblem(problem, null);
  try {
    await exchange(field.value);
  } catch (error) {
    setProblem(problem, error.message);
    field.select();
    return;
  }
  field.value = "";
  const { resolve } = signedIn;
  signedIn = null;
  dialog.close();
  resolve();
  goOn();
});

dialog.addEventListener("cancel", (event) => event.preventDefault()); // nothing works without it
