/**
 * The second book beside an account: where each unit of it is, kept in the simplest way that could be right and without the
 * code under test. It is told what happened, says what must have been drawn, and is compared with what the account knows.
 */

import { strict as assert } from "node:assert";
import { type Budget, NO_SPENDING, type Reset, spentIn } from "../../../core/account/budget.ts";
import type { Backing, Draw, LotKind } from "../../../core/account/lots.ts";
import type { AccountEvent, AccountState } from "../../../core/account/state.ts";
import type { JobId, KeyId } from "../../../core/ids.ts";
import type { Lane } from "../../../core/lanes.ts";
import { GENESIS_PEG, type Peg } from "../../../core/units.ts";

/** What is known of a lot: all that ever came into it, and where it has gone. */
export interface BookLot {
  readonly id: string;
  readonly kind: LotKind;
  readonly backing: Backing;
  readonly ends: number | null;
  readonly concurrency: number;
  granted: number;
  spent: number;
  sent: number;
  expired: number;
}

/** An amount that something can be drawn from. */
export type Part = Pick<Draw, "lot" | "kind" | "backing" | "amount">;

export interface BookHold {
  readonly draws: readonly Part[];
  readonly price: number;
  readonly key: number;
  readonly ends: number;
  readonly lane: Lane;
  /** Whether it has a slot of a package. */
  readonly reserved: boolean;
}

/** What pays in a lane, first things first (economics.md §3). */
const PAYS: Readonly<Record<Lane, readonly LotKind[]>> = {
  included: ["allotment"],
  dedicated: ["allotment", "package"],
  private: ["bonus", "received", "earned", "topup"],
  public: ["bonus", "received", "earned", "topup"],
  league: ["bonus", "received", "earned", "topup"],
};
const SENDS: readonly LotKind[] = ["received", "earned", "topup"];

export class Book {
  readonly lots = new Map<string, BookLot>();
  readonly holds = new Map<JobId, BookHold>();
  readonly #charges: { readonly key: number; readonly at: number; readonly amount: number }[] = [];
  readonly #budgets: readonly (Budget | null)[];

  /** With the budgets of the account's keys. */
  constructor(budgets: readonly (Budget | null)[]) {
    this.#budgets = budgets;
  }

  /** What of a lot is neither spent, sent, expired nor held. */
  left(id: string): number {
    const { granted, spent, sent, expired } = this.lot(id);
    return granted - spent - sent - expired - this.held(id);
  }

  held(id: string): number {
    let held = 0;
    for (const { draws } of this.holds.values()) for (const { lot, amount } of draws) if (lot === id) held += amount;
    return held;
  }

  lot(id: string): BookLot {
    const lot = this.lots.get(id);
    if (lot === undefined) throw new Error(`nobody granted ${id}`);
    return lot;
  }

  /** Live lots of some kinds in the order in which they must be drawn. */
  sources(kinds: readonly LotKind[], now: number): Part[] {
    const live = [...this.lots.values()].filter(
      ({ kind, ends }) => kinds.includes(kind) && (ends === null || ends > now),
    );
    const last = Number.POSITIVE_INFINITY;
    live.sort((a, b) => {
      const [rank, other] = [kinds.indexOf(a.kind), kinds.indexOf(b.kind)];
      if (rank !== other) return rank - other;
      if (a.ends !== b.ends) return (a.ends ?? last) < (b.ends ?? last) ? -1 : 1;
      return a.id < b.id ? -1 : 1;
    });
    return live
      .map(({ id, kind, backing }) => ({ lot: id, kind, backing, amount: this.left(id) }))
      .filter(({ amount }) => amount > 0);
  }

  /** What may pay for a job now: no allotment for a chosen provider, no top-up beside an allotment unless that is allowed. */
  payingIn(lane: Lane, wish: { choosesProvider: boolean; allowPaid: boolean }, now: number): Part[] {
    const today = [...this.lots.values()].some(({ kind, ends }) => kind === "allotment" && (ends ?? 0) > now);
    const kinds = PAYS[lane].filter(
      (kind) =>
        !(kind === "allotment" && wish.choosesProvider) &&
        !(kind === "topup" && lane === "public" && today && !wish.allowPaid),
    );
    return this.sources(kinds, now);
  }

  /** The slots of every package that something is left of, be it held; null where there is no such package. */
  packageSlots(now: number): number | null {
    const live = [...this.lots.values()].filter(
      ({ id, kind, ends }) => kind === "package" && (ends === null || ends > now) && this.left(id) + this.held(id) > 0,
    );
    return live.length === 0 ? null : live.reduce((sum, { concurrency }) => sum + concurrency, 0);
  }

  /** How many open jobs have a slot of packages, and how many one of the stake. */
  inSlots(): { readonly packages: number; readonly stake: number } {
    const open = [...this.holds.values()];
    const count = (has: (hold: BookHold) => boolean) => open.filter(has).length;
    return { packages: count(({ reserved }) => reserved), stake: count(({ lane }) => lane === "included") };
  }

  sendable(now: number): Part[] {
    return this.sources(SENDS, now);
  }

