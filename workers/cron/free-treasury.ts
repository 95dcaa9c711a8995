/** What of the treasury is free: finalized USDC beyond everything that is owed (economics.md §7, T). */

import type { MicroUsdc } from "../../core/units.ts";

export interface FreeTreasury {
  /** Null where nothing says what is free. It then counts as 0, for it is never assumed. */
  read(): Promise<MicroUsdc | null>;
}

/** No chain is watched, so nothing says what the treasury has. */
export const UNKNOWN_TREASURY: FreeTreasury = { read: () => Promise.resolve(null) };
