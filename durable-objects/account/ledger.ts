/**
 * An account's state in memory and its rows, changed together: every command is decided by core on the state, written in
 * one `transactionSync`, and only then applied to the state.
 */

import { type Extension, extensionsOf } from "../../core/account/extension.ts";
import type { HoldDecision } from "../../core/account/hold.ts";
import { type Draw, isLive, shown } from "../../core/account/lots.ts";
import { chargeHold, expiredHolds, expiredLots } from "../../core/account/resolve.ts";
import type { ServiceLevel } from "../../core/account/service-level.ts";
import {
  type AccountEvent,
  type AccountState,
  apply,
  type Hold,
  type Link,
  type Refund,
} from "../../core/account/state.ts";
import { RECEIVED_LOT, type Sending } from "../../core/account/transfer.ts";
import { type Refusal, refuse } from "../../core/errors.ts";
import type { JobId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import {
  composeReceipt,
  composeReversal,
  type JobFacts,
  type ReceiptBody,
  receiptText,
} from "../../core/receipt/body.ts";
import { GENESIS_PEG, type Millicredits, sum } from "../../core/units.ts";
import type {
  CreditCommand,
  PostResult,
  ReverseCommand,
  ReverseResult,
  VoidResult,
} from "../../protocol/internal/account.ts";
import { emitError } from "../shared/events.ts";
import { sha256Hex } from "../shared/hash.ts";
import {
  CREDIT_TYPE,
  type EntryType,
  extensionEntry,
  lotEntry,
  releaseEntry,
  sliceEntry,
  type TransferFacts,
  transferEntry,
} from "./entries.ts";
import { AccountStore, type EntryRow, type HoldRow, type StoredRefusal } from "./store.ts";

/** An entry that has extended packages. */
export interface Extended {
  readonly seq: number;
  readonly parts: readonly Extension[];
}

type HoldPlace = Omit<HoldRow, "record"> & Pick<HoldRow["record"], "call">;

export class Ledger {
  readonly #storage: DurableObjectStorage;
  readonly #state: AccountState;
  /** The fences of jobs that were moved, or won by one of two attempts: an earlier one has no say any more. */
  readonly #attempts: Map<JobId, number>;
  readonly #broken: (reason: string) => never;
  readonly #changed: () => void;
  /** Which slice of an account this is; 0 for the account itself. */
  readonly #slice: number;
  readonly store: AccountStore;
  /** What the account has where this ledger does not reach, as far as it knows: to be shown, never to be spent. */
  elsewhere = 0 as Millicredits;

  /**
   * `broken` is called when memory and rows may differ: it must forget this ledger, so that the rows are folded again.
   * `changed` is called after every change of the state.
   */
  constructor(storage: DurableObjectStorage, broken: (reason: string) => never, changed: () => void, slice = 0) {
    this.#storage = storage;
    this.store = new AccountStore(storage.sql);
    this.#state = this.store.load();
    this.#attempts = this.store.attempts();
    this.#broken = broken;
    this.#changed = changed;
    this.#slice = slice;
  }

  /** The state, to be read only: what changes it goes through the commands. */
  get state(): AccountState {
    return this.#state;
  }

  openHold(job: JobId): Hold | undefined {
    return this.#state.holds.get(job);
  }

  /** What can still be spent, in whatever lane; with what the account has elsewhere. */
  remaining(): Millicredits {
    const { lots, clock } = this.#state;
    const live = [...lots.values()].filter((lot) => isLive(lot, clock));
    return sum([this.elsewhere, ...live.map(({ backing, available }) => shown(backing, available, GENESIS_PEG))]);
  }

  /** A time that is not before anything recorded. */
  timeOf(now: number): number {
    return Math.max(now, this.#state.clock);
  }

  /** Ends what has run out: holds first, as what they release may belong to a lot that has expired too. */
  sweep(now: number): void {
    const at = this.timeOf(now);
    for (const job of expiredHolds(this.#state, at)) {
      const body = releaseEntry("hold_expired", job, "expired", at, this.#link());
      this.#append("hold_expired", body, { type: "hold_expired", job }, at, job, null);
    }
    // What runs out in a slice goes back to its account, whose books alone say where it goes.
    if (this.#slice > 0) return;
    for (const { lot, amount } of expiredLots(this.#state, at)) {
      const row = this.#state.lots.get(lot);
      if (row === undefined) continue;
      const body = lotEntry("expiry", row, amount, at, this.#link(), "");
      this.#append("expiry", body, { type: "lot_expired", lot, amount }, at, null, null);
    }
  }

  /** Stores a hold, or the refusal that a repeated call must get again. */
  recordHold({ call, ...place }: HoldPlace, decision: HoldDecision, now: number): void {
    const at = this.timeOf(now);
    const { seq } = this.#state;
    // One statement is a transaction by itself.
    if (decision.type !== "held") {
      const refused: StoredRefusal = decision;
      this.store.addHold(place, { refused, call }, 0, seq, at);
      return;
    }
    const { hold } = decision;
    this.store.addHold(place, { hold, call }, hold.order, seq, at);
    this.#apply({ type: "held", hold }, at);
  }

  /**
   * Settles a job: fixes its charge, its place in the chain and its body. Idempotent by (job, n): a repeated post gets
   * the stored body. A job whose hold has expired gets a receipt that charges nothing (economics.md §6).
   */
  post(facts: JobFacts, now: number): PostResult {
    this.sweep(now);
    const at = this.timeOf(now);
    // Where the account was told which attempt counts, no other one posts, and not one either that was granted beside it.
    if (facts.fence !== (this.#attempts.get(facts.job) ?? facts.fence))
      return { type: "refused", reason: "superseded" };
    const hold = this.openHold(facts.job);
    if (hold !== undefined) return this.#settle(facts, hold, at);
    const ended = this.ending(facts.job);
    if (ended === null) return { type: "refused", reason: "unknown_job" };
    if (ended.type === "spent") return this.#posted(ended.body, ended.seq);
    if (ended.type === "void") return { type: "refused", reason: "voided" };
    return this.#settle({ ...facts, outcome: "expired" }, undefined, at);
  }

  #settle(facts: JobFacts, hold: Hold | undefined, at: number): PostResult {
    const charge = chargeHold(hold, facts.outcome, facts.terms, facts.usage);
    const body = receiptText(composeReceipt(facts, hold, charge, this.#link()));
    const event: AccountEvent = {
      type: "posted",
      job: facts.job,
      n: facts.n,
      draws: charge.draws,
      nanoUsd: charge.nanoUsd,
      payee: facts.provider,
    };
    const seq = this.#append("spent", body, event, at, facts.job, facts.n);
    return this.#posted(body, seq);
  }

  /**
   * Takes a job's receipt back: a receipt of its own with every amount turned round, which brings what was charged back to
   * the lots it came from. What of them has expired expires at once. Idempotent by the job.
   */
  reverse({ job, reason, by }: ReverseCommand, now: number): ReverseResult {
    this.sweep(now);
    const original = this.ending(job);
    if (original?.type !== "spent" || original.event.type !== "posted") return refused(refuse("nothing_to_reverse"));
    const before = this.store.reversalOf(job, original.seq);
    if (before !== null) return { type: "reversed", body: before.body, seq: before.seq };
    const { draws, n, payee = "" } = original.event;
    if (draws.length === 0) return refused(refuse("nothing_to_reverse"));
    const at = this.timeOf(now);
    const receipt = JSON.parse(original.body) as ReceiptBody;
    const reversal = { of: sha256Hex(original.body), reason, by };
    const body = receiptText(composeReversal(receipt, n + 1, reversal, at, this.#link()));
    const refunds = draws.map((draw) => ({ ...draw, ...this.#termsOf(draw.lot) }));
    const event: AccountEvent = { type: "reversed", job, n: n + 1, refunds, payee };
    const seq = this.#append("adjustment", body, event, at, job, n + 1);
    this.sweep(now);
    return { type: "reversed", body, seq };
  }

  /** How long a lot stays and what it carries, as it was credited; lots that gather what comes in stay. */
  #termsOf(lot: string): { expiresAt: number | null; concurrency: number } {
    const standing = this.#state.lots.get(lot);
    if (standing !== undefined) return { expiresAt: standing.expiresAt, concurrency: standing.concurrency };
    const event = this.#creditOf(lot)?.event;
    const made = event?.type === "credited" ? event.lot : event?.type === "moved_in" ? partOf(event, lot) : undefined;
    const expiresAt = this.#state.extended.get(lot) ?? made?.expiresAt ?? null;
    return { expiresAt, concurrency: made?.concurrency ?? 0 };
  }

  /** The entry that a lot came with; null for one that gathers what comes in. */
  #creditOf(lot: string): EntryRow | null {
    const credit = this.store.command(lot);
    const [entry] = credit === null ? [] : this.store.entries(credit.seq, 1);
    return entry ?? null;
  }

  #posted(body: string, seq: number): PostResult {
    return { type: "posted", body, seq, remaining: this.remaining() };
  }

  /** Ends a hold that is charged nothing. Idempotent; a job that was posted stays posted. */
  void(job: JobId, reason: string, fence: number | null, now: number, slotSince: number | null = null): VoidResult {
    this.sweep(now);
    if (fence !== null && this.#isSuperseded(job, fence)) return { type: "superseded" };
    if (this.openHold(job) === undefined) {
      const ended = this.ending(job);
      if (ended === null) return { type: "unknown_job" };
      return ended.type === "spent" ? { type: "already_posted", body: ended.body } : { type: "voided" };
    }
    const at = this.timeOf(now);
    const body = releaseEntry("void", job, reason, at, this.#link(), slotSince);
    this.#append("void", body, { type: "voided", job, reason }, at, job, null);
    return { type: "voided" };
  }

  /** Gives an open job to a later attempt. False when its hold has ended, or an even later attempt has it. */
  advance(job: JobId, fence: number, now: number): boolean {
    this.sweep(now);
    if (this.openHold(job) === undefined || this.#isSuperseded(job, fence)) return false;
    this.store.setAttempt(job, fence);
    this.#attempts.set(job, fence);
    return true;
  }

  #isSuperseded(job: JobId, fence: number): boolean {
    return fence < (this.#attempts.get(job) ?? 0);
  }

  /** Adds a lot. The caller has made sure that the id is new. */
  credit(command: CreditCommand, now: number, alongside?: (seq: number) => void): number {
    const at = this.timeOf(now);
    const { id, kind, backing, amount, expiresAt, memo, concurrency = 0 } = command;
    const type = CREDIT_TYPE[kind];
    const body = lotEntry(type, { id, kind, backing }, amount, at, this.#link(), memo);
    const event: AccountEvent = {
      type: "credited",
      lot: { id, kind, backing, granted: amount, expiresAt, concurrency },
    };
    return this.#append(type, body, event, at, null, null, alongside);
  }

  /**
   * Lets the packages of a day that was missed last a day longer, in one transaction with what `alongside` writes; it is told
   * the entry, or null where nothing is left to extend. What of it is over all the same expires again.
   */
  extend(level: ServiceLevel, targetMs: number, now: number, alongside: (entry: Extended | null) => void): void {
    const at = this.timeOf(now);
    const parts = extensionsOf(this.#state, level.day, (lot) => this.#creditOf(lot)?.at ?? 0);
    if (parts.length === 0) return alongside(null);
    const body = extensionEntry(level, targetMs, parts, at, this.#link());
    this.#append("extension", body, { type: "extended", parts }, at, null, null, (seq) => alongside({ seq, parts }));
    this.sweep(now);
  }

  /** Sends credits away: the debit, and in the same transaction what `alongside` writes. */
  send(sending: Sending, facts: TransferFacts, now: number, alongside: (seq: number) => void): number {
    const at = this.timeOf(now);
    const body = transferEntry("out", facts, at, this.#link());
    const event: AccountEvent = { type: "sent", transfer: facts.id, draws: sending.draws };
    return this.#append("transfer", body, event, at, null, null, alongside);
  }

  /** Takes credits in that another account has sent. */
  receive(facts: TransferFacts, now: number, alongside: (seq: number) => void): number {
    const at = this.timeOf(now);
    const body = transferEntry("in", facts, at, this.#link());
    const amount = facts.millicredits;
    const event: AccountEvent = { type: "received", lot: RECEIVED_LOT, kind: "received", amount };
    return this.#append("transfer", body, event, at, null, null, alongside);
  }

  /** Moves parts of lots to the account's slice, or from the slice to its account; they come in there by {@link moveIn}. */
  moveOut(draws: readonly Draw[], slice: number, now: number, alongside: (seq: number) => void): number {
    const at = this.timeOf(now);
    const body = sliceEntry("out", slice, draws, at, this.#link());
    return this.#append("slice", body, { type: "moved_out", draws }, at, null, null, alongside);
  }

  /** Takes in what was moved here, with what the lots need to stand where they do not. */
  moveIn(parts: readonly Refund[], slice: number, now: number, alongside: (seq: number) => void): number {
    const at = this.timeOf(now);
    const body = sliceEntry("in", slice, parts, at, this.#link());
    return this.#append("slice", body, { type: "moved_in", parts }, at, null, null, alongside);
  }

  /** Remembers where lots came in that this ledger did not make, for what may have to go back to them later. */
  rememberLots(parts: readonly Refund[]): void {
    for (const { lot } of parts) {
      if (this.store.command(lot) === null) this.store.addCommand(lot, "", this.#state.seq + 1);
    }
  }

  /** The entry that ended a job: its receipt, void, or expiry; a receipt that came after the expiry counts. */
  ending(job: JobId): EntryRow | null {
    if (this.store.holdOf(job) === null) return null;
    const first = this.store.entryOf(job, this.#state.seq);
    if (first?.type !== "hold_expired") return first;
    return this.store.entryOf(job, this.#state.seq, first.seq) ?? first;
  }

  /** The body of the receipt that ended a job, or of the one that took that back; null where there is none. */
  receipt(job: JobId, which: "receipt" | "reversal"): string | null {
    const ended = this.ending(job);
    if (ended?.type !== "spent") return null;
    return which === "receipt" ? ended.body : (this.store.reversalOf(job, ended.seq)?.body ?? null);
  }

  #link(): Link {
    const { seq, head } = this.#state;
    return this.#slice === 0 ? { seq, head } : { seq, head, slice: this.#slice };
  }

  /** One entry, in one transaction with what else has to be written for it. Most entries are one statement, which is one. */
  #append(
    type: EntryType,
    body: string,
    event: AccountEvent,
    at: number,
    job: JobId | null,
    n: number | null,
    alongside?: (seq: number) => void,
  ): number {
    const seq = this.#state.seq + 1;
    const moved = job !== null && this.#attempts.has(job);
    const write = (): void => this.store.addEntry({ seq, at, type, body }, event, job, n);
    if (!moved && alongside === undefined) write();
    else {
      this.#storage.transactionSync(() => {
        write();
        if (moved) this.store.clearAttempt(job);
        alongside?.(seq);
      });
    }
    this.#apply(event, at, { seq, head: sha256Hex(body) });
    if (job !== null) this.#attempts.delete(job);
    // A snapshot only shortens the next start, so it may follow in a transaction of its own.
    if (seq % LIMITS.snapshotEntries === 0) this.#saveSnapshot();
    return seq;
  }

  /** A snapshot only shortens the next start: one that cannot be written must not break what has been done already. */
  #saveSnapshot(): void {
    try {
      this.store.saveSnapshot(this.#state);
    } catch (error) {
      emitError("snapshot_failed", error, { seq: this.#state.seq });
    }
  }

  /** Changes the state as its rows were changed. What does not fit is a bug, and memory must not go on with it. */
  #apply(event: AccountEvent, at: number, link?: Link): void {
    try {
      apply(this.#state, event, at, link);
    } catch (error) {
      this.#broken(error instanceof Error ? error.message : "the event does not fit the state");
    }
    this.#changed();
  }
}

function partOf({ parts }: Extract<AccountEvent, { type: "moved_in" }>, lot: string): Refund | undefined {
  return parts.find((part) => part.lot === lot);
}

function refused(refusal: Refusal): { readonly type: "refused"; readonly refusal: Refusal } {
  return { type: "refused", refusal };
}
