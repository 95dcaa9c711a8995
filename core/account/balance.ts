/** What an account's owner sees of it. */

import { type Millicredits, type Peg, sum } from "../units.ts";
import { type Backing, type Lot, type LotKind, shown } from "./lots.ts";
import { packageSlots, type Slots, stakeSlots } from "./slots.ts";
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
  /** The slots that packages reserve; null while none is live. */
  readonly packages: Slots | null;
  /**
   * Today's allotment, what of it can still be held, the jobs that its stake carries, and when the next one is due; null
   * for an account without one.
   */
  readonly allotment:
    | ({
        readonly granted: Millicredits;
        readonly left: Millicredits;
        readonly refreshAt: number;
      } & Slots)
    | null;
}

/** What a slice of an account has. */
export interface Elsewhere {
  readonly lots: readonly Lot[];
  readonly openJobs: number;
}

/**
 * The balance in millicredits at a peg, with what the account's slices have. Lots that have expired but were not swept yet
 * count nothing.
 */
export function balanceOf(state: AccountState, peg: Peg, now: number, elsewhere: readonly Elsewhere[] = []): Balance {
  const all = elsewhere.length === 0 ? [...state.lots.values()] : merged(state.lots, elsewhere);
  const lots = all.map((lot) => ({
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
    openJobs: state.holds.size + elsewhere.reduce((open, { openJobs }) => open + openJobs, 0),
    packages: packageSlots(state, now),
    allotment: allotmentOf(state, peg, now),
  };
}

/** An allotment is never lent to slices, nor do they run its jobs, so the account's own lot is all of it. */
function allotmentOf(state: AccountState, peg: Peg, now: number): Balance["allotment"] {
  const { allotment, lots } = state;
  const slots = stakeSlots(state, now);
  if (allotment === null || slots === null) return null;
  return {
    ...slots,
    granted: shown("usdc", allotment.granted, peg),
    left: shown("usdc", lots.get(allotment.lot)?.available ?? 0, peg),
    refreshAt: allotment.expiresAt,
  };
}

/** Each lot once, with what of it is here and there. */
function merged(own: ReadonlyMap<string, Lot>, elsewhere: readonly Elsewhere[]): Lot[] {
  const lots = new Map(own);
  for (const lot of elsewhere.flatMap((each) => each.lots)) {
    const { available = 0, held = 0 } = lots.get(lot.id) ?? {};
    lots.set(lot.id, { ...lot, available: available + lot.available, held: held + lot.held });
  }
  return [...lots.values()];
}
