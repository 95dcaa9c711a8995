/** What a top-up has to be so that it covers what is missing. */

import { LIMITS } from "../limits.ts";
import { ceilDiv, type Millicredits, mulDivCeil, type NanoUsd, nanoUsd, type Peg } from "../units.ts";

const WHOLE_USD = 1_000_000_000;

/** A shortfall in whole USD, rounded up, and one at least; null where no deposit may be so large. */
export function topUpFor(shortfall: Millicredits, peg: Peg): NanoUsd | null {
  const missing = mulDivCeil(shortfall, peg.nanoUsd, peg.millicredits);
  const amount = Math.max(1, ceilDiv(missing, WHOLE_USD)) * WHOLE_USD;
  return amount <= LIMITS.depositMostNanoUsd ? nanoUsd(amount) : null;
}
