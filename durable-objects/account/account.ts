import { type Balance, balanceOf } from "../../core/account/balance.ts";
import { decideHold, type HoldDecision } from "../../core/account/hold.ts";
import type { Scope } from "../../core/account/scopes.ts";
import { isNamedOnly } from "../../core/account/slices.ts";
import { refuse } from "../../core/errors.ts";
import type { AccountId, JobId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import type { JobFacts } from "../../core/receipt/body.ts";
import { GENESIS_PEG, type Millicredits } from "../../core/units.ts";
import type {
  AccountRpc,
  Admission,
  Answer,
  Credentials,
  CreditCommand,
  CreditResult,
  EntryRecord,
  EstimateResult,
  HoldAnswer,
  HoldRequest,
  HoldResult,
  JobRecord,
  NewKey,
  PostResult,
  ReverseCommand,
  ReverseResult,
  SendCommand,
  SendResult,
  ServiceDay,
  Transfer,
  UsagePart,
  UsageQuery,
  VoidResult,
} from "../../protocol/internal/account.ts";
import type { Move } from "../../protocol/internal/move.ts";
import { emitError } from "../shared/events.ts";
import { receiverOf } from "../shared/holder.ts";
import { isMigrated, migrate } from "../shared/migrations.ts";
import { parametersOf } from "../shared/settings.ts";
import { admit, tooFast } from "./admission.ts";
import { Allotments } from "./allotments.ts";
import type { Books, Entered } from "./books.ts";
import { credit, mayReceive, STARTER, starterCredit } from "./credits.ts";
import { termsOf } from "./key-desk.ts";
import { Keyring, type StoredKey } from "./keyring.ts";
import { LazyAlarm } from "./lazy-alarm.ts";
import { Ledger } from "./ledger.ts";
import { checkLog, isConfirmed, rememberAccount, sendReversal } from "./log-check.ts";
import { MANAGEMENT, ManagedAccount } from "./managed-account.ts";
import { Management } from "./management.ts";
import { Outgoing } from "./outgoing.ts";
import { Quotas } from "./quotas.ts";
import { readEntries, readJob } from "./readings.ts";
import { allotmentOf, type Earlier, estimateOf, findEarlier, heldTerms, repeatedAnswer } from "./reservations.ts";
import { Roster } from "./roster.ts";
import { ACCOUNT_MIGRATIONS } from "./schema.ts";
import { send } from "./sending.ts";
import { ServiceLevels } from "./service-levels.ts";
import { Slices, slicesHost } from "./slices.ts";
import * as desk from "./team-desk.ts";
import { receive } from "./transfers.ts";
import { readUsageOfAll } from "./usage.ts";
import { hear } from "./watcher.ts";
import { Watchers } from "./watchers.ts";

/**
 * One account: its lots, holds, chain of entries and keys. The one writer of its money. Every command is decided by pure
 * functions in `core/account`, written in one transaction, and idempotent by an id that its caller made.
 */
export class Account extends ManagedAccount implements AccountRpc {
  readonly #parameters: Parameters;
  #books: Books | null = null;
  readonly #alarm: LazyAlarm;
  readonly #quotas = new Quotas();
  readonly #watchers: Watchers;
  readonly #allotments: Allotments;
  readonly #serviceLevels: ServiceLevels;
  readonly [MANAGEMENT] = new Management({
    books: () => this.#books,
    open: () => this.#books ?? this.#load(),
    // Before an answer about keys goes out, no watcher and no slice acts on what is not so any more.
    narrowed: async () => {
      this.#watchers.recheck();
      await this.#books?.slices.termsChanged();
    },
  });

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#parameters = parametersOf(env);
    this.#alarm = new LazyAlarm(ctx);
    this.#watchers = new Watchers({
      ctx,
      minimum: this.#parameters.minimumBalanceMillicredits as Millicredits,
      wakeAt: (time) => this.#alarm.armAt(time),
      nextDay: (now) => this.#allotments.next(now),
    });
    this.#allotments = new Allotments({
      ctx,
      db: () => this.env.DB,
      books: () => this.#books,
      wakeAt: (time) => this.#alarm.armAt(time),
    });
    this.#serviceLevels = new ServiceLevels({
      storage: ctx.storage,
      parameters: this.#parameters,
      ledger: () => this.#books?.ledger ?? null,
      wakeAt: (time) => this.#alarm.armAt(time),
    });
    if (!isMigrated(ctx.storage)) return;
    const { ledger, outgoing } = this.#load();
    this.#allotments.plan();
    this.#serviceLevels.plan();
    // An alarm that was lost with an earlier life of this object would never come back by itself.
    if (!outgoing.isEmpty) this.#alarm.arm(LIMITS.transferRetryMs);
    else if (ledger.state.holds.size > 0 || !isConfirmed(ledger.store, ledger.state.seq)) this.#alarm.arm();
  }

  #load(): Books {
    migrate(this.ctx.storage, ACCOUNT_MIGRATIONS);
    const { ctx, env } = this;
    const { storage, id } = ctx;
    const forget = (reason: string) => this.#forget(reason);
    const ledger = new Ledger(storage, forget, () => this.#watchers.changed());
    const [keys, outgoing] = [new Keyring(storage.sql), new Outgoing(storage.sql)];
    rememberAccount(ledger.store, id.name);
    const slices = new Slices(
      slicesHost(ctx, env, () => this.#alarm.armWithWrites(LIMITS.transferRetryMs)),
      { ledger, keys, outgoing },
    );
    this.#books = { ledger, keys, team: new Roster(storage, forget), outgoing, slices };
    this.#watchers.begin(this.#books);
    return this.#books;
  }

  async open(command: { account: AccountId; key: NewKey; starter: boolean }): Promise<Answer<{ opened: boolean }>> {
    const { key, starter } = command;
    const books = this.#books ?? this.#load();
    const opened = books.keys.byId(key.id) === null;
    if (opened && books.keys.list().length > 0) return { ok: false, refusal: refuse("id_conflict") };
    if (opened) desk.found(books, key, Date.now());
    if (starter && books.ledger.store.command(STARTER) === null) {
      await this.credit(starterCredit(this.#parameters, Date.now()));
    }
    return { ok: true, value: { opened } };
  }

  async hold(request: HoldRequest): Promise<HoldAnswer> {
    if (this.#allotments.mustAsk()) await this.#allotments.begin();
    const entered = this[MANAGEMENT].enter(request.credentials, "inference");
    if (!entered.ok) return { type: "refused", refusal: entered.refusal, quota: null };
    const { ledger, key, slices } = entered.value;
    const now = ledger.timeOf(Date.now());
    const before = this.#quotas.of(key, now);
    ledger.sweep(now);
    const earlier = findEarlier(ledger, request, now);
    // A call that comes again begins no job, so it takes nothing from the quota.
    if (earlier.type === "refused") return { ...earlier, quota: before };
    if (earlier.type === "repeated") {
      return { ...repeatedAnswer(ledger, earlier.row, (row) => this.#heldAnswer(row.job)), quota: before };
    }
    if (before.remaining === 0) {
      return { type: "refused", refusal: tooFast(before.limit), quota: before };
    }
    const decision = this.#decide(request, ledger, key, now);
    // What slices have is the account's: it comes back before a job is refused for want of it.
    if (decision.type === "soft_stop" && slices.mayReturn) {
      await slices.comeBack();
      return this.hold(request);
    }
    const { quota } = this.#quotas.take(key, now);
    const hint = slices.hintAt(now);
    const result = this.#reserve(request, entered.value, earlier, decision, now);
    return { ...result, quota, ...(hint !== null && { slices: hint }) };
  }

  #reserve(
    request: HoldRequest,
    { ledger, slices }: Entered,
    { slot, attempt }: Extract<Earlier, { type: "none" }>,
    decision: HoldDecision,
    now: number,
  ): HoldResult {
    const { job, body, keyed: call } = request;
    ledger.recordHold({ slot, attempt, job, body, call }, decision, now);
    if (decision.type !== "held") return decision;
    this.#alarm.arm();
    slices.begun(decision.hold, now);
    return this.#heldAnswer(request.job);
  }

  #decide(request: HoldRequest, { state }: Ledger, key: StoredKey, now: number): HoldDecision {
    return decideHold(state, { ...request, key: termsOf(key), peg: GENESIS_PEG }, this.#parameters, now);
  }

  async estimate(request: HoldRequest): Promise<EstimateResult> {
    if (this.#allotments.mustAsk()) await this.#allotments.begin();
    const entered = this[MANAGEMENT].enter(request.credentials, "inference");
    if (!entered.ok) return { type: "refused", refusal: entered.refusal };
    const { ledger, key, slices } = entered.value;
    const now = ledger.timeOf(Date.now());
    ledger.sweep(now);
    const decision = this.#decide(request, ledger, key, now);
    if (decision.type === "refused") return decision;
    if (decision.type === "soft_stop" && slices.mayReturn) {
      await slices.comeBack();
      return this.estimate(request);
    }
    return estimateOf(ledger.state, decision, now);
  }

  async admit(credentials: Credentials, model: string): Promise<Admission> {
    const entered = this[MANAGEMENT].enter(credentials, "inference");
    return entered.ok ? admit(entered.value, model, this.#quotas) : { refusal: entered.refusal, quota: null };
  }

  async post(facts: JobFacts): Promise<PostResult> {
    if (this.#books === null) return { type: "refused", reason: "unknown_job" };
    this.#alarm.arm();
    return this.#books.ledger.post(facts, Date.now());
  }

  async void(
    job: JobId,
    reason: string,
    fence: number | null = null,
    slotSince: number | null = null,
  ): Promise<VoidResult> {
    return this.#books?.ledger.void(job, reason, fence, Date.now(), slotSince) ?? { type: "unknown_job" };
  }

  async receipt(job: JobId, which: "receipt" | "reversal" = "receipt"): Promise<string | null> {
    return this.#books?.ledger.receipt(job, which) ?? null;
  }

  async advance(job: JobId, fence: number): Promise<boolean> {
    return this.#books?.ledger.advance(job, fence, Date.now()) ?? false;
  }

  async credit(command: CreditCommand): Promise<CreditResult> {
    if (this.#books === null) return { type: "refused", refusal: refuse("account_not_found") };
    this.#alarm.arm();
    const result = credit(this.#books.ledger, command, Date.now());
    if (command.kind === "package") this.#recallUnnamed(this.#books);
    return result;
  }

  async reverse(command: ReverseCommand): Promise<ReverseResult> {
    if (this.#books === null) return { type: "refused", refusal: refuse("account_not_found") };
    const { ledger } = this.#books;
    const result = ledger.reverse(command, Date.now());
    if (result.type === "refused") return result;
    this.#recallUnnamed(this.#books);
    await sendReversal(this.env, result.body);
    this.#alarm.arm();
    return result;
  }

  /** Slices run jobs that name no lane on other credits: where a package has come, or come back, it pays for those first. */
  #recallUnnamed({ ledger, slices }: Books): void {
    if (isNamedOnly(ledger.state, ledger.timeOf(Date.now()))) this.ctx.waitUntil(slices.termsChanged());
  }

  async send(credentials: Credentials, command: SendCommand): Promise<SendResult> {
    return send(
      {
        env: this.env,
        parameters: this.#parameters,
        enter: () => this[MANAGEMENT].enter(credentials, "transfer"),
        mayTake: ({ key, ledger }) => this.#quotas.take(key, ledger.timeOf(Date.now())).ok,
        wake: () => this.#alarm.armWithWrites(LIMITS.transferRetryMs),
      },
      command,
    );
  }

  async canReceive(millicredits: Millicredits): Promise<Answer<null>> {
    return mayReceive(this.#books?.ledger ?? null, millicredits);
  }

  async receive(transfer: Transfer | Move): Promise<CreditResult> {
    if (this.#books === null) return { type: "refused", refusal: refuse("account_not_found") };
    this.#alarm.arm();
    if ("parts" in transfer) return this.#books.slices.receive(transfer, Date.now());
    return receive(this.#books.ledger, transfer, Date.now());
  }

  async balance(credentials: Credentials): Promise<Answer<Balance>> {
    if (this.#allotments.mustAsk()) await this.#allotments.begin();
    const entered = this[MANAGEMENT].enter(credentials, "read");
    if (!entered.ok) return entered;
    const { ledger, slices } = entered.value;
    const elsewhere = slices.isOut ? await slices.reports() : [];
    const now = Date.now();
    ledger.sweep(now);
    return { ok: true, value: balanceOf(ledger.state, GENESIS_PEG, now, elsewhere) };
  }

  /** A live connection to the balance (protocol/internal/watch.ts). */
  override async fetch(request: Request): Promise<Response> {
    if (this.#allotments.mustAsk()) await this.#allotments.begin();
    return this.#watchers.open(request);
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    hear(socket, message);
  }

  override async webSocketClose(socket: WebSocket, code: number, reason: string): Promise<void> {
    this.#watchers.closed(socket, code, reason);
  }

  override async webSocketError(): Promise<void> {
    this.#watchers.restIfAlone();
  }

  async job(credentials: Credentials, job: JobId, scopes: readonly Scope[]): Promise<Answer<JobRecord>> {
    const entered = this[MANAGEMENT].enter(credentials, ...scopes);
    return entered.ok ? { ok: true, value: await readJob(entered.value, job) } : entered;
  }

  async entries(credentials: Credentials, after: number, limit: number, slice = 0): Promise<Answer<EntryRecord[]>> {
    const entered = this[MANAGEMENT].enter(credentials, "read");
    if (!entered.ok) return entered;
    return { ok: true, value: await readEntries(entered.value, after, limit, slice) };
  }

  async audit(seqs: readonly number[]): Promise<EntryRecord[]> {
    return this.#books?.ledger.store.records(seqs) ?? [];
  }

  async usage(credentials: Credentials, query: UsageQuery): Promise<Answer<UsagePart>> {
    const entered = this[MANAGEMENT].enter(credentials, "read");
    return entered.ok ? { ok: true, value: await readUsageOfAll(entered.value, query) } : entered;
  }

  async serviceLevels(credentials: Credentials, from: number): Promise<Answer<ServiceDay[]>> {
    return this[MANAGEMENT].ask(credentials, ["read"], () => ({ ok: true, value: this.#serviceLevels.days(from) }));
  }

  async check(credentials: Credentials, scope: Scope | null): Promise<Answer<null>> {
    return this[MANAGEMENT].ask(credentials, scope === null ? [] : [scope], () => ({ ok: true, value: null }));
  }

  /** Ends what has run out, looks after receipts that the log lacks, and comes back while anything is open. */
  override async alarm(): Promise<void> {
    this.#alarm.rang();
    const books = this.#books;
    if (books === null) return;
    const now = Date.now();
    const { ledger, outgoing } = books;
    ledger.sweep(now);
    if (this.#allotments.mustAsk()) await this.#allotments.begin();
    // Before others are waited for: whose key has expired sees nothing more.
    this.#watchers.recheck();
    await this.#measureService(books);
    await outgoing.deliver((name) => receiverOf(this.env, name));
    // Where D1 or the queue is away, the platform would call again six times within minutes and then never.
    const left = await checkLog(ledger.store, this.env, ledger.state.seq, now).catch(() => "pending" as const);
    if (left === "more") await this.ctx.storage.setAlarm(Date.now() + 1);
    else if (!outgoing.isEmpty) this.#alarm.arm(outgoing.retryMs());
    else if (left === "pending" || ledger.state.holds.size > 0) this.#alarm.arm();
    this.#allotments.plan();
    this.#serviceLevels.plan();
    this.#watchers.plan();
  }

  /** What cannot be measured now is measured later, and keeps nothing else from being done. */
  async #measureService(books: Books): Promise<void> {
    try {
      // A package that was over may be live again.
      if (await this.#serviceLevels.measure()) this.#recallUnnamed(books);
    } catch (error) {
      emitError("service_unmeasured", error);
    }
  }

  /** Ends this life of the object: the next one folds its rows again. */
  #forget(reason: string): never {
    this.ctx.abort(reason);
    throw new Error(reason);
  }

  #heldAnswer(job: JobId): HoldResult {
    const hold = this.#books?.ledger.openHold(job);
    if (hold === undefined || this.#books === null) return { type: "refused", refusal: refuse("job_not_found") };
    const { ledger } = this.#books;
    const allotment = allotmentOf(ledger.state, hold, this.#parameters);
    return { type: "held", ...heldTerms(ledger.state, hold, ledger.remaining(), allotment) };
  }
}
