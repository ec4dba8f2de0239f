// Finding a place in what is in order, in as many steps as its length has binary digits.

/** The first index whose item passes; the items that pass are the last ones. Their number when none does. */
export function firstThat<T>(items: readonly T[], passes: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (passes(items[middle] as T)) high = middle;
    else low = middle + 1;
  }
  return low;
}