  /** What a key has spent since its budget's last reset, and what its open jobs have reserved. */
  spending(key: number, now: number): { readonly spent: number; readonly held: number } {
    const since = beginOf(this.#budgets[key]?.reset ?? "never", now);
    let [spent, held] = [0, 0];
    for (const charge of this.#charges) if (charge.key === key && charge.at >= since) spent += charge.amount;
    for (const hold of this.holds.values()) if (hold.key === key) held += hold.price;
    return { spent, held };
  }

  /** Takes over what an event says. What it draws has been held against this book before. */
  apply(event: AccountEvent, at: number): void {
    switch (event.type) {
      case "credited": {
        const { id, kind, backing, granted, expiresAt, concurrency } = event.lot;
        assert(!this.lots.has(id), `${id} was granted twice`);
        this.lots.set(id, { ...EMPTY, id, kind, backing, ends: expiresAt, concurrency, granted });
        return;
      }
      case "received": {
        const lot = this.lots.get(event.lot) ?? { ...EMPTY, id: event.lot, kind: "received", backing: "none" };
        this.lots.set(event.lot, { ...lot, granted: lot.granted + event.amount });
        return;
      }
      case "posted": {
        const hold = this.holds.get(event.job);
        for (const { lot, amount } of event.draws) this.lot(lot).spent += amount;
        if (hold !== undefined) this.#charges.push({ key: hold.key, at, amount: event.nanoUsd ?? 0 });
        this.holds.delete(event.job);
        return;
      }
      case "voided":
        assert(this.holds.delete(event.job), "only what is open can be voided");
        return;
      case "hold_expired":
        assert((this.holds.get(event.job)?.ends ?? at + 1) <= at, "a hold expired before its time");
        this.holds.delete(event.job);
        return;
      case "lot_expired": {
        const lot = this.lot(event.lot);
        assert(lot.ends !== null && lot.ends <= at, "a lot expired before its time");
        assert.equal(event.amount, this.left(event.lot), "what is left of a lot expires, and nothing else");
        lot.expired += event.amount;
        return;
      }
      case "reversed":
        for (const { lot, amount } of event.refunds) this.lot(lot).spent -= amount;
        return;
      case "sent":
        for (const { lot, amount } of event.draws) this.lot(lot).sent += amount;
        return;
      case "held":
        throw new Error("a hold is no entry");
    }
  }

  /** Nothing is negative, every unit is where it must be, and no budget is exceeded. `keys` are those of the budgets. */
  check(state: AccountState, now: number, keys: readonly KeyId[]): void {
    for (const lot of this.lots.values()) {
      const { available, held } = state.lots.get(lot.id) ?? { available: 0, held: 0 };
      assert(Math.min(available, held, lot.spent, lot.sent, lot.expired) >= 0, `${lot.id} is below zero`);
      assert.deepEqual([lot.id, available, held], [lot.id, this.left(lot.id), this.held(lot.id)]);
    }
    for (const { id, kind, backing, expiresAt, concurrency } of state.lots.values()) {
      const { kind: granted, backing: stands, ends, concurrency: carries } = this.lot(id);
      assert.deepEqual([kind, backing, expiresAt, concurrency], [granted, stands, ends, carries]);
    }
    assert.deepEqual([...state.holds.keys()], [...this.holds.keys()]);
    for (const [key, budget] of this.#budgets.entries()) {
      const { spent, held } = this.spending(key, now);
      const known = state.spending.get(keys[key] ?? ("" as KeyId)) ?? NO_SPENDING;
      const told = [spentIn(known, budget?.reset ?? "never", now), known.held];
      assert.deepEqual(told, [spent, held], "what a key has spent since its reset, and what its jobs reserve");
      assert(budget === null || spent + held <= budget.nanoUsd, `key ${key} has passed its budget`);
    }
  }
}

const EMPTY = { granted: 0, spent: 0, sent: 0, expired: 0, ends: null, concurrency: 0 } as const;

/** Takes a price from parts in their order (economics.md §3); what kinds may cover in all can be bounded. */
export function take(
  parts: readonly Part[],
  price: number,
  peg: Peg,
  most: Partial<Record<LotKind, number>> = {},
): { readonly drawn: Part[]; readonly covered: number } {
  const drawn: Part[] = [];
  const bounds = { ...most };
  let rest = price;
  for (const part of parts) {
    const { kind, backing, amount } = part;
    const worth = backing === "usdc" ? amount : Math.floor((amount * peg.nanoUsd) / peg.millicredits);
    const covers = Math.min(worth, rest, bounds[kind] ?? rest);
    if (covers === 0) continue;
    bounds[kind] = (bounds[kind] ?? Number.POSITIVE_INFINITY) - covers;
    rest -= covers;
    const taken = backing === "usdc" ? covers : Math.ceil((covers * peg.millicredits) / peg.nanoUsd);
    drawn.push({ ...part, amount: taken });
  }
  return { drawn, covered: price - rest };
}

/** What must be drawn for a charge from what its hold reserved: the allotment at the catalog's rate at most, if that suffices. */
export function takeCharge(held: readonly Part[], charge: number, peg: Peg, atCatalog: number): Part[] {
  const first = take(held, charge, peg, { allotment: atCatalog });
  const taken = new Map(first.drawn.map((part) => [part.lot, part]));
  const left = held.map((part) => ({ ...part, amount: part.amount - (taken.get(part.lot)?.amount ?? 0) }));
  for (const part of take(left, charge - first.covered, peg).drawn) {
    taken.set(part.lot, { ...part, amount: part.amount + (taken.get(part.lot)?.amount ?? 0) });
  }
  return [...taken.values()];
}

/** Takes credits to send from parts in their order, or null where they do not suffice. A transfer is made at a peg of one. */
export function takeCredits(parts: readonly Part[], millicredits: number): Part[] | null {
  const { drawn, covered } = take(parts, millicredits, GENESIS_PEG);
  return covered === millicredits ? drawn : null;
}

/** When the stretch of a budget began, by the calendar. */
export function beginOf(reset: Reset, now: number): number {
  if (reset === "never") return 0;
  const begin = new Date(now);
  begin.setUTCHours(0, 0, 0, 0);
  if (reset === "monthly") begin.setUTCDate(1);
  // Sunday is day 0, and the last of its week.
  if (reset === "weekly") begin.setUTCDate(begin.getUTCDate() - ((begin.getUTCDay() + 6) % 7));
  return begin.getTime();
}
