/**
 * Checking an account's ledger entry by entry, from its first one on: its order, the hash chain, every entry's form, every
 * receipt's money, and that no job is charged twice. What it adds up is what the account has, held and available.
 */

import type { z } from "zod";
import { ServiceMeter, type Waited, waitOfReceipt, waitOfRelease } from "../core/account/service-level.ts";
import { GENESIS_HEAD } from "../core/account/state.ts";
import { epochOf } from "../core/allotment/epochs.ts";
import type { JobId } from "../core/ids.ts";
import { canonicalText, hashText } from "../core/receipt/canonical.ts";
import { MAX_AMOUNT } from "../core/units.ts";
import { type EntryBody, movementOf, parseEntryBody } from "./entry.ts";
import type { ledgerEntry } from "./network/account.ts";
import { timeText } from "./network/common.ts";
import { type Check, checkReceiptBody } from "./receipt.ts";

export type LedgerEntry = z.infer<typeof ledgerEntry>;

/** Why a ledger does not hold, and from which entry on. */
export interface BadEntry {
  readonly seq: number;
  readonly check: Check["name"] | "order" | "chain" | "amounts" | "service";
  readonly detail: string;
}

/** A receipt of the chain: what the network's signature under it vouches for is every entry up to it. */
export interface ChainReceipt {
  readonly seq: number;
  readonly job: JobId;
  readonly n: number;
  readonly body: string;
}

type Fault = Omit<BadEntry, "seq">;

/** Days whose service level may still be told: as many as an account remembers. */
const SERVICE_DAYS = 31;

export class LedgerChain {
  #seq = 0;
  #head = GENESIS_HEAD;
  #clock = 0;
  #nanoUsd = 0;
  #millicredits = 0;
  #lastReceipt: ChainReceipt | null = null;
  /** Jobs with their numbers: who is charged twice for one would find it here. */
  readonly #posted = new Set<string>();
  readonly #slices = new Set<number>();
  readonly #service = new ServiceMeter();

  /** The last entry's number; 0 before the first. */
  get seq(): number {
    return this.#seq;
  }

  /** SHA-256 of the last entry's body in hex. */
  get head(): string {
    return this.#head;
  }

  get receipts(): number {
    return this.#posted.size;
  }

  get lastReceipt(): ChainReceipt | null {
    return this.#lastReceipt;
  }

  /** The slices that something moved to or came back from: each has a chain of its own. */
  get slices(): readonly number[] {
    return [...this.#slices].sort((a, b) => a - b);
  }

  /** What the account has after the last entry: nanoUSD in backed lots, millicredits in the others. */
  get sum(): { readonly nanoUsd: number; readonly millicredits: number } {
    return { nanoUsd: this.#nanoUsd, millicredits: this.#millicredits };
  }

  /** Takes the next entry, or says why it does not fit and changes nothing. `claim: false` trusts the claims' signatures. */
  add(entry: LedgerEntry, options: { readonly claim?: boolean } = {}): BadEntry | null {
    const { seq, at, type, body: text } = entry;
    const bad = (fault: Fault): BadEntry => ({ seq: this.#seq + 1, ...fault });
    if (seq !== this.#seq + 1) return bad({ check: "order", detail: `entry ${seq} stands in its place` });
    const body = parseEntryBody(type, text);
    if ("error" in body) return bad({ check: "form", detail: body.error });
    const fault =
      this.#orderFault(entry, body) ??
      this.#receiptFault(body, options) ??
      this.#amountFault(body) ??
      this.#serviceFault(body);
    if (fault !== null) return bad(fault);

    const { nanoUsd, millicredits } = movementOf(body);
    this.#seq = seq;
    this.#head = hashText(text);
    this.#measure(body);
    this.#clock = Date.parse(at);
    this.#nanoUsd += nanoUsd;
    this.#millicredits += millicredits;
    if (body.type === "plain" && "moved" in body.plain) this.#slices.add(body.plain.slice);
    if (body.type === "spent") {
      const { job, n } = body.receipt;
      this.#posted.add(nameOf(job, n));
      this.#lastReceipt = { seq, job, n, body: text };
    }
    return null;
  }

  #orderFault({ seq, at }: LedgerEntry, body: EntryBody): Fault | null {
    const { seq: ownSeq, previous } = body.type === "spent" ? body.receipt : body.plain;
    if (ownSeq !== seq) return { check: "order", detail: `its body says it is entry ${ownSeq}` };
    if (previous !== this.#head) {
      return {
        check: "chain",
        detail: `\`previous\` is not the hash of ${seq === 1 ? "nothing" : `entry ${seq - 1}`}`,
      };
    }
    const time = Date.parse(at);
    // A receipt's body has the times of its job alone, so of its entry's only the form and the order can be checked.
    const isOwn = body.type === "spent" || body.plain.at === time;
    if (Number.isNaN(time) || timeText(time) !== at || !isOwn)
      return { check: "form", detail: `its time is not ${at}` };
    return time < this.#clock ? { check: "order", detail: "it is older than the entry before it" } : null;
  }

  #receiptFault(body: EntryBody, options: { readonly claim?: boolean }): Fault | null {
    if (body.type !== "spent") return null;
    const { receipt } = body;
    if (this.#posted.has(nameOf(receipt.job, receipt.n))) {
      return { check: "amounts", detail: `job ${receipt.job} has been charged before` };
    }
    const failed = checkReceiptBody(receipt, options).find(({ ok }) => !ok);
    return failed === undefined ? null : { check: failed.name, detail: failed.detail };
  }

  #measure(body: EntryBody): void {
    let waited: Waited | null = null;
    if (body.type === "spent") waited = waitOfReceipt(body.receipt);
    else if ("reason" in body.plain) waited = waitOfRelease(body.plain);
    if (waited === null) return;
    this.#service.add(waited, this.#seq, this.#head);
    // A day is measured soon after its end. One that is measured late still finds what it is measured by.
    this.#service.forgetBefore(waited.day - SERVICE_DAYS);
  }

  /** An extension says what the entries before it say. */
  #serviceFault(body: EntryBody): Fault | null {
    if (body.type !== "plain" || !("extended" in body.plain)) return null;
    const { day, jobs, p95_ms, target_ms, first, last, digest } = body.plain;
    const level = this.#service.level(epochOf(Date.parse(day)));
    const told = { day: level.day, jobs, p95Ms: p95_ms, first, last, digest };
    if (canonicalText(told) !== canonicalText(level)) {
      return { check: "service", detail: `the entries of ${day} come to another service level than it says` };
    }
    return p95_ms > target_ms ? null : { check: "service", detail: `the service level of ${day} was not missed` };
  }

  #amountFault(body: EntryBody): Fault | null {
    const { nanoUsd, millicredits } = movementOf(body);
    const after = [this.#nanoUsd + nanoUsd, this.#millicredits + millicredits];
    if (after.every((amount) => amount >= 0 && amount <= MAX_AMOUNT)) return null;
    return { check: "amounts", detail: "more goes out than was there, or more comes in than an account holds" };
  }
}

function nameOf(job: JobId, n: number): string {
  return `${job}/${n}`;
}
