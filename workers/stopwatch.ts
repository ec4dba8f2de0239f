// Measures on a thread what each link of a chain takes: at any moment one link is at work, and pays for it. Their sum is what
// the system counts of the thread, exactly. It may count in steps of some milliseconds, each of which then goes to the link that
// was at work when it ended: of one chunk a link's share is a sample, of many it is right.
import type { TaskWatch } from './watch.ts';

export class Stopwatch {
  readonly #watch: TaskWatch;
  readonly #cpu: NodeJS.CpuUsage;
  readonly #begun: number;
  #link = 0;
  /** Since it began, up to when it was last looked at. */
  #cpuMicros = 0;
  #wallMicros = 0;

  /** CPU is this thread's own, from now on; the chunk's own link is at work. */
  constructor(watch: TaskWatch) {
    this.#watch = watch;
    this.#cpu = process.threadCpuUsage();
    this.#begun = performance.now();
  }

  /** Another link is at work until this is done. */
  during<T>(link: number, work: () => T): T {
    const before = this.#link;
    this.look();
    this.#link = link;
    try {
      return work();
    } finally {
      this.look();
      this.#link = before;
    }
  }

  /** Whoever watches the task sees what was taken until now. */
  look(): void {
    const { user, system } = process.threadCpuUsage(this.#cpu);
    const wallMicros = Math.round((performance.now() - this.#begun) * 1000);
    this.#watch.add(this.#link, 'cpuMicros', user + system - this.#cpuMicros);
    this.#watch.add(this.#link, 'wallMicros', wallMicros - this.#wallMicros);
    this.#cpuMicros = user + system;
    this.#wallMicros = wallMicros;
  }
}
