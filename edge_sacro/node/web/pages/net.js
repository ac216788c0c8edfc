// Requests to the node. The token, where one is needed, lives in this tab alone.

const KEY = "edge-sacro-token";

export class Problem extends Error {
  constructor(status, document) {
    super(document.what ?? "the node did not answer as expected");
    this.status = status;
    this.code = document.code ?? "unknown";
    this.remedy = document.remedy ?? "";
  }
}

let login = null;
export function onLogin(ask) {
  login = ask;
}

export function hasToken() {
  return sessionStorage.getItem(KEY) !== null;
}

/** Ask the node. Throws Problem where it refuses and TypeError where it does not answer. */
export async function ask(path, options = {}) {
  for (let wrong = false; ; wrong = true) {
    const token = sessionStorage.getItem(KEY);
    const headers = { ...(options.headers ?? {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    const answer = await fetch(path, { ...options, headers, cache: "no-store", credentials: "same-origin" });
    if (answer.ok) return answer;
    if (answer.status === 401 && login) {
      sessionStorage.setItem(KEY, await login(wrong && token !== null));
      continue;
    }
    let document = {};
    try {
      document = await answer.json();
    } catch {
      document = { what: `the node answered with status ${answer.status}` };
    }
    throw new Problem(answer.status, document);
  }
}

export const askJson = async (path, options) => (await ask(path, options)).json();

/** Save a file; through a request of our own where a token has to go along. */
export async function save(href, name) {
  const blob = await (await ask(href)).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
