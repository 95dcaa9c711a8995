/** Ledgers for tests, chained by the code that chains real ones, with what the account then has. */

import {
  type Release,
  type ServiceLevel,
  ServiceMeter,
  waitOfReceipt,
  waitOfRelease,
} from "../../core/account/service-level.ts";
import { GENESIS_HEAD, type Link } from "../../core/account/state.ts";
import { epochOf } from "../../core/allotment/epochs.ts";
import { type AccountId, type JobId, newJobId } from "../../core/ids.ts";
import { composeReversal, type ReceiptBody, receiptText } from "../../core/receipt/body.ts";
import { hashText } from "../../core/receipt/canonical.ts";
import { DAY_MS } from "../../core/time.ts";
import type { Millicredits, NanoUsd } from "../../core/units.ts";
import {
  extensionEntry,
  lotEntry,
  releaseEntry,
  sliceEntry,
  transferEntry,
} from "../../durable-objects/account/entries.ts";
import type { LedgerEntry } from "../../protocol/chain.ts";
import { timeText } from "../../protocol/network/common.ts";
import { idOf, type ReceiptOptions, receiptOf, seedOf, TEST_TIME } from "./receipts.ts";

type Compose = (at: number, previous: Link) => string;

export class TestLedger {
  readonly entries: LedgerEntry[] = [];
  /** Millicredits that all lots together come to. */
  sum = 0;
  readonly #name: string;
  readonly #slice: number;
  #jobs: number;
  #link: Link;

  /** Ledgers of different names have different entries from the first one on; `slice` is 0 for an account's own chain. */
  constructor(name = "ledger", slice = 0) {
    this.#name = name;
    this.#slice = slice;
    this.#jobs = 100 * slice;
    this.#link = { seq: 0, head: GENESIS_HEAD, ...(slice > 0 && { slice }) };
  }

  credit(kind: "bonus" | "topup", amount: number): this {
    const lot = {
      id: `${this.#name}-${this.entries.length}`,
      kind,
      backing: kind === "topup" ? "usdc" : "none",
    } as const;
    return this.#add(kind, amount, (at, previous) => lotEntry(kind, lot, amount, at, previous, "a “gift”\n"));
  }

  expire(amount: number): this {
    const lot = { id: `${this.#name}-0`, kind: "bonus", backing: "none" } as const;
    return this.#add("expiry", -amount, (at, previous) => lotEntry("expiry", lot, amount, at, previous, ""));
  }

  /** A job of 100 prompt and 1,000 completion tokens: 82,000 nanoUSD of top-ups, or millicredits of a bonus. */
  spend(kind: "bonus" | "topup" = "topup", options: ReceiptOptions = {}): this {
    const index = this.#jobs++;
    const held = [{ lot: "lot", kind, backing: kind === "topup" ? "usdc" : "none", amount: 82_000 }] as const;
    const compose: Compose = (_at, link) => receiptOf({ index, held, link, ...options }).body;
    return this.#add("spent", -82_000, compose);
  }

  /** Takes the job's receipt back that stands in entry `seq`. */
  reverse(seq: number): this {
    const original = entryOf(this.entries, seq).body;
    const receipt = JSON.parse(original) as ReceiptBody;
    const reversal = { of: hashText(original), reason: "wrong", by: ["alice", "bob"] };
    const compose: Compose = (at, link) => receiptText(composeReversal(receipt, receipt.n + 1, reversal, at, link));
    return this.#add("adjustment", receipt.charge.nano_usd, compose);
  }

  void(): this {
    return this.#add("void", 0, (at, previous) =>
      releaseEntry("void", idOf("job") as unknown as JobId, "gone", at, previous),
    );
  }

  /** The end of a job in a reserved slot that nobody took, queued an hour before. */
  timeOut(): this {
    const index = this.#jobs++;
    const compose: Compose = (at, previous) => {
      const queued = at - 3_600_000;
      const job = newJobId(queued, seedOf(`job ${index}`).subarray(0, 10));
      return releaseEntry("void", job, "queue_timeout", at, previous, queued);
    };
    return this.#add("void", 0, compose);
  }

  /** Lets a package last a day longer, of which `amount` had expired, by what the entries so far say of their day. */
  extend(amount = 0, changes: Partial<ServiceLevel> = {}): this {
    const meter = new ServiceMeter();
    for (const { seq, type, body } of this.entries) {
      const value = JSON.parse(body) as ReceiptBody & Release;
      const waited = type === "void" ? waitOfRelease(value) : type === "spent" ? waitOfReceipt(value) : null;
      if (waited !== null) meter.add(waited, seq, hashText(body));
    }
    const level = { ...meter.level(epochOf(TEST_TIME)), ...changes };
    const part = { lot: "package", kind: "package", backing: "usdc", amount, concurrency: 1 } as const;
    const extension = { ...part, from: TEST_TIME, expiresAt: TEST_TIME + DAY_MS };
    return this.#add("extension", amount, (at, previous) => extensionEntry(level, 2_000, [extension], at, previous));
  }

  /** Sends credits, `stripped` of them from top-ups, or takes some in. */
  transfer(direction: "out" | "in", millicredits: number, stripped = 0): this {
    const facts = {
      id: "t",
      other: idOf<AccountId>("other"),
      millicredits: millicredits as Millicredits,
      stripped: stripped as NanoUsd,
      memo: "",
    };
    const compose: Compose = (at, previous) => transferEntry(direction, facts, at, previous);
    return this.#add("transfer", direction === "out" ? -millicredits : millicredits, compose);
  }

  /** Moves a part of the top-ups between an account and its slice. */
  move(moved: "out" | "in", slice: number, nanoUsd: number): this {
    const part = { lot: `${this.#name}-1`, kind: "topup", backing: "usdc", amount: nanoUsd } as const;
    const compose: Compose = (at, previous) => sliceEntry(moved, slice, [part], at, previous);
    return this.#add("slice", moved === "out" ? -nanoUsd : nanoUsd, compose);
  }

  #add(type: string, change: number, compose: Compose): this {
    const seq = this.entries.length + 1;
    const at = TEST_TIME + seq * 1_000;
    const body = compose(at, this.#link);
    const slice = this.#slice > 0 ? { slice: this.#slice } : {};
    this.entries.push({ seq, ...slice, at: timeText(at), type, body });
    this.#link = { seq, head: hashText(body), ...slice };
    this.sum += change;
    return this;
  }
}

/** An entry that has to be there. */
export function entryOf(entries: readonly LedgerEntry[], seq: number): LedgerEntry {
  const entry = entries.find((one) => one.seq === seq);
  if (entry === undefined) throw new Error(`there is no entry ${seq}`);
  return entry;
}

/** One entry of every kind. */
export function fullLedger(name?: string): TestLedger {
  return new TestLedger(name)
    .credit("bonus", 1_000_000)
    .credit("topup", 500_000)
    .spend("bonus")
    .void()
    .spend("topup")
    .transfer("in", 70_000)
    .transfer("out", 100_000, 40_000)
    .expire(18_000)
    .reverse(5)
    .spend("topup");
}
