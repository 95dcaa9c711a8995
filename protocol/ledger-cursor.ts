/**
 * Where a reader is in an account's entries: in the account's own chain, or after it in those of its slices, one after the
 * other (docs/decisions/0029). A number, so that the account's own entries are asked for by their sequence numbers.
 */

const CHAIN = 2 ** 46;

export interface LedgerPlace {
  /** 0 for the account's own chain. */
  readonly slice: number;
  readonly seq: number;
}

export function cursorOf({ slice, seq }: LedgerPlace): number {
  return slice * CHAIN + seq;
}

export function placeOf(cursor: number): LedgerPlace {
  return { slice: Math.floor(cursor / CHAIN), seq: cursor % CHAIN };
}
