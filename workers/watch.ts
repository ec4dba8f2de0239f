// What the two sides of a thread's boundary see of each other while a task runs, in a few bytes of shared memory: that it is
// to stop, and the CPU it has used so far, which is all that is known of it when its thread dies.

export class TaskWatch {
  readonly memory: SharedArrayBuffer;
  readonly #stop: Int32Array;
  readonly #cpuSeconds: Float64Array;

  /** The thread is given the memory that the other side has made. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(16)) {
    this.memory = memory;
    this.#stop = new Int32Array(memory, 0, 1);
    this.#cpuSeconds = new Float64Array(memory, 8, 1);
  }

  get isToStop(): boolean {
    return Atomics.load(this.#stop, 0) === 1;
  }

  /** The task ends at its next record batch. */
  stop(): void {
    Atomics.store(this.#stop, 0, 1);
  }

  /** Written by the thread after every record batch; read when it is gone. */
  get cpuSeconds(): number {
    return this.#cpuSeconds[0] ?? 0;
  }

  set cpuSeconds(value: number) {
    this.#cpuSeconds[0] = value;
  }
}
