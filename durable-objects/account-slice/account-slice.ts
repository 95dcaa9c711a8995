import { DurableObject } from "cloudflare:workers";
import { decideHold } from "../../core/account/hold.ts";
import { refuse } from "../../core/errors.ts";
import type { JobId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import type { JobFacts } from "../../core/receipt/body.ts";
import { GENESIS_PEG } from "../../core/units.ts";
import type {
  CreditResult,
  EntryRecord,
  HoldRequest,
  HoldResult,
  JobRecord,
  PostResult,
  ReverseCommand,
  ReverseResult,
  UsagePart,
  UsageQuery,
  VoidResult,
} from "../../protocol/internal/account.ts";
import type { Move } from "../../protocol/internal/move.ts";
import { accountOfSlice } from "../../protocol/internal/names.ts";
import type { Lease, SliceHoldAnswer, SliceReport, SliceRpc } from "../../protocol/internal/slice.ts";
import { LazyAlarm } from "../account/lazy-alarm.ts";
import { Ledger } from "../account/ledger.ts";
import { accountIn, checkLog, rememberAccount, sendReversal } from "../account/log-check.ts";
import { partOf, sendOut, takeIn } from "../account/moves.ts";
import { Outgoing, type Receiver } from "../account/outgoing.ts";
import { Quotas } from "../account/quotas.ts";
import { findEarlier, heldTerms, jobRecord, repeatedAnswer } from "../account/reservations.ts";
import { SLICE_MIGRATIONS } from "../account/schema.ts";
import { sumUsage } from "../account/usage.ts";
import { receiverOf } from "../shared/holder.ts";
import { isMigrated, migrate } from "../shared/migrations.ts";
import { parametersOf } from "../shared/settings.ts";
import { Leases } from "./leases.ts";

interface Books {
  readonly ledger: Ledger;
  readonly outgoing: Outgoing;
  readonly leases: Leases;
  /** Its own name: the account's id and its number. */
  readonly name: string;
}

const ELSEWHERE = { type: "elsewhere" } as const;
/** How soon a slice without a lease sends back what a job has released. */
const GIVE_BACK_MS = 1_000;

/**
 * A slice of an account that is above what one object can commit: it holds and settles jobs out of what the account has
 * lent it, in a chain of its own, and gives the rest back when its lease ends (docs/decisions/0029). The account has
 * debited what is here before it came, so nothing can be spent twice.
 */
export class AccountSlice extends DurableObject<Env> implements SliceRpc {
  readonly #parameters: Parameters;
  readonly #alarm: LazyAlarm;
  readonly #quotas = new Quotas();
  #books: Books | null = null;
  /** Jobs begun since the last lease. */
  #begun = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#parameters = parametersOf(env);
    this.#alarm = new LazyAlarm(ctx);
    if (!isMigrated(ctx.storage)) return;
    // Its leases have ended with its earlier life.
    const { ledger, outgoing } = this.#load();
    if (ledger.state.lots.size > 0 || !outgoing.isEmpty) this.#alarm.arm(GIVE_BACK_MS);
  }

  /** The books, and where there are none yet, new ones. */
  #load(): Books {
    if (this.#books !== null) return this.#books;
    const { storage, id } = this.ctx;
    migrate(storage, SLICE_MIGRATIONS);
    const outgoing = new Outgoing(storage.sql);
    // An object that an alarm woke is not told its name, so it is kept.
    const name = accountIn(storage.sql) ?? id.name ?? "";
    const forget = (reason: string): never => {
      this.ctx.abort(reason);
      throw new Error(reason);
    };
    const ledger = new Ledger(storage, forget, () => {}, accountOfSlice(name).slice);
    rememberAccount(ledger.store, name);
    this.#books = { ledger, outgoing, leases: new Leases(ledger.store), name };
    return this.#books;
  }

  async hold(request: HoldRequest): Promise<SliceHoldAnswer> {
    const books = this.#books;
    if (books === null) return ELSEWHERE;
    const { ledger, leases } = books;
    const now = ledger.timeOf(Date.now());
    ledger.sweep(now);
    const lease = leases.at(now);
    const key = leases.find(request.credentials.secretHash, now);
    const earlier = findEarlier(ledger, request, now);
    if (earlier.type === "repeated") {
      return { ...repeatedAnswer(ledger, earlier.row, (row) => this.#held(books, row.job)), quota: null };
    }
    if (earlier.type === "refused" || lease === null || key === null || !isForSlices(request, lease)) return ELSEWHERE;
    const terms = { id: key.id, models: key.models, budget: null };
    const decision = decideHold(ledger.state, { ...request, key: terms, peg: GENESIS_PEG }, this.#parameters, now);
    // What cannot be held of what is here may be of what the account has; and what it refuses, it refuses by name.
    if (decision.type !== "held") return ELSEWHERE;
    // The network's bound is what one object can commit, so each of an account's has it.
    const { ok, quota } = this.#quotas.take({ id: key.id, requestsPerMinute: null }, now);
    if (!ok) return ELSEWHERE;
    const { job, body } = request;
    ledger.recordHold({ slot: earlier.slot, attempt: earlier.attempt, job, body, call: false }, decision, now);
    this.#begun += 1;
    this.#alarm.arm();
    return { ...this.#held(books, job), quota };
  }

  #held({ ledger }: Books, job: JobId): HoldResult {
    const hold = ledger.openHold(job);
    if (hold === undefined) return { type: "refused", refusal: refuse("job_not_found") };
    return { type: "held", ...heldTerms(ledger.state, hold, ledger.remaining(), null) };
  }

  async post(facts: JobFacts): Promise<PostResult> {
    const result = this.#books?.ledger.post(facts, Date.now()) ?? { type: "refused", reason: "unknown_job" };
    this.#released();
    return result;
  }

  async void(job: JobId, reason: string, fence: number | null = null): Promise<VoidResult> {
    const result = this.#books?.ledger.void(job, reason, fence, Date.now()) ?? { type: "unknown_job" };
    this.#released();
    return result;
  }

  async receipt(job: JobId, which: "receipt" | "reversal" = "receipt"): Promise<string | null> {
    return this.#books?.ledger.receipt(job, which) ?? null;
  }

  async advance(job: JobId, fence: number): Promise<boolean> {
    return this.#books?.ledger.advance(job, fence, Date.now()) ?? false;
  }

  async reverse(command: ReverseCommand): Promise<ReverseResult> {
    if (this.#books === null) return { type: "refused", refusal: refuse("nothing_to_reverse") };
    const result = this.#books.ledger.reverse(command, Date.now());
    if (result.type === "refused") return result;
    await sendReversal(this.env, result.body);
    this.#released();
    return result;
  }

  /** Something may be free again that is nobody's here without a lease. */
  #released(): void {
    if (this.#books !== null) this.#alarm.arm(this.#books.leases.at(Date.now()) === null ? GIVE_BACK_MS : undefined);
  }

  async lease(lease: Lease): Promise<SliceReport> {
    const { ledger, leases } = this.#load();
    const now = Date.now();
    if (lease.move !== null) this.#takeIn(lease.move);
    leases.begin(lease);
    ledger.elsewhere = lease.elsewhere;
    this.#alarm.arm(leases.at(now) === null ? GIVE_BACK_MS : lease.until - now);
    const report = await this.report();
    this.#begun = 0;
    return report;
  }

  async receive(move: Move): Promise<CreditResult> {
    this.#load();
    // It came without a lease, as what was owed from one whose call was lost.
    this.#alarm.arm(GIVE_BACK_MS);
    return this.#takeIn(move);
  }

  #takeIn(move: Move): CreditResult {
    const { ledger } = this.#load();
    return takeIn(ledger, move, Date.now(), () => ledger.rememberLots(move.parts));
  }

  async recall(upTo: number): Promise<void> {
    const { leases, outgoing } = this.#load();
    leases.recall(upTo);
    this.#giveBack();
    await outgoing.deliver(() => this.#account());
  }

  /** Sends back what is free, and says when nothing is left. With a lease everything stays. */
  #giveBack(): void {
    const { ledger, outgoing, leases, name } = this.#load();
    const now = Date.now();
    ledger.sweep(now);
    if (leases.at(now) !== null) return;
    const { lots, holds, seq } = ledger.state;
    const free = [...lots.values()].filter(({ available }) => available > 0);
    const isDrained = holds.size === 0 && !leases.isTold;
    if (free.length === 0 && !isDrained) return;
    const { account, slice } = accountOfSlice(name);
    const move: Move = {
      id: `back/${free.length > 0 ? seq + 1 : `drained/${leases.last}`}`,
      slice,
      parts: free.map((lot) => partOf(lot, lot.available)),
      ...(isDrained ? { drained: leases.last } : {}),
    };
    sendOut({ ledger, outgoing }, account, move, now, () => {
      if (isDrained) leases.tell();
    });
    this.#alarm.armWithWrites(LIMITS.transferRetryMs);
  }

  #account(): Receiver {
    return receiverOf(this.env, accountOfSlice(this.#load().name).account);
  }

  async report(): Promise<SliceReport> {
    const state = this.#books?.ledger.state;
    return { lots: [...(state?.lots.values() ?? [])], openJobs: state?.holds.size ?? 0, begun: this.#begun };
  }

  async job(job: JobId): Promise<JobRecord> {
    if (this.#books === null) return { type: "unknown" };
    const { ledger } = this.#books;
    ledger.sweep(Date.now());
    return jobRecord(ledger, ledger.store.holdOf(job));
  }

  async entries(after: number, limit: number): Promise<EntryRecord[]> {
    return this.#books?.ledger.store.page(after, limit) ?? [];
  }

  async usage(query: UsageQuery): Promise<UsagePart> {
    if (this.#books === null) return { groups: [], names: [], next: null };
    return { ...sumUsage(this.#books.ledger, query), names: [] };
  }

  /** Ends what has run out, gives back what no lease keeps here, and looks after receipts that the log lacks. */
  override async alarm(): Promise<void> {
    this.#alarm.rang();
    const books = this.#books;
    if (books === null) return;
    const { ledger, outgoing, leases } = books;
    this.#giveBack();
    await outgoing.deliver(() => this.#account());
    const now = Date.now();
    const left = await checkLog(ledger.store, this.env, ledger.state.seq, now).catch(() => "pending" as const);
    const lease = leases.at(now);
    if (left === "more") await this.ctx.storage.setAlarm(now + 1);
    else if (!outgoing.isEmpty) this.#alarm.arm(outgoing.retryMs());
    else if (lease !== null) this.#alarm.arm(lease.until - now);
    else if (left === "pending" || ledger.state.holds.size > 0) this.#alarm.arm();
  }
}

/** Whether a slice may decide a job at all: one whose id is the slice's own, in the lane that its lots pay for. */
function isForSlices({ keyed, lane, allowPaid }: HoldRequest, { namedOnly }: Lease): boolean {
  if (keyed !== false) return false;
  return namedOnly ? lane === "public" && allowPaid : lane === null || lane === "public";
}
