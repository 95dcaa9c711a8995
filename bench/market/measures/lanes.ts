/** What lanes and the accounts in them got, measured from outside of any queue. */

import { LANES, type Lane } from "../../../core/lanes.ts";
import { percentile } from "../../measure/statistics.ts";
import type { Account } from "../population.ts";
import { type Gap, Gaps, jain } from "./gaps.ts";
import { Shares, wantedShares } from "./shares.ts";

export interface LaneResult {
  readonly lane: Lane;
  /** Its part of what was really used, and the one that its weight gives it while all wait. */
  readonly share: number;
  readonly wanted: number;
  /** Between accounts that always have work: the widest gaps in largest charges, and Jain's index; null without any. */
  readonly gap: Gap | null;
  readonly jain: number | null;
  readonly dispatched: number;
  /** Milliseconds in the queue. */
  readonly p50: number;
  readonly p99: number;
}

interface LaneBook {
  readonly lane: Lane;
  readonly gaps: Gaps;
  /** Units really used by each account that always has work, for its weight. */
  readonly used: number[];
  usedByAll: number;
  readonly waits: number[];
}

interface Place {
  readonly book: LaneBook;
  /** The number of its lane. */
  readonly lane: number;
  /** Its number among those of its lane that always have work; null for others. */
  readonly index: number | null;
}

export class LaneMeasures {
  readonly #lanes: readonly LaneBook[];
  readonly #places = new Map<Account, Place>();
  readonly #shares: Shares;
  readonly #wanted: readonly number[];
  readonly #largestCharge: number;
  #isMeasured = false;

  constructor(accounts: readonly Account[], largestCharge: number) {
    this.#largestCharge = largestCharge;
    const present = new Set(accounts.map(({ lane }) => lane));
    const lanes = LANES.filter((lane) => present.has(lane));
    this.#lanes = lanes.map((lane, number) => {
      const own = accounts.filter((account) => account.lane === lane);
      const constant = own.filter(({ depth, reserved }) => depth > 0 && !reserved);
      const gaps = new Gaps(constant.map(({ weight }) => weight));
      const book = { lane, gaps, used: constant.map(() => 0), usedByAll: 0, waits: [] };
      for (const account of own) this.#places.set(account, { book, lane: number, index: null });
      for (const [index, account] of constant.entries()) this.#places.set(account, { book, lane: number, index });
      return book;
    });
    this.#wanted = wantedShares(lanes);
    this.#shares = new Shares(this.#wanted);
  }

  /** The market is past its beginning: what was used and how long jobs waited counts from now on. */
  begin(): void {
    this.#isMeasured = true;
  }

  /** A job was dispatched after so long in the queue. What runs in a reserved slot is in nobody's share. */
  dispatched(account: Account, units: number, waitedMs: number, isReserved: boolean): void {
    if (this.#isMeasured) this.#place(account).book.waits.push(waitedMs);
    if (isReserved) return;
    this.#charge(account, units);
    this.#shares.dispatched(this.#largestCharge);
  }

  /** A job ended: its estimate gives way to what was used. */
  ended(account: Account, used: number, estimated: number, isReserved: boolean): void {
    if (isReserved) return;
    this.#charge(account, used - estimated);
    if (!this.#isMeasured) return;
    const { book, index } = this.#place(account);
    book.usedByAll += used;
    if (index !== null) book.used[index] = (book.used[index] ?? 0) + used / account.weight;
  }

  #charge(account: Account, units: number): void {
    const { book, lane, index } = this.#place(account);
    this.#shares.add(lane, units);
    if (index !== null) book.gaps.add(index, units);
  }

  #place(account: Account): Place {
    const place = this.#places.get(account);
    if (place === undefined) throw new Error(`account ${account.id} has no lane`);
    return place;
  }

  get shareError(): Shares["error"] {
    return this.#shares.error;
  }

  get results(): LaneResult[] {
    const total = this.#lanes.reduce((sum, { usedByAll }) => sum + usedByAll, 0);
    return this.#lanes.map(({ lane, gaps, used, usedByAll, waits }, index) => ({
      lane,
      share: usedByAll / total,
      wanted: this.#wanted[index] ?? 0,
      gap: used.length > 1 ? gaps.widest(this.#largestCharge) : null,
      jain: used.length > 1 ? jain(used) : null,
      dispatched: waits.length,
      p50: percentile(waits, 0.5),
      p99: percentile(waits, 0.99),
    }));
  }
}
