/**
 * An account's state and the events that change it. The state is a fold over two append-only series that the object
 * stores: holds and entries. Whatever decides (hold.ts, resolve.ts) reads the state and returns an event;
 * only {@link apply} writes.
 */

import { epochOf } from "../allotment/epochs.ts";
import type { JobId, KeyId } from "../ids.ts";
import type { Lane } from "../lanes.ts";
import type { Rate } from "../pricing.ts";
import { DAY_MS } from "../time.ts";
import type { NanoUsd, Peg } from "../units.ts";
import { NO_SPENDING, type Spending, withEnded, withHeld } from "./budget.ts";
import type { Draw, Lot, LotKind } from "./lots.ts";

/** A reservation that is open: made by `hold`, ended once by post, void or expire. */
export interface Hold {
  readonly job: JobId;
  /** Counts an account's holds upwards, so that a restart can tell which ones its snapshot knows. */
  readonly order: number;
  readonly at: number;
  readonly expiresAt: number;
  readonly key: KeyId;
  readonly lane: Lane;
  /** Whether it runs in a slot that a package has reserved (economics.md §8). */
  readonly reserved: boolean;
  /** The highest rate that it may be served at; absent in holds from before lanes had one of their own. */
  readonly maxRate?: Rate;
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

/** Today's allotment. It outlives its lot, which is gone when it is used up. */
export interface Allotment {
  readonly lot: string;
  readonly granted: NanoUsd;
  /** Jobs that may run on it at once: one for each whole minimum stake. */
  readonly concurrency: number;
  readonly expiresAt: number;
  /** What each provider has earned of it: one payee gets a bounded part of it (economics.md §3). */
  readonly paid: Map<string, NanoUsd>;
}

export interface AccountState {
  readonly lots: Map<string, Lot>;
  readonly holds: Map<JobId, Hold>;
  readonly spending: Map<KeyId, Spending>;
  allotment: Allotment | null;
  /** Whether it has ever had a top-up or a package: accounts that never paid share one place in a queue (economics.md §8). */
  hasPaid: boolean;
  /** What of packages has expired of late: it comes back where their last day is found to be missed. */
  readonly lapsed: Map<string, Refund>;
  /** Until when packages last that were extended, also when they are used up. */
  readonly extended: Map<string, number>;
  /** The last days on which jobs of `dedicated` were begun, oldest first. */
  readonly dedicatedDays: number[];
  /** Sequence number of the last entry; 0 before the first. */
  seq: number;
  /** SHA-256 of the last entry's body in hex; 64 zeros before the first. */
  head: string;
  /** Order number of the last hold. */
  order: number;
  /** The latest time that was recorded; time never runs backwards in an account. */
  clock: number;
}

/** Days of `dedicated` that are remembered: an account's own alarm measures each within minutes of its end. */
const DEDICATED_DAYS = 31;

export const GENESIS_HEAD = "0".repeat(64);

export function emptyAccount(): AccountState {
  return {
    lots: new Map(),
    holds: new Map(),
    spending: new Map(),
    allotment: null,
    hasPaid: false,
    lapsed: new Map(),
    extended: new Map(),
    dedicatedDays: [],
    seq: 0,
    head: GENESIS_HEAD,
    order: 0,
    clock: 0,
  };
}

/** What returns to a lot, with what the lot needs to stand again where it was used up. */
export interface Refund extends Draw {
  readonly expiresAt: number | null;
  readonly concurrency: number;
}

/** What happened, with all that the fold needs. Entry events come with their place in the chain. */
export type AccountEvent =
  | { readonly type: "held"; readonly hold: Hold }
  | { readonly type: "credited"; readonly lot: Omit<Lot, "available" | "held"> }
  | {
      readonly type: "posted";
      readonly job: JobId;
      readonly n: number;
      readonly draws: readonly Draw[];
      /** The charge and the providing account; absent in entries of before there were budgets. */
      readonly nanoUsd?: NanoUsd;
      readonly payee?: string;
    }
  | { readonly type: "voided"; readonly job: JobId; readonly reason: string }
  | { readonly type: "hold_expired"; readonly job: JobId }
  | { readonly type: "lot_expired"; readonly lot: string; readonly amount: number }
  /** A receipt that was taken back: what its job was charged returns to the lots it came from. */
  | {
      readonly type: "reversed";
      readonly job: JobId;
      readonly n: number;
      readonly refunds: readonly Refund[];
      readonly payee: string;
    }
  /** Packages that a missed day gave a day more; what of them had expired comes back. */
  | { readonly type: "extended"; readonly parts: readonly Refund[] }
  | { readonly type: "sent"; readonly transfer: string; readonly draws: readonly Draw[] }
  /** What moved between an account and one of its slices, as it leaves here or comes in. */
  | { readonly type: "moved_out"; readonly draws: readonly Draw[] }
  | { readonly type: "moved_in"; readonly parts: readonly Refund[] }
  /** Credits that came into a lot that stays: one for all of its kind. */
  | { readonly type: "received"; readonly lot: string; readonly kind: LotKind; readonly amount: number };

/** Where an entry stands in the account's chain. */
export interface Link {
  readonly seq: number;
  readonly head: string;
  /** The slice whose chain it is; absent in the account's own. */
  readonly slice?: number;
}

/**
 * Applies one event. An event that does not fit the state is a bug and throws; the object then drops its memory and
 * folds again from what is stored.
 */
export function apply(state: AccountState, event: AccountEvent, at: number, link?: Link): void {
  switch (event.type) {
    case "held": {
      for (const { lot, amount } of event.hold.draws) move(state, lot, { available: -amount, held: amount });
      const { job, order, key, price } = event.hold;
      state.holds.set(job, event.hold);
      state.order = order;
      state.spending.set(key, withHeld(state.spending.get(key) ?? NO_SPENDING, price));
      if (event.hold.lane === "dedicated") rememberDay(state, epochOf(event.hold.at));
      break;
    }
    case "credited": {
      const { id, kind, granted, concurrency, expiresAt } = event.lot;
      if (state.lots.has(id)) throw new Error(`lot ${id} exists`);
      state.lots.set(id, { ...event.lot, available: granted, held: 0 });
      state.hasPaid ||= isBought(kind);
      if (kind === "allotment" && expiresAt !== null) {
        state.allotment = { lot: id, granted: granted as NanoUsd, concurrency, expiresAt, paid: new Map() };
      }
      break;
    }
    case "posted": {
      const hold = state.holds.get(event.job);
      // A receipt without an open hold (it came after the expiry) moves nothing.
      if (hold === undefined && event.draws.length > 0) throw new Error(`no open hold for ${event.job}`);
      if (hold !== undefined) release(state, hold, event.draws, event.nanoUsd ?? (0 as NanoUsd), at);
      if (event.payee !== undefined) pay(state, event.payee, event.draws);
      break;
    }
    case "voided":
    case "hold_expired": {
      const hold = state.holds.get(event.job);
      if (hold === undefined) throw new Error(`no open hold for ${event.job}`);
      release(state, hold, [], 0 as NanoUsd, at);
      break;
    }
    case "reversed": {
      for (const refund of event.refunds) bringBack(state, refund);
      pay(state, event.payee, event.refunds, -1);
      break;
    }
    case "extended": {
      for (const part of event.parts) extend(state, part);
      break;
    }
    case "moved_in": {
      for (const part of event.parts) bringBack(state, part);
      state.hasPaid ||= event.parts.some(({ kind }) => isBought(kind));
      break;
    }
    case "moved_out":
    case "sent": {
      for (const { lot, amount } of event.draws) move(state, lot, { available: -amount, held: 0 });
      break;
    }
    case "received": {
      receive(state, event);
      break;
    }
    case "lot_expired": {
      const lot = state.lots.get(event.lot);
      move(state, event.lot, { available: -event.amount, held: 0 });
      if (lot?.kind === "package") lapse(state, lot, event.amount, at);
      break;
    }
  }
  state.clock = Math.max(state.clock, at);
  if (link !== undefined) {
    state.seq = link.seq;
    state.head = link.head;
  }
}

function isBought(kind: LotKind): boolean {
  return kind === "topup" || kind === "package";
}

/** Ends a hold: what was drawn is gone, the rest becomes available again. */
function release(state: AccountState, hold: Hold, drawn: readonly Draw[], charge: NanoUsd, at: number): void {
  const spending = state.spending.get(hold.key) ?? NO_SPENDING;
  state.spending.set(hold.key, withEnded(spending, hold.price, charge, at));
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

function receive(state: AccountState, { lot: id, kind, amount }: AccountEvent & { type: "received" }): void {
  const before = state.lots.get(id);
  const [granted, available] = [(before?.granted ?? 0) + amount, (before?.available ?? 0) + amount];
  const held = before?.held ?? 0;
  state.lots.set(id, { id, kind, backing: "none", granted, available, held, expiresAt: null, concurrency: 0 });
}

/** Gives a lot back what was drawn from it; one that was used up stands again, for as long as it had. */
function bringBack(state: AccountState, { lot: id, amount, ...lot }: Refund): void {
  const standing = state.lots.get(id);
  if (standing !== undefined) standing.available += amount;
  else state.lots.set(id, { ...lot, id, granted: amount, available: amount, held: 0 });
}

function rememberDay({ dedicatedDays }: AccountState, day: number): void {
  if (dedicatedDays.at(-1) === day) return;
  dedicatedDays.push(day);
  if (dedicatedDays.length > DEDICATED_DAYS) dedicatedDays.shift();
}

/** Remembers what of a package has expired, and forgets what did so long ago. */
function lapse(
  { lapsed }: AccountState,
  { id, kind, backing, expiresAt, concurrency }: Lot,
  amount: number,
  at: number,
) {
  for (const [old, lot] of lapsed) if ((lot.expiresAt ?? 0) < at - DEDICATED_DAYS * DAY_MS) lapsed.delete(old);
  const before = lapsed.get(id)?.amount ?? 0;
  lapsed.set(id, { lot: id, kind, backing, amount: before + amount, expiresAt, concurrency });
}

/** Lets a package last longer, with what of it had expired. */
function extend(state: AccountState, part: Refund): void {
  const { lot: id, expiresAt } = part;
  bringBack(state, part);
  const lot = state.lots.get(id);
  if (lot === undefined || expiresAt === null) throw new Error(`no lot ${id} to extend`);
  state.lots.set(id, { ...lot, expiresAt });
  state.lapsed.delete(id);
  state.extended.set(id, expiresAt);
}

/** Remembers what a provider was paid out of today's allotment, or gave back to it. */
function pay({ allotment }: AccountState, payee: string, draws: readonly Draw[], sign: 1 | -1 = 1): void {
  if (allotment === null) return;
  for (const { lot, amount } of draws) {
    if (lot !== allotment.lot) continue;
    allotment.paid.set(payee, ((allotment.paid.get(payee) ?? 0) + sign * amount) as NanoUsd);
  }
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
  const { allotment } = state;
  return JSON.stringify({
    ...state,
    lots: [...state.lots.values()],
    holds: [...state.holds.values()],
    spending: [...state.spending],
    lapsed: [...state.lapsed],
    extended: [...state.extended],
    allotment: allotment && { ...allotment, paid: [...allotment.paid] },
  });
}

/** What keys have reserved, for a state from before that was kept. */
function spendingOf(holds: readonly Hold[]): Map<KeyId, Spending> {
  const spending = new Map<KeyId, Spending>();
  for (const { key, price } of holds) spending.set(key, withHeld(spending.get(key) ?? NO_SPENDING, price));
  return spending;
}

type Dumped = Pick<AccountState, "seq" | "head" | "order" | "clock"> & {
  readonly lots: (Omit<Lot, "concurrency"> & { readonly concurrency?: number })[];
  readonly holds: Hold[];
  readonly spending?: [KeyId, Spending][];
  readonly allotment?: (Omit<Allotment, "paid"> & { readonly paid: [string, NanoUsd][] }) | null;
  readonly hasPaid?: boolean;
  readonly lapsed?: [string, Refund][];
  readonly extended?: [string, number][];
  readonly dedicatedDays?: number[];
};

/** The inverse of {@link dump}. */
export function restore(json: string): AccountState {
  const raw = JSON.parse(json) as Dumped;
  return {
    ...raw,
    // What was written before lots had a concurrency, and accounts an allotment, has neither.
    lots: new Map(raw.lots.map((lot) => [lot.id, { ...lot, concurrency: lot.concurrency ?? 0 }])),
    holds: new Map(raw.holds.map((hold) => [hold.job, hold])),
    spending: raw.spending === undefined ? spendingOf(raw.holds) : new Map(raw.spending),
    allotment: raw.allotment == null ? null : { ...raw.allotment, paid: new Map(raw.allotment.paid) },
    hasPaid: raw.hasPaid ?? raw.lots.some(({ kind }) => isBought(kind)),
    // Nor did it tell days and ends of packages.
    lapsed: new Map(raw.lapsed),
    extended: new Map(raw.extended),
    dedicatedDays: raw.dedicatedDays ?? [],
  };
}
