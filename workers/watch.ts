// What the two sides of a thread's boundary see of each other while a task runs, in a few bytes of shared memory: that it is
// to stop, and what each link of its chain has taken so far, which is all that is known of it when its thread dies.

/** Of one link: whole microseconds, so that the links add up exactly, and whole events. */
export interface LinkTaken {
  readonly cpuMicros: number;
  readonly wallMicros: number;
  /** Events that were read from stored chunks. */
  readonly readEvents: number;
  /** Events that were made. */
  readonly madeEvents: number;
}

const stopBytes = 8;
const figures = ['cpuMicros', 'wallMicros', 'readEvents', 'madeEvents'] as const satisfies (keyof LinkTaken)[];
const linkBytes = figures.length * Float64Array.BYTES_PER_ELEMENT;

export class TaskWatch {
  readonly memory: SharedArrayBuffer;
  readonly #stop: Int32Array;
  readonly #taken: Float64Array;

  /** The thread is given the memory that the other side has made. */
  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#stop = new Int32Array(memory, 0, 1);
    this.#taken = new Float64Array(memory, stopBytes);
  }

  /** Of a task for a chunk with so many inputs, one behind the other. */
  static for(inputs: number): TaskWatch {
    return new TaskWatch(new SharedArrayBuffer(stopBytes + (1 + inputs) * linkBytes));
  }

  get isToStop(): boolean {
    return Atomics.load(this.#stop, 0) === 1;
  }

  /** The task ends at its next record batch. */
  stop(): void {
    Atomics.store(this.#stop, 0, 1);
  }

  /** Written by the thread whenever it turns from one link to another, and after every record batch. Link 0 is the chunk's own. */
  add(link: number, figure: keyof LinkTaken, value: number): void {
    const at = link * figures.length + figures.indexOf(figure);
    this.#taken[at] = (this.#taken[at] ?? 0) + value;
  }

  taken(link: number): LinkTaken {
    const [cpuMicros = 0, wallMicros = 0, readEvents = 0, madeEvents = 0] = this.#taken.subarray(
      link * figures.length,
      (link + 1) * figures.length,
    );
    return { cpuMicros, wallMicros, readEvents, madeEvents };
  }

  /** Of all links. */
  get cpuSeconds(): number {
    let micros = 0;
    for (let at = 0; at < this.#taken.length; at += figures.length) micros += this.#taken[at] ?? 0;
    return micros / 1e6;
  }
}
