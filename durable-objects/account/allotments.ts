/**
 * The account's daily allotment (economics.md §7): each day begins with what its stake gives at the day's rate, once, and
 * what is left of the day before expires with its lot. It is taken up when somebody next asks the account, or by its own
 * alarm where there is an allotment to end or somebody who watches.
 */

import { epochDay, epochOf, epochStart, resetDelay } from "../../core/allotment/epochs.ts";
import { allotted, stakeConcurrency } from "../../core/allotment/rate.ts";
import { LIMITS } from "../../core/limits.ts";
import { emit, emitError } from "../shared/events.ts";
import { within } from "../shared/within.ts";
import type { Books } from "./books.ts";
import { fits } from "./credits.ts";
import { type DailyFigures, knownFigures, readFigures } from "./daily-figures.ts";
import { accountIn } from "./log-check.ts";

export interface AllotmentsHost {
  readonly ctx: DurableObjectState;
  db(): D1Database;
  /** The account's books; null while it was never opened. */
  books(): Books | null;
  /** Rings the account's alarm at a time, or before. */
  wakeAt(time: number): void;
}

/** Nobody waits longer for D1: the job goes on without the allotment, and the next one looks again. */
const PATIENCE_MS = 2_000;
/** How long D1 is left alone after it has failed. */
const REST_MS = 5_000;
/** When an account's own alarm tries again. */
const RETRY_MS = 60_000;

export class Allotments {
  readonly #host: AllotmentsHost;
  /** The last epoch that was begun, be it with an allotment or with none. */
  #begun = -1;
  #beginning: Promise<void> | null = null;
  #restUntil = 0;

  constructor(host: AllotmentsHost) {
    this.#host = host;
  }

  /**
   * Whether D1 has to be asked before today's epoch can begin. Where memory knows enough the epoch begins here and now, so
   * that a command which need not wait is one turn.
   */
  mustAsk(): boolean {
    const books = this.#host.books();
    if (books === null) return false;
    const now = books.ledger.timeOf(Date.now());
    if (!this.#isDue(now)) return false;
    const epoch = epochOf(now);
    if (books.ledger.state.allotment?.lot === lotOf(epoch)) {
      this.#begun = epoch;
      return false;
    }
    const figures = knownFigures(epoch, this.#account());
    if (figures !== undefined) this.#take(books, epoch, figures);
    return figures === undefined && now >= this.#restUntil;
  }

  /** Begins today's epoch, once, however many ask. Never throws: where D1 is away the account goes on without. */
  async begin(): Promise<void> {
    const books = this.#host.books();
    if (books === null || !this.mustAsk()) return;
    this.#beginning ??= this.#ask(books, epochOf(books.ledger.timeOf(Date.now()))).finally(() => {
      this.#beginning = null;
    });
    await within(PATIENCE_MS, this.#beginning);
  }

  #isDue(now: number): boolean {
    return epochOf(now) > this.#begun;
  }

  async #ask(books: Books, epoch: number): Promise<void> {
    try {
      const figures = await readFigures(this.#host.db(), epoch, this.#account());
      // Where midnight passed in between, the next call begins the day that it is then.
      if (epochOf(books.ledger.timeOf(Date.now())) === epoch) this.#take(books, epoch, figures);
    } catch (error) {
      this.#restUntil = Date.now() + REST_MS;
      emitError("allotment_unread", error, { epoch });
    }
  }

  /** Enters what the stake gives, in one transaction with its id: that lot exists once. */
  #take({ ledger, slices }: Books, epoch: number, figures: DailyFigures | null): void {
    this.#begun = epoch;
    const now = ledger.timeOf(Date.now());
    // What was left expires whether or not there is something new.
    ledger.sweep(now);
    if (figures === null) return;
    const { rate, minimumStake, stake } = figures;
    const amount = allotted(stake, rate, minimumStake);
    const id = lotOf(epoch);
    if (amount === 0 || ledger.store.command(id) !== null) return;
    const lot = { id, kind: "allotment", backing: "usdc", amount } as const;
    if (!fits(ledger.state, lot)) {
      emit("allotment_does_not_fit", { epoch });
      return;
    }
    const concurrency = stakeConcurrency(stake, minimumStake);
    const command = { ...lot, concurrency, expiresAt: epochStart(epoch + 1), memo: `allotment of ${epochDay(epoch)}` };
    ledger.credit(command, now, (seq) => ledger.store.addCommand(id, "", seq));
    // Slices pay from other credits: jobs that name no lane come to the account again, which pays from this first.
    this.#host.ctx.waitUntil(slices.termsChanged());
    // For the journal (docs/decisions/0018); the alarm that finds everything there is set for midnight then.
    this.#host.wakeAt(now + LIMITS.accountAlarmMs);
  }

  /** Sees to it that the account wakes after midnight where it has an allotment that ends then. */
  plan(): void {
    const { ledger } = this.#host.books() ?? {};
    const ends = ledger?.state.allotment?.expiresAt;
    if (ledger === undefined || ends === undefined) return;
    const now = ledger.timeOf(Date.now());
    // One that has ended counts until the day after it was begun.
    if (ends > now || (this.#isDue(now) && ends === epochStart(epochOf(now)))) this.#host.wakeAt(this.next(now));
  }

  /** When the next day is begun by itself, spread over the minutes after midnight. */
  next(now: number): number {
    const today = epochOf(now);
    const delay = resetDelay(this.#account());
    if (!this.#isDue(now)) return epochStart(today + 1) + delay;
    return Math.max(epochStart(today) + delay, now + RETRY_MS);
  }

  #account(): string {
    const { ctx } = this.#host;
    // An object that an alarm woke is not told its name.
    return ctx.id.name ?? accountIn(ctx.storage.sql) ?? "";
  }
}

function lotOf(epoch: number): string {
  return `allotment/${epoch}`;
}
