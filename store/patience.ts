// For whoever knows an answer and asks only whether it still holds: while the store fails or is silent, what is known counts,
// and nobody waits for a store that has just shown how it is.

/** A store that has not answered by then counts as one that fails. */
const patienceMs = 1000;
/** A failure casts doubt on the store for so long, or until it answers. */
const doubtMs = 10_000;

export class Patience {
  #failedAt = Number.NEGATIVE_INFINITY;

  /** Whether the store failed a moment ago: what is known counts without asking. */
  get inDoubt(): boolean {
    return performance.now() - this.#failedAt < doubtMs;
  }

  /** Watches what the store answers, or does not. */
  watch<T>(asking: Promise<T>): Promise<T> {
    asking.then(
      () => {
        this.#failedAt = Number.NEGATIVE_INFINITY;
      },
      () => this.#fail(),
    );
    return asking;
  }

  /** What a watched asking gives, or what is known when it fails or takes too long; it goes on then. Never rejects. */
  async askOr<T>(asking: Promise<T>, known: T): Promise<T> {
    const asked = asking.catch(() => known);
    if (this.inDoubt) return known;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<T>((resolve) => {
      timer = setTimeout(() => {
        this.#fail();
        resolve(known);
      }, patienceMs);
    });
    const answer = await Promise.race([asked, late]);
    clearTimeout(timer);
    return answer;
  }

  #fail(): void {
    this.#failedAt = performance.now();
  }
}
