/** Which of a model's pools a job asks, where there are several: by what each has said of its load a moment ago. */

/** What a pool has published. */
export interface PoolLoad {
  readonly region: string;
  readonly slots: number;
  readonly free: number;
  readonly waiting: number;
}

/** Slots that nobody waits for. */
function spare({ free, waiting }: PoolLoad): number {
  return free - waiting;
}

/**
 * The regions that a job asks, one after the other until one can serve it. The nearest is first as long as it has a slot to
 * spare, and where none has; else the one with the most to spare. Of the others, those with daemons follow, as needs differ:
 * the only daemons of a private network may be far away.
 */
export function poolsToAsk(nearest: string, loads: readonly PoolLoad[]): string[] {
  const home = loads.find(({ region }) => region === nearest);
  const others = loads.filter(({ region, slots }) => region !== nearest && slots > 0);
  others.sort((a, b) => spare(b) - spare(a) || (a.region < b.region ? -1 : 1));
  const isFull = home !== undefined && spare(home) <= 0;
  const [best] = others;
  const first = isFull && best !== undefined && spare(best) > 0 ? best.region : nearest;
  const rest = [nearest, ...others.map(({ region }) => region)].filter((region) => region !== first);
  return [first, ...rest];
}

/** Where a job that waits could run at once: the other region with the most to spare, or null. */
export function betterPool(current: string, loads: readonly PoolLoad[]): string | null {
  const others = loads.filter((load) => load.region !== current && spare(load) > 0);
  others.sort((a, b) => spare(b) - spare(a) || (a.region < b.region ? -1 : 1));
  return others[0]?.region ?? null;
}
