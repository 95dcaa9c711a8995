/**
 * An account's state and the events that change it. The state is a fold over two append-only series that the object
 * stores: holds and entries. Whatever decides (hold.ts, resolve.ts) reads the state and returns an event;
 * only {@link apply} writes.
 */

import type { JobId, KeyId } from "../ids.ts";
import type { Lane } from "../lanes.ts";
import type { NanoUsd, Peg } from "../units.ts";
import type { Draw, Lot } from "./lots.ts";

/** A reservation that is open: made by `hold`, ended once by post, void or expire. */
export interface Hold {
  readonly job: JobId;
  /** Counts an account's holds upwards, so that a restart can tell which ones its snapshot knows. */
  readonly order: number;
  readonly at: number;
  readonly expiresAt: number;
  readonly key: KeyId;
  readonly lane: Lane;
  readonly model: string;
  /** SHA-256 of the request's body in hex: the same idempotency key must bring the same body. */
  readonly body: string;
  /** Fixed when the hold was made (economics.md §1). */
  readonly peg: Peg;
  /** The worst case; the charge never exceeds it. */
  readonly price: NanoUsd;
  readonly promptBound: number;
  readonly completionCap: number;
  readonly draws: readonly Draw[];
}

export interface AccountState {
  readonly lots: Map<string, Lot>;
  readonly holds: Map<JobId, Hold>;
  /** Sequence number of the last entry; 0 before the first. */
  seq: number;
  /** SHA-256 of the last entry's body in hex; 64 zeros before the first. */
  head: string;
  /** Order number of the last hold. */
  order: number;
  /** The latest time that was recorded; time never runs backwards in an account. */
  clock: number;
}

export const GENESIS_HEAD = "0".repeat(64);

export function emptyAccount(): AccountState {
  return { lots: new Map(), holds: new Map(), seq: 0, head: GENESIS_HEAD, order: 0, clock: 0 };
}

/** What happened, with all that the fold needs. Entry events come with their place in the chain. */
export type AccountEvent =
  | { readonly type: "held"; readonly hold: Hold }
  | { readonly type: "credited"; readonly lot: Omit<Lot, "available" | "held"> }
  | { readonly type: "posted"; readonly job: JobId; readonly n: number; readonly draws: readonly Draw[] }
  | { readonly type: "voided"; readonly job: JobId; readonly reason: string }
  | { readonly type: "hold_expired"; readonly job: JobId }
  | { readonly type: "lot_expired"; readonly lot: string; readonly amount: number };

/** Where an entry stands in the account's chain. */
export interface Link {
  readonly seq: number;
  readonly head: string;
}

/**
 * Applies one event. An event that does not fit the state is a bug and throws; the object then drops its memory and
 * folds again from what is stored.
 */
export function apply(state: AccountState, event: AccountEvent, at: number, link?: Link): void {
  switch (event.type) {
    case "held": {
      for (const { lot, amount } of event.hold.draws) move(state, lot, { available: -amount, held: amount });
      state.holds.set(event.hold.job, event.hold);
      state.order = event.hold.order;
      break;
    }
    case "credited": {
      if (state.lots.has(event.lot.id)) throw new Error(`lot ${event.lot.id} exists`);
      state.lots.set(event.lot.id, { ...event.lot, available: event.lot.granted, held: 0 });
      break;
    }
    case "posted": {
      const hold = state.holds.get(event.job);
      // A receipt without an open hold (it came after the expiry) moves nothing.
      if (hold === undefined && event.draws.length > 0) throw new Error(`no open hold for ${event.job}`);
      if (hold !== undefined) release(state, hold, event.draws);
      break;
    }
    case "voided":
    case "hold_expired": {
      const hold = state.holds.get(event.job);
      if (hold === undefined) throw new Error(`no open hold for ${event.job}`);
      release(state, hold, []);
      break;
    }
    case "lot_expired": {
      move(state, event.lot, { available: -event.amount, held: 0 });
      break;
    }
  }
  state.clock = Math.max(state.clock, at);
  if (link !== undefined) {
    state.seq = link.seq;
    state.head = link.head;
  }
}

/** Ends a hold: what was drawn is gone, the rest becomes available again. */
function release(state: AccountState, hold: Hold, drawn: readonly Draw[]): void {
  const spent = new Map(drawn.map(({ lot, amount }) => [lot, amount]));
  for (const { lot, amount } of hold.draws) {
    const used = spent.get(lot) ?? 0;
    if (used > amount) throw new Error(`more drawn from lot ${lot} than was held`);
    move(state, lot, { available: amount - used, held: -amount });
    spent.delete(lot);
  }
  if (spent.size > 0) throw new Error("drawn from a lot that was not held");
  state.holds.delete(hold.job);
}

function move(state: AccountState, id: string, change: { available: number; held: number }): void {
  const lot = state.lots.get(id);
  if (lot === undefined) throw new Error(`no lot ${id}`);
  const available = lot.available + change.available;
  const held = lot.held + change.held;
  if (available < 0 || held < 0) throw new Error(`lot ${id} would become negative`);
  if (available === 0 && held === 0) state.lots.delete(id);
  else Object.assign(lot, { available, held });
}

/** The state as JSON, for a snapshot row. */
export function dump(state: AccountState): string {
  return JSON.stringify({ ...state, lots: [...state.lots.values()], holds: [...state.holds.values()] });
}

/** The inverse of {@link dump}. */
export function restore(json: string): AccountState {
  const raw = JSON.parse(json) as Omit<AccountState, "lots" | "holds"> & { lots: Lot[]; holds: Hold[] };
  return {
    ...raw,
    lots: new Map(raw.lots.map((lot) => [lot.id, lot])),
    holds: new Map(raw.holds.map((hold) => [hold.job, hold])),
  };
}
