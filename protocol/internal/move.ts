/** What moves between an account and its slices (docs/decisions/0029). */

import type { Refund } from "../../core/account/state.ts";

/** Parts of lots on their way between an account and a slice. Idempotent by the id. */
export interface Move {
  readonly id: string;
  readonly slice: number;
  readonly parts: readonly Refund[];
  /** The last lease that the slice knew when it had nothing left and no job open; absent where it had. */
  readonly drained?: number;
}
