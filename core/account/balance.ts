/** What an account's owner sees of it. */

import { type Millicredits, type Peg, sum } from "../units.ts";
import { type Backing, type LotKind, shown } from "./lots.ts";
import type { AccountState } from "./state.ts";

export interface Balance {
  readonly available: Millicredits;
  readonly held: Millicredits;
  readonly lots: readonly {
    readonly id: string;
    readonly kind: LotKind;
    readonly backing: Backing;
    readonly available: Millicredits;
    readonly held: Millicredits;
    readonly expiresAt: number | null;
  }[];
  readonly openJobs: number;
}

/** The balance in millicredits at a peg. Lots that have expired but were not swept yet count nothing. */
export function balanceOf(state: AccountState, peg: Peg, now: number): Balance {
  const lots = [...state.lots.values()].map((lot) => ({
    id: lot.id,
    kind: lot.kind,
    backing: lot.backing,
    available: shown(lot.backing, lot.expiresAt !== null && lot.expiresAt <= now ? 0 : lot.available, peg),
    held: shown(lot.backing, lot.held, peg),
    expiresAt: lot.expiresAt,
  }));
  return {
    available: sum(lots.map((lot) => lot.available)),
    held: sum(lots.map((lot) => lot.held)),
    lots,
    openJobs: state.holds.size,
  };
}
