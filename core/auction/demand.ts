/** How much a pool is asked for (economics.md §4): the factor that every ask of the public lane is multiplied by. */

import { WHOLE } from "../lanes.ts";
import type { Parameters } from "../parameters.ts";
import { type BasisPoints, mulDivCeil } from "../units.ts";

/** What demand follows from. */
export interface Load {
  /** Slots of the pool's daemons. */
  readonly slots: number;
  /** Jobs of the public lane that run, and others that wait: the job that is being priced is not among them. */
  readonly running: number;
  readonly queued: number;
}

/**
 * The factor in basis points, rounded up: 1 up to 60 % ◆ of the slots in use, linear to 2 ◆ at all of them, then 1 more for
 * each waiting job per slot, and never above 3 ◆. A job that waits takes up what is free before it counts as beyond the
 * slots (docs/decisions/0052). Null for a pool without slots: it has no asks.
 */
export function demandOf({ slots, running, queued }: Load, parameters: Parameters): BasisPoints | null {
  if (slots <= 0) return null;
  const { demandFromBasisPoints: from, demandFullBasisPoints: full, demandMostBasisPoints: most } = parameters;
  const jobs = running + queued;
  const above = jobs * WHOLE - from * slots;
  if (above <= 0) return WHOLE;
  const factor =
    jobs < slots
      ? WHOLE + mulDivCeil(above, full - WHOLE, (WHOLE - from) * slots)
      : full + mulDivCeil(jobs - slots, WHOLE, slots);
  return Math.min(factor, most) as BasisPoints;
}
