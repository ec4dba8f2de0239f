// Speaks to the service the page came from: every request has an end, and what went wrong has a name.

const patienceMs = 8000;

/** The service answered, and the answer is a refusal. */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} [message] for a person: what was wrong, where
   * @param {string} [title] the same for all refusals of a kind
   */
  constructor(status, message = `The service answered ${status}.`, title = message) {
    super(message);
    this.status = status;
    this.title = title;
  }
}

/**
 * Whoever answers, whatever it says.
 * @param {string} path
 * @param {RequestInit} [init]
 */
const send = (path, init = {}) => fetch(path, { cache: 'no-cache', ...init, signal: AbortSignal.timeout(patienceMs) });

/**
 * Addresses are relative to the page, which may stand behind a proxy. Rejects with Refusal, or, where nobody answers, with
 * what `fetch` throws.
 * @param {string} path `v1/datasets`
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 */
export async function ask(path, init = {}) {
  const response = await send(path, init);
  if (response.ok) return response;
  const problem = await response.json().catch(() => undefined);
  const title = textOf(problem?.title);
  throw new Refusal(response.status, textOf(problem?.detail) ?? title, title);
}

/** @param {string} path @param {RequestInit} [init] @returns {Promise<any>} */
export async function askJson(path, init) {
  const response = await ask(path, init);
  return response.status === 204 ? undefined : response.json();
}

/**
 * What /readyz says, which is also an answer when it is 503.
 * @returns {Promise<{ status: string, missing: string[] }>}
 */
export async function askReadiness() {
  const response = await send('readyz');
  const said = await response.json();
  if (!Array.isArray(said?.missing)) throw new Refusal(response.status);
  return { status: response.ok ? String(said.status) : 'unready', missing: said.missing.map(String) };
}

/** @param {unknown} value */
const textOf = (value) => (typeof value === 'string' ? value : undefined);

/** What a person is told. @param {unknown} error */
export const messageOf = (error) => (error instanceof Refusal ? error.message : 'the service did not answer.');
