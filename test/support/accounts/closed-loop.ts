/**
 * The closed loop (economics.md §3): no sequence of calls turns unbacked credits, or an allotment that is dealt to oneself,
 * into USDC. What payouts are computed from, the backed shares of receipts, is held against what was bought.
 *
 * For every set S of accounts and providers, however they conspire:
 *
 *     USDC that receipts owe to S  ≤  USDC with which others had paid for the jobs that S served
 *                                   + USDC with which S had bought, and that it spent in its own jobs
 *                                   + of each allotment of S, for each payee in S, its part of it and what its jobs overshoot
 *
 * and all of it net of reversals. What was earned, given, received or transferred is on no right side.
 */

import { strict as assert } from "node:assert";
import type { AccountId, JobId } from "../../../core/ids.ts";
import type { ReceiptBody } from "../../../core/receipt/body.ts";
import { rollUp } from "../../../core/receipt/rollup.ts";
import type { Part } from "./book.ts";

/** A charged job as the second book knows it. */
interface Charged {
  readonly consumer: AccountId;
  readonly provider: AccountId;
  readonly drawn: readonly Part[];
  /** When it was held and posted, in any count that only rises. */
  readonly heldAt: number;
  readonly postedAt: number;
  /** The most that its provider may have had of the allotment that paid when it was held; null where none did. */
  readonly cap: number | null;
  reversed: boolean;
}

/**
 * Accounts that deal with themselves when they deal with each other. Today that is an account with itself; accounts of one
 * wallet, payout address or owner belong here, too, as soon as they can be told.
 */
const isLinked = (one: AccountId, other: AccountId): boolean => one === other;

export class ClosedLoop {
  readonly #jobs = new Map<JobId, Charged>();
  readonly #receipts: ReceiptBody[] = [];
  /** Backed shares by consumer and then payee, as receipts say. */
  readonly #owed = new Map<AccountId, Map<string, number>>();

  /** A job's first receipt, with what the second book says was drawn for it. */
  charged(receipt: ReceiptBody, job: Omit<Charged, "reversed">): void {
    this.#jobs.set(receipt.job, { ...job, reversed: false });
    this.#read(receipt, job.consumer);
  }

  reversed(receipt: ReceiptBody): void {
    const job = this.#jobs.get(receipt.job);
    if (job === undefined) throw new Error("nothing was charged that could be taken back");
    job.reversed = true;
    this.#read(receipt, job.consumer);
  }

  /** What payees have had of one account's allotment, net of reversals. */
  earnedOf(lot: string, consumer: AccountId): Map<string, number> {
    const earned = new Map<string, number>();
    for (const job of this.#standing()) {
      const amount = job.consumer === consumer ? amountOf(job.drawn, lot) : 0;
      if (amount > 0) earned.set(job.provider, (earned.get(job.provider) ?? 0) + amount);
    }
    return earned;
  }

  /** Nothing is owed that was not charged with the same backing, to nobody who may not earn, and to no set of them too much. */
  check(accounts: readonly AccountId[], providers: readonly AccountId[]): void {
    this.#checkRollups(providers);
    const outsiders = providers.filter((each) => !accounts.includes(each));
    for (const consumer of accounts) {
      const spent = sumOf(
        this.#standing().filter((job) => job.consumer === consumer),
        backed,
      );
      const owed = [...providers, "network" as AccountId].reduce(
        (sum, payee) => sum + this.#owedTo(consumer, payee),
        0,
      );
      assert.equal(owed, spent, "what is owed in USDC is what was drawn with USDC behind it");
      for (const payee of providers.filter((each) => isLinked(each, consumer))) {
        assert.equal(this.#owedTo(consumer, payee), 0, "nobody earns from itself");
      }
    }
    if (this.#receipts.length === 0) return;
    for (let set = 0; set < 2 ** accounts.length; set++) {
      const members = accounts.filter((_, index) => (set >> index) & 1);
      this.#checkSet(new Set(members), accounts);
      this.#checkSet(new Set([...members, ...outsiders]), accounts);
    }
  }

  #checkSet(set: ReadonlySet<AccountId>, accounts: readonly AccountId[]): void {
    let [owed, most] = [0, 0];
    for (const consumer of accounts) for (const payee of set) owed += this.#owedTo(consumer, payee);
    const served = this.#standing().filter(({ provider }) => set.has(provider));
    const own = served.filter(({ consumer }) => set.has(consumer));
    most += sumOf(
      served.filter(({ consumer }) => !set.has(consumer)),
      backed,
    );
    most += sumOf(own, bought);
    most += this.#mostOfAllotments(own);
    assert(owed <= most, `${set.size} accounts are owed ${owed} nanoUSD, where at most ${most} came from outside`);
  }

  /** What payees may have had of the allotments that paid for some jobs. */
  #mostOfAllotments(jobs: readonly Charged[]): number {
    const pairs = Map.groupBy(
      jobs.filter((job) => allotmentOf(job) !== undefined),
      (job) => `${job.consumer}/${allotmentOf(job)}/${job.provider}`,
    );
    let most = 0;
    for (const ofPair of pairs.values()) {
      const cap = Math.max(...ofPair.map((job) => job.cap ?? 0));
      // Jobs that ran when the last one began may overshoot, that one included.
      const running = ofPair.map(({ heldAt }) =>
        sumOf(
          ofPair.filter((other) => other.heldAt <= heldAt && other.postedAt >= heldAt),
          fromAllotment,
        ),
      );
      most += cap + Math.max(...running);
    }
    return most;
  }

  /** The sums that a window would close with are the shares of the receipts that were read here. */
  #checkRollups(providers: readonly AccountId[]): void {
    const shares = rollUp(this.#receipts, 0).filter(({ side, backing }) => side === "share" && backing === "usdc");
    for (const payee of providers) {
      const sum = shares.reduce((total, share) => total + (share.payee === payee ? share.nano_usd : 0), 0);
      const owed = [...this.#owed.values()].reduce((total, ofConsumer) => total + (ofConsumer.get(payee) ?? 0), 0);
      assert.equal(sum, owed);
    }
  }

  #standing(): Charged[] {
    return [...this.#jobs.values()].filter(({ reversed }) => !reversed);
  }

  #owedTo(consumer: AccountId, payee: AccountId): number {
    return this.#owed.get(consumer)?.get(payee) ?? 0;
  }

  #read(receipt: ReceiptBody, consumer: AccountId): void {
    this.#receipts.push(receipt);
    const owed = this.#owed.get(consumer) ?? new Map<string, number>();
    this.#owed.set(consumer, owed);
    for (const { to, backing, nano_usd, millicredits } of receipt.split) {
      assert.equal(backing === "usdc" ? millicredits : nano_usd, 0, "a share is owed in the unit of its backing");
      owed.set(to, (owed.get(to) ?? 0) + nano_usd);
    }
  }
}

function amountOf(parts: readonly Part[], lot: string): number {
  return parts.reduce((sum, part) => sum + (part.lot === lot ? part.amount : 0), 0);
}

const sumOf = (jobs: readonly Charged[], of: (part: Part) => boolean): number =>
  jobs.reduce((sum, { drawn }) => sum + drawn.reduce((inner, part) => inner + (of(part) ? part.amount : 0), 0), 0);
const backed = (part: Part): boolean => part.backing === "usdc";
const fromAllotment = (part: Part): boolean => part.backing === "usdc" && part.kind === "allotment";
const bought = (part: Part): boolean => part.backing === "usdc" && part.kind !== "allotment";
const allotmentOf = ({ drawn }: Charged): string | undefined => drawn.find(fromAllotment)?.lot;
