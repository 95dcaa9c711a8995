/** Lists that are in order. */

/** The item at an index that is there. */
export function itemAt<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`no item at ${index}`);
  return item;
}

/** How many items come first, from `from` on: those for which `isBefore` holds stand before all others. */
export function countBefore<T>(list: readonly T[], isBefore: (item: T) => boolean, from = 0): number {
  let [low, high] = [from, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(itemAt(list, middle))) low = middle + 1;
    else high = middle;
  }
  return low;
}
