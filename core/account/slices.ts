/** What of an account is lent to its slices (docs/decisions/0029). */

import { GENESIS_PEG, type Millicredits, type NanoUsd, type Peg, sum } from "../units.ts";
import { fundingOrder, isLive, type Lot, type LotKind, shown } from "./lots.ts";
import { packageSlots } from "./slots.ts";
import type { AccountState, Refund } from "./state.ts";

/** The kinds that are lent, in the order in which they pay. What pays before them stays, and so does the account's allotment. */
const LENT: readonly LotKind[] = ["earned", "topup"];
const FIRST: readonly LotKind[] = ["bonus", "received"];
/** Lots of one lease: each is a part of its entry, and an account has few that are not used up. */
const MOST_LOTS = 64;

/** What some lots have free, as it is shown. */
export function worthOf(lots: Iterable<Pick<Lot, "backing" | "available">>, peg: Peg = GENESIS_PEG): Millicredits {
  return sum([...lots].map(({ backing, available }) => shown(backing, available, peg)));
}

/** Whether slices may only run jobs that name `public` and allow paid credits: others have an allotment or a package first. */
export function isNamedOnly(state: AccountState, now: number): boolean {
  const { allotment } = state;
  return (allotment !== null && allotment.expiresAt > now) || packageSlots(state, now) !== null;
}

/**
 * What each slice is given, so that the account and its slices have equal parts of every lot that lasts until `until`.
 * `has` says what each of them has already; nothing is taken from one that has more. Null where nothing is lent: there is
 * something that pays before these lots, or a part would not cover `least`.
 */
export function planLeases(
  state: AccountState,
  has: readonly (readonly Lot[])[],
  until: number,
  least: NanoUsd,
  now: number,
): readonly (readonly Refund[])[] | null {
  if (fundingOrder(state.lots.values(), FIRST, now).length > 0) return null;
  const given: Refund[][] = has.map(() => []);
  const parts: Millicredits[] = [];
  for (const { lot: id } of fundingOrder(state.lots.values(), LENT, now).slice(0, MOST_LOTS)) {
    const lot = state.lots.get(id);
    if (lot === undefined || !isLive(lot, until)) continue;
    const { kind, backing, expiresAt, concurrency } = lot;
    const there = has.map((lots) => lots.find((other) => other.id === id)?.available ?? 0);
    const equal = Math.floor((lot.available + there.reduce((all, each) => all + each, 0)) / (has.length + 1));
    parts.push(shown(backing, equal, GENESIS_PEG));
    let rest = lot.available;
    for (const [index, own] of there.entries()) {
      const amount = Math.min(rest, Math.max(0, equal - own));
      if (amount > 0) given[index]?.push({ lot: id, kind, backing, amount, expiresAt, concurrency });
      rest -= amount;
    }
  }
  return sum(parts) >= least ? given : null;
}
