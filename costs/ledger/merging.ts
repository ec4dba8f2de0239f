// Merging sorted lists, also such that come to it while others are being taken from.

interface Cursor<T> {
  readonly list: readonly T[];
  /** Which list it was, in the order of their coming. */
  readonly order: number;
  at: number;
  next: T;
}

/** Gives the elements of sorted lists, the least first; of equal ones that of the earlier list. */
export class Merging<T> {
  readonly #compare: (a: T, b: T) => number;
  /** A heap of the lists by their next element. */
  readonly #heap: Cursor<T>[] = [];
  #lists = 0;

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  /** What `take` would give. */
  get next(): T | undefined {
    return this.#heap[0]?.next;
  }

  /** One more list: whatever in it is less than what was taken comes too late, and next. */
  add(list: readonly T[]): void {
    const order = this.#lists++;
    if (list.length === 0) return;
    this.#heap.push({ list, order, at: 0, next: list[0] as T });
    this.#rise(this.#heap.length - 1);
  }

  /** Takes the least element out; undefined when there is none left. Compares about log2(lists) times. */
  take(): T | undefined {
    const top = this.#heap[0];
    if (top === undefined) return undefined;
    const taken = top.next;
    top.at++;
    if (top.at < top.list.length) {
      top.next = top.list[top.at] as T;
    } else {
      const end = this.#heap.pop() as Cursor<T>;
      if (this.#heap.length === 0) return taken;
      this.#heap[0] = end;
    }
    this.#sink();
    return taken;
  }

  #rise(from: number): void {
    const heap = this.#heap;
    const cursor = heap[from] as Cursor<T>;
    let at = from;
    while (at > 0) {
      const parent = Math.floor((at - 1) / 2);
      if (!this.#isBefore(cursor, heap[parent] as Cursor<T>)) break;
      heap[at] = heap[parent] as Cursor<T>;
      at = parent;
    }
    heap[at] = cursor;
  }

  #sink(): void {
    const heap = this.#heap;
    const cursor = heap[0] as Cursor<T>;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const child =
        right < heap.length && this.#isBefore(heap[right] as Cursor<T>, heap[left] as Cursor<T>) ? right : left;
      if (!this.#isBefore(heap[child] as Cursor<T>, cursor)) break;
      heap[at] = heap[child] as Cursor<T>;
      at = child;
    }
    heap[at] = cursor;
  }

  #isBefore(a: Cursor<T>, b: Cursor<T>): boolean {
    return (this.#compare(a.next, b.next) || a.order - b.order) < 0;
  }
}
