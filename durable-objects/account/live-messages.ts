/** What watchers of a balance are told: made from the state as it is, and from the entries since they were told last. */

import { type Balance, balanceOf } from "../../core/account/balance.ts";
import { LIMITS } from "../../core/limits.ts";
import { GENESIS_PEG, type Millicredits } from "../../core/units.ts";
import { timeText } from "../../protocol/network/common.ts";
import { type LiveMessage, type LiveSince, type Mark, markText } from "../../protocol/network/live-balance.ts";
import { shownBalance, shownLot, shownTotals } from "../../protocol/network/shown-balance.ts";
import type { Ledger } from "./ledger.ts";
import type { Slices } from "./slices.ts";

/** A balance with the state that it was read from. */
export interface Reading {
  readonly mark: Mark;
  readonly balance: Balance;
  readonly at: number;
}

export function readBalance(
  { ledger, slices }: { readonly ledger: Ledger; readonly slices: Slices },
  now: number,
): Reading {
  const { state } = ledger;
  const at = ledger.timeOf(now);
  return { mark: { seq: state.seq, order: state.order }, balance: balanceOf(state, GENESIS_PEG, at, slices.known), at };
}

export function isSame(a: Mark, b: Mark): boolean {
  return a.seq === b.seq && a.order === b.order;
}

/** The whole balance, with what happened since a message that the watcher names. */
export function snapshotOf(ledger: Ledger, reading: Reading, after: Mark, minimum: Millicredits): LiveMessage {
  const { mark, balance } = reading;
  // A message of the future is one of another account, or of nobody.
  const from = after.seq <= mark.seq && after.order <= mark.order ? after : mark;
  return { type: "snapshot", ...shownBalance(balance, minimum), ...sinceOf(ledger, reading, from) };
}

/** What differs between two readings. */
export function changeOf(ledger: Ledger, before: Reading, reading: Reading): LiveMessage {
  const lots = new Map(before.balance.lots.map((lot) => [lot.id, lot]));
  const changed = reading.balance.lots.filter((lot) => {
    const old = lots.get(lot.id);
    lots.delete(lot.id);
    return old === undefined || old.available !== lot.available || old.held !== lot.held;
  });
  const none = 0 as Millicredits;
  const gone = [...lots.values()].map((lot) => ({ ...lot, available: none, held: none }));
  return {
    type: "change",
    ...shownTotals(reading.balance),
    lots: [...changed, ...gone].map(shownLot),
    ...sinceOf(ledger, reading, before.mark),
  };
}

function sinceOf({ store }: Ledger, { mark, at }: Reading, from: Mark): LiveSince {
  const entries = mark.seq === from.seq ? [] : store.causes(from.seq, LIMITS.liveEntries);
  return {
    id: markText(mark),
    at: timeText(at),
    entries,
    unlisted: mark.seq - from.seq - entries.length,
    jobs_begun: mark.order - from.order,
  };
}
