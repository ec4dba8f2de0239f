// How many requests one client may have in flight. Over the bound is an answer, 429, and costs next to nothing.
import { EvokeError } from '../core/errors.ts';

export class ClientQuota {
  readonly #requestsMax: number;
  readonly #inFlight = new Map<string, number>();

  constructor(requestsMax: number) {
    this.#requestsMax = requestsMax;
  }

  /**
   * Takes a place; whoever took it gives it back with `leave`.
   * @throws EvokeError TOO_MANY_REQUESTS when none is left.
   */
  enter(client: string): void {
    const inFlight = this.#inFlight.get(client) ?? 0;
    if (inFlight >= this.#requestsMax) {
      throw new EvokeError('TOO_MANY_REQUESTS', {
        detail: `${this.#requestsMax} requests of this client are in flight already.`,
        hint: 'Wait for an answer before asking for more; EVOKE_CLIENT_REQUESTS sets the bound.',
        retryAfterSeconds: 1,
      });
    }
    this.#inFlight.set(client, inFlight + 1);
  }

  leave(client: string): void {
    const inFlight = this.#inFlight.get(client) ?? 0;
    if (inFlight > 1) this.#inFlight.set(client, inFlight - 1);
    else this.#inFlight.delete(client);
  }

  /** Clients with something in flight. */
  get clients(): number {
    return this.#inFlight.size;
  }
}
