/**
 * The slices of an account that is above what one object can commit (docs/decisions/0029). What they hold is lent to them:
 * debited here before it is there, with a row that is owed until they have it. A lease lasts a minute and is renewed
 * while the account is busy; when it is not, or a key changes, or the money is needed here, they give back what is free.
 */

import { isNamedOnly, planLeases, worthOf } from "../../core/account/slices.ts";
import type { Hold } from "../../core/account/state.ts";
import type { AccountId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { type Millicredits, type NanoUsd, sum } from "../../core/units.ts";
import type { CreditResult, SliceHint } from "../../protocol/internal/account.ts";
import type { Move } from "../../protocol/internal/move.ts";
import { sliceName } from "../../protocol/internal/names.ts";
import type { SliceKey, SliceReport, SliceRpc } from "../../protocol/internal/slice.ts";
import { emitError } from "../shared/events.ts";
import { sliceOfAccount } from "../shared/holder.ts";
import { persisting, retrying } from "../shared/retry.ts";
import type { Keyring, StoredKey } from "./keyring.ts";
import type { Ledger } from "./ledger.ts";
import { accountIn } from "./log-check.ts";
import { sendOut, takeIn } from "./moves.ts";
import type { Outgoing } from "./outgoing.ts";

interface SliceBooks {
  readonly ledger: Ledger;
  readonly keys: Keyring;
  readonly outgoing: Outgoing;
}

export interface SlicesHost {
  readonly ctx: DurableObjectState;
  /** A slice's object. */
  stubOf(slice: number): SliceRpc;
  /** The name that a slice is called by. */
  nameOf(slice: number): string;
  /** Rings the account's alarm, which brings what is owed, in the turn of what was just written. */
  wake(): void;
}

/** What is kept of a slice: its last lease, when that ends at the latest, and whether it has given everything back. */
interface SliceRow {
  readonly slice: number;
  readonly lease: number;
  readonly until: number;
  readonly drained: boolean;
}

const SECOND_MS = 1_000;
/** A slice's clock and the account's differ by less than this. */
const CLOCKS_MS = 2_000;
/** How long a caller waits for what is lent to come back. */
const COME_BACK_MS = 2_000;
/** A hint ends before its lease, as a call takes its time. */
const HINT_MARGIN_MS = 2_000;
const NOBODY: SliceReport = { lots: [], openJobs: 0, begun: 0 };

export class Slices {
  readonly #host: SlicesHost;
  readonly #books: SliceBooks;
  readonly #rows = new Map<number, SliceRow>();
  /** What the slices said last. */
  readonly #known = new Map<number, SliceReport>();
  #hint: SliceHint | null = null;
  /** Jobs that the account itself began since a time, and the dearest of them. */
  #pace = { since: 0, begun: 0, dearest: 0 as NanoUsd };
  #leasing = false;
  /** When the account's next job renews the leases: an account that begins none lets them run out. */
  #renewAt = 0;
  #restUntil = 0;
  /** Counts recalls: what was planned before one is dropped. */
  #recalls = 0;
  /** Until then nothing is called in again: what jobs release comes back by itself. */
  #calledUntil = 0;

  constructor(host: SlicesHost, books: SliceBooks) {
    this.#host = host;
    this.#books = books;
    const rows = host.ctx.storage.sql.exec<Record<"slice" | "lease" | "lease_until" | "drained", number>>(
      "SELECT slice, lease, lease_until, drained FROM slices",
    );
    for (const { slice, lease, lease_until: until, drained } of rows) {
      this.#rows.set(slice, { slice, lease, until, drained: drained === 1 });
    }
  }

  /** How many there ever were: each has a chain of its own. */
  get count(): number {
    return this.#rows.size;
  }

  /** Which slices gateways may ask, or null. */
  hintAt(now: number): SliceHint | null {
    return this.#hint !== null && now < this.#hint.until ? this.#hint : null;
  }

  /** Whether any slice has, or may have, something of the account. */
  get isOut(): boolean {
    return [...this.#rows.values()].some(({ drained }) => !drained);
  }

  /** Whether any slice may still begin jobs. */
  isLeasedAt(now: number): boolean {
    return [...this.#rows.values()].some(({ until }) => now < until + CLOCKS_MS);
  }

  /**
   * The account itself has begun a job. In a second with too many of them it lends slices their parts, and some time later
   * the next one renews that.
   */
  begun({ price }: Hold, now: number): void {
    const isLent = this.hintAt(now) !== null;
    if (!isLent && now - this.#pace.since >= SECOND_MS) this.#resetPace(now);
    this.#pace.begun += 1;
    if (price > this.#pace.dearest) this.#pace.dearest = price;
    const isDue = isLent
      ? now >= this.#renewAt
      : this.#pace.begun >= LIMITS.hotHoldsPerSecond && now >= this.#restUntil;
    if (isDue && !this.#leasing) this.#host.ctx.waitUntil(this.#renew(!isLent));
  }

  #resetPace(now: number): void {
    this.#pace = { since: now, begun: 0, dearest: 0 as NanoUsd };
  }

  /** Lends slices their parts for another minute, as many as the account's pace asks for, or lets their leases run out. */
  async #renew(isFirst: boolean): Promise<void> {
    this.#leasing = true;
    try {
      const recalls = this.#recalls;
      if (this.isOut) await this.reports();
      if (recalls === this.#recalls) await this.#lend(isFirst);
    } catch (error) {
      emitError("lease_failed", error);
    } finally {
      this.#leasing = false;
    }
  }

  async #lend(isFirst: boolean): Promise<void> {
    const { ledger, keys } = this.#books;
    const now = ledger.timeOf(Date.now());
    const recalls = this.#recalls;
    const { since, dearest } = this.#pace;
    const begun = this.#pace.begun + [...this.#known.values()].reduce((all, report) => all + report.begun, 0);
    const perSecond = (begun * SECOND_MS) / Math.max(SECOND_MS, now - since);
    this.#resetPace(now);
    this.#renewAt = now + LIMITS.sliceRenewMs;
    if (!isFirst && perSecond < LIMITS.hotHoldsPerSecond) return;
    // The first measure is one of a second that the account may have spent waiting for itself.
    const count = Math.min(LIMITS.slices, Math.max(2, Math.ceil(perSecond / LIMITS.hotHoldsPerSecond)));
    const until = now + LIMITS.sliceLeaseMs;
    const reports = Array.from({ length: count }, (_, index) => this.#known.get(index + 1) ?? NOBODY);
    const has = reports.map(({ lots }) => lots);
    const least = (dearest * LIMITS.sliceLeastJobs) as NanoUsd;
    const plan = planLeases(ledger.state, has, until, least, now);
    if (plan === null) return;
    const all = sum([
      worthOf(ledger.state.lots.values()),
      ...[...this.#known.values()].map(({ lots }) => worthOf(lots)),
    ]);
    const terms = {
      until,
      keys: keys.list().flatMap((key) => sliceKeyOf(key, keys.secretsOf(key, now), now)),
      namedOnly: isNamedOnly(ledger.state, now),
    };
    await Promise.all(
      plan.map((parts, index) => {
        const given = parts.map(({ backing, amount }) => ({ backing, available: amount }));
        const own = sum([worthOf(has[index] ?? []), worthOf(given)]);
        return this.#leaseOne(index + 1, parts, { ...terms, elsewhere: (all - own) as Millicredits }, now);
      }),
    );
    if (recalls !== this.#recalls) return;
    this.#learn();
    this.#hint = { count, until: until - HINT_MARGIN_MS };
  }

  async #leaseOne(
    slice: number,
    parts: Move["parts"],
    terms: Omit<Parameters<SliceRpc["lease"]>[0], "number" | "move">,
    now: number,
  ): Promise<void> {
    const number = this.#lastLease() + 1;
    const row = { slice, lease: number, until: terms.until, drained: false };
    const move: Move | null = parts.length === 0 ? null : { id: `lease/${number}`, slice, parts };
    if (move === null) this.#put(row);
    else sendOut(this.#books, this.#host.nameOf(slice), move, now, () => this.#put(row));
    this.#host.wake();
    try {
      const report = await retrying(() => this.#host.stubOf(slice).lease({ ...terms, number, move }));
      if (move !== null) this.#books.outgoing.remove(move.id);
      this.#known.set(slice, { ...report, begun: 0 });
    } catch (error) {
      // What it was lent is owed to it still: the alarm brings it, and without a lease it comes back.
      emitError("slice_unreachable", error, { slice });
    }
  }

  #lastLease(): number {
    return Math.max(0, ...[...this.#rows.values()].map(({ lease }) => lease));
  }

  #put(row: SliceRow): void {
    this.#host.ctx.storage.sql.exec(
      `INSERT INTO slices (slice, lease, lease_until, drained) VALUES (?, ?, ?, ?) ON CONFLICT (slice) DO UPDATE SET
         lease = excluded.lease, lease_until = excluded.lease_until, drained = excluded.drained`,
      row.slice,
      row.lease,
      row.until,
      row.drained ? 1 : 0,
    );
    this.#rows.set(row.slice, row);
  }

  /**
   * Ends every lease: resolves when no slice can begin a job under one any more, because it has said so or because its
   * time is over; or after `patienceMs`. What is free there has come back by then, unless a slice could not be reached.
   */
  async recall(patienceMs = Number.POSITIVE_INFINITY): Promise<void> {
    this.#recalls += 1;
    this.#hint = null;
    this.#resetPace(Date.now());
    this.#restUntil = Date.now() + LIMITS.sliceRenewMs;
    const last = this.#lastLease();
    const latest = Date.now() + patienceMs;
    const out = [...this.#rows.values()].filter(({ drained, until }) => !drained || Date.now() < until + CLOCKS_MS);
    await Promise.all(
      out.map(async ({ slice, until }) => {
        const failed = (error: unknown): void => emitError("slice_unreachable", error, { slice });
        await persisting(
          Math.min(until + CLOCKS_MS, latest),
          () => this.#host.stubOf(slice).recall(last),
          failed,
        ).catch(failed);
      }),
    );
  }

  /** A slice acts on the terms of its lease: where its keys, or what pays first, may have changed, every lease ends. */
  async termsChanged(): Promise<void> {
    if (this.isLeasedAt(Date.now())) await this.recall();
  }

  /** Whether calling in what is lent may bring something that it did not bring a moment ago. */
  get mayReturn(): boolean {
    return this.isOut && Date.now() >= this.#calledUntil;
  }

  /** Calls in what is lent. */
  async comeBack(): Promise<void> {
    await this.recall(COME_BACK_MS);
    this.#calledUntil = Date.now() + COME_BACK_MS;
  }

  /** Takes in what a slice gives back. What has expired of it expires now. */
  receive(move: Move, now: number): CreditResult {
    const { ledger } = this.#books;
    const row = this.#rows.get(move.slice);
    const result = takeIn(ledger, move, now, () => {
      if (row !== undefined && move.drained === row.lease) this.#put({ ...row, drained: true });
    });
    const report = this.#known.get(move.slice);
    if (report !== undefined) this.#known.set(move.slice, without(report, move));
    this.#learn();
    ledger.sweep(now);
    return result;
  }

  /** What the slices have, asked for now. Throws where one cannot be reached: half a balance is none. */
  async reports(): Promise<SliceReport[]> {
    const out = [...this.#rows.values()].filter(({ drained }) => !drained);
    const reports = await Promise.all(out.map(({ slice }) => retrying(() => this.#host.stubOf(slice).report())));
    for (const [index, row] of out.entries()) {
      const report = reports[index] ?? NOBODY;
      this.#known.set(row.slice, report);
      if (this.#hasEnded(row, report)) this.#put({ ...row, drained: true });
    }
    this.#learn();
    return reports;
  }

  /** A slice that never heard of its last lease cannot say that nothing is left of it. */
  #hasEnded({ slice, until }: SliceRow, { lots, openJobs }: SliceReport): boolean {
    const isEmpty = lots.length === 0 && openJobs === 0;
    return isEmpty && Date.now() >= until + CLOCKS_MS && !this.#books.outgoing.hasFor(this.#host.nameOf(slice));
  }

  /** What they said last, for whoever watches. */
  get known(): SliceReport[] {
    return [...this.#known.values()];
  }

  has(slice: number): boolean {
    return this.#rows.has(slice);
  }

  stubOf(slice: number): SliceRpc {
    return this.#host.stubOf(slice);
  }

  #learn(): void {
    this.#books.ledger.elsewhere = sum(this.known.map(({ lots }) => worthOf(lots)));
  }
}

/** The host of an account's slices. `wake` rings its alarm soon, in the turn of what was just written. */
export function slicesHost(
  ctx: DurableObjectState,
  env: Pick<Env, "ACCOUNT" | "ACCOUNT_SLICE">,
  wake: () => void,
): SlicesHost {
  // An object that an alarm woke is not told its name.
  const account = () => (ctx.id.name ?? accountIn(ctx.storage.sql) ?? "") as AccountId;
  return {
    ctx,
    nameOf: (slice) => sliceName(account(), slice),
    stubOf: (slice) => sliceOfAccount(env, account(), slice),
    wake,
  };
}

/** A key that a slice may let in, or nothing: what has a budget or a bound of its own stays with the account. */
function sliceKeyOf(key: StoredKey, secrets: SliceKey["secrets"], now: number): SliceKey[] {
  const { id, models, expiresAt, budget, requestsPerMinute, revokedAt, scopes } = key;
  const isBounded = budget !== null || requestsPerMinute !== null;
  const counts = revokedAt === null && scopes.includes("inference") && (expiresAt === null || expiresAt > now);
  return isBounded || !counts || secrets.length === 0 ? [] : [{ id, secrets, models, expiresAt }];
}

function without(report: SliceReport, { parts }: Move): SliceReport {
  const gone = new Map(parts.map(({ lot, amount }) => [lot, amount]));
  const lots = report.lots.map((lot) => ({ ...lot, available: Math.max(0, lot.available - (gone.get(lot.id) ?? 0)) }));
  return { ...report, lots };
}
