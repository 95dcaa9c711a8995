/**
 * What a reading that takes a while may count of a balance (economics.md §7).
 *
 * Balances are read page by page, each page at a slot of its own, so stake that wanders from a page that comes later to one
 * that was read already, or back, could be seen twice. Each balance therefore counts its smallest value in the span of the
 * whole reading. No two of them can count the same stake then: none counts more than it had at the end of the span, and at
 * that moment every unit was in one place.
 */

import type { StakeUnits } from "../units.ts";

/** From the first slot of a reading to its last one, both inclusive. */
export interface SlotSpan {
  readonly first: number;
  readonly last: number;
}

/** What a transaction made of a balance. */
export interface Movement {
  readonly slot: number;
  readonly before: StakeUnits;
  readonly after: StakeUnits;
}

export function isWithin({ first, last }: SlotSpan, slot: number): boolean {
  return first <= slot && slot <= last;
}

/**
 * The smallest balance in a span: `read` was seen at one of its slots, and `movements` are all that the balance made in
 * it, in any order; others are passed over.
 */
export function smallestIn(span: SlotSpan, read: StakeUnits, movements: readonly Movement[]): StakeUnits {
  return movements
    .filter(({ slot }) => isWithin(span, slot))
    .flatMap(({ before, after }) => [before, after])
    .reduce((least, balance) => (balance < least ? balance : least), read);
}
