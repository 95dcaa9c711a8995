/** Which one a step means: the newest are the likeliest to be open, so they count from the end. */
export function pick<T>(list: readonly T[], which: number): T | undefined {
  return list[list.length - 1 - (which % Math.max(1, list.length))];
}
