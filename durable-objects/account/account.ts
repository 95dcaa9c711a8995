import { DurableObject } from "cloudflare:workers";
import { type Balance, balanceOf } from "../../core/account/balance.ts";
import { decideHold, type HoldDecision } from "../../core/account/hold.ts";
import { type QuotaWindow, quotaOf, takeJob } from "../../core/account/quota.ts";
import type { Scope } from "../../core/account/scopes.ts";
import type { Sending } from "../../core/account/transfer.ts";
import { type Refusal, refuse } from "../../core/errors.ts";
import type { AccountId, InviteId, JobId, KeyId, MemberId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import type { JobFacts } from "../../core/receipt/body.ts";
import { GENESIS_PEG, type Millicredits } from "../../core/units.ts";
import type {
  AccountRpc,
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
  KeySettings,
  KeyView,
  NewKey,
  PostResult,
  ReverseCommand,
  ReverseResult,
  Rotation,
  SendCommand,
  SendResult,
  Transfer,
  UsagePart,
  UsageQuery,
  VoidResult,
} from "../../protocol/internal/account.ts";
import type * as team from "../../protocol/internal/team.ts";
import { isMigrated, migrate } from "../shared/migrations.ts";
import { retrying } from "../shared/retry.ts";
import { parametersOf } from "../shared/settings.ts";
import type { Books, Entered } from "./books.ts";
import { credit, mayReceive, STARTER, starterCredit } from "./credits.ts";
import { createKey, enter, listKeys, revokeKey, rotateKey, termsOf, updateKey, viewed } from "./key-desk.ts";
import { Keyring, type StoredKey } from "./keyring.ts";
import { LazyAlarm } from "./lazy-alarm.ts";
import { Ledger } from "./ledger.ts";
import { checkLog, isConfirmed, rememberAccount, sendReversal } from "./log-check.ts";
import { Outgoing } from "./outgoing.ts";
import { allotmentOf, type Earlier, findEarlier, heldTerms, jobRecord, repeatedAnswer } from "./reservations.ts";
import { Roster } from "./roster.ts";
import { ACCOUNT_MIGRATIONS } from "./schema.ts";
import * as desk from "./team-desk.ts";
import { debit, maySend, receive } from "./transfers.ts";
import { readUsage } from "./usage.ts";
import { hear } from "./watcher.ts";
import { Watchers } from "./watchers.ts";

/**
 * One account: its lots, holds, chain of entries and keys. The one writer of its money. Every command is decided by pure
 * functions in `core/account`, written in one transaction, and idempotent by an id that its caller made.
 */
export class Account extends DurableObject<Env> implements AccountRpc {
  readonly #parameters: Parameters;
  #books: Books | null = null;
  readonly #alarm: LazyAlarm;
  /** What each key has used of its minute. An object that sleeps has had no job for some time, so it may forget. */
  readonly #quotas = new Map<KeyId, QuotaWindow>();
  readonly #watchers: Watchers;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#parameters = parametersOf(env);
    this.#alarm = new LazyAlarm(ctx);
    this.#watchers = new Watchers({
      ctx,
      minimum: this.#parameters.minimumBalanceMillicredits as Millicredits,
      wakeAt: (time) => this.#alarm.arm(Math.max(1, time - Date.now())),
    });
    if (!isMigrated(ctx.storage)) return;
    const { ledger, outgoing } = this.#load();
    // An alarm that was lost with an earlier life of this object would never come back by itself.
    if (!outgoing.isEmpty) this.#alarm.arm(LIMITS.transferRetryMs);
    else if (ledger.state.holds.size > 0 || !isConfirmed(ledger.store, ledger.state.seq)) this.#alarm.arm();
  }

  #load(): Books {
    migrate(this.ctx.storage, ACCOUNT_MIGRATIONS);
    const forget = (reason: string) => this.#forget(reason);
    this.#books = {
      ledger: new Ledger(this.ctx.storage, forget, () => this.#watchers.changed()),
      keys: new Keyring(this.ctx.storage.sql),
      team: new Roster(this.ctx.storage, forget),
      outgoing: new Outgoing(this.ctx.storage.sql),
    };
    rememberAccount(this.#books.ledger.store, this.ctx.id.name);
    this.#watchers.begin(this.#books);
    return this.#books;
  }

  async open(command: { account: AccountId; key: NewKey; starter: boolean }): Promise<Answer<{ opened: boolean }>> {
    const { key, starter } = command;
    const books = this.#books ?? this.#load();
    const opened = books.keys.byId(key.id) === null;
    if (opened && books.keys.list().length > 0) return refusal(refuse("id_conflict"));
    if (opened) desk.found(books, key, Date.now());
    if (starter && books.ledger.store.command(STARTER) === null) {
      await this.credit(starterCredit(this.#parameters, Date.now()));
    }
    return { ok: true, value: { opened } };
  }

  async hold(request: HoldRequest): Promise<HoldAnswer> {
    const entered = this.#enter(request.credentials, "inference");
    if (!entered.ok) return { type: "refused", refusal: entered.refusal, quota: null };
    const { ledger, key } = entered.value;
    const now = ledger.timeOf(Date.now());
    const limit = key.requestsPerMinute ?? LIMITS.requestsPerMinute;
    const before = this.#quotas.get(key.id);
    ledger.sweep(now);
    const earlier = findEarlier(ledger, request, now);
    // A call that comes again begins no job, so it takes nothing from the quota.
    if (earlier.type === "refused") return { ...earlier, quota: quotaOf(before, limit, now) };
    if (earlier.type === "repeated") {
      const answer = repeatedAnswer(ledger, earlier.row, (row) => this.#heldAnswer(row.job));
      return { ...answer, quota: quotaOf(before, limit, now) };
    }
    const { ok, window, quota } = takeJob(before, limit, now);
    this.#quotas.set(key.id, window);
    if (ok) return { ...this.#reserve(request, entered.value, earlier, now), quota };
    const detail = `This key may begin ${limit} jobs in a minute.`;
    return { type: "refused", refusal: refuse("rate_limited", { detail }), quota };
  }

  #reserve(
    request: HoldRequest,
    { ledger, key }: Entered,
    { slot, attempt }: Extract<Earlier, { type: "none" }>,
    now: number,
  ): HoldResult {
    const decision = this.#decide(request, ledger, key, now);
    const { job, body, keyed: call } = request;
    ledger.recordHold({ slot, attempt, job, body, call }, decision, now);
    if (decision.type !== "held") return decision;
    this.#alarm.arm();
    return this.#heldAnswer(request.job);
  }

  #decide(request: HoldRequest, { state }: Ledger, key: StoredKey, now: number): HoldDecision {
    return decideHold(state, { ...request, key: termsOf(key), peg: GENESIS_PEG }, this.#parameters, now);
  }

  async estimate(request: HoldRequest): Promise<EstimateResult> {
    const entered = this.#enter(request.credentials, "inference");
    if (!entered.ok) return { type: "refused", refusal: entered.refusal };
    const { ledger, key } = entered.value;
    const now = ledger.timeOf(Date.now());
    ledger.sweep(now);
    const decision = this.#decide(request, ledger, key, now);
    if (decision.type === "refused") return decision;
    const { lane, completionCap, price } = decision.type === "held" ? decision.hold : decision.stop;
    return { type: "estimated", lane, completionCap, price, stop: decision.type === "held" ? null : decision.stop };
  }

  async post(facts: JobFacts): Promise<PostResult> {
    if (this.#books === null) return { type: "refused", reason: "unknown_job" };
    this.#alarm.arm();
    return this.#books.ledger.post(facts, Date.now());
  }

  async void(job: JobId, reason: string, fence: number | null = null): Promise<VoidResult> {
    return this.#books?.ledger.void(job, reason, fence, Date.now()) ?? { type: "unknown_job" };
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
    return credit(this.#books.ledger, command, Date.now());
  }

  async reverse(command: ReverseCommand): Promise<ReverseResult> {
    if (this.#books === null) return { type: "refused", refusal: refuse("account_not_found") };
    const { ledger } = this.#books;
    const result = ledger.reverse(command, Date.now());
    if (result.type === "refused") return result;
    await sendReversal(this.env, result.body);
    this.#alarm.arm();
    return result;
  }

  async send(credentials: Credentials, command: SendCommand): Promise<SendResult> {
    const early = this.#maySend(credentials, command);
    if (!("sending" in early)) return early;
    const { key, ledger: books } = early;
    const limit = key.requestsPerMinute ?? LIMITS.requestsPerMinute;
    const taken = takeJob(this.#quotas.get(key.id), limit, books.timeOf(Date.now()));
    this.#quotas.set(key.id, taken.window);
    if (!taken.ok) return { type: "refused", refusal: refuse("rate_limited") };
    // Asked before anything is written, as an unknown account is refused and what has left cannot come back.
    const recipient = () => this.env.ACCOUNT.getByName(command.to);
    const open = await retrying<Answer<null>>(async () => await recipient().canReceive(command.millicredits));
    if (!open.ok) return { type: "refused", refusal: open.refusal };
    // Meanwhile the key may have been revoked, the balance spent, or the same call carried out.
    const still = this.#maySend(credentials, command);
    if (!("sending" in still)) return still;
    const seq = debit(still, command, still.sending, Date.now());
    this.#alarm.armWithWrites(LIMITS.transferRetryMs);
    await still.outgoing.deliver((other) => this.env.ACCOUNT.getByName(other), command.id);
    return { type: "sent", seq, delivered: !still.outgoing.has(command.id) };
  }

  #maySend(credentials: Credentials, command: SendCommand): (Entered & { readonly sending: Sending }) | SendResult {
    const entered = this.#enter(credentials, "transfer");
    if (!entered.ok) return { type: "refused", refusal: entered.refusal };
    const sending = maySend(entered.value, command, this.#parameters, Date.now());
    return "type" in sending ? sending : { ...entered.value, sending };
  }

  async canReceive(millicredits: Millicredits): Promise<Answer<null>> {
    return mayReceive(this.#books?.ledger ?? null, millicredits);
  }

  async receive(transfer: Transfer): Promise<CreditResult> {
    if (this.#books === null) return { type: "refused", refusal: refuse("account_not_found") };
    this.#alarm.arm();
    return receive(this.#books.ledger, transfer, Date.now());
  }

  async balance(credentials: Credentials): Promise<Answer<Balance>> {
    const entered = this.#enter(credentials, "read");
    if (!entered.ok) return entered;
    const now = Date.now();
    entered.value.ledger.sweep(now);
    return { ok: true, value: balanceOf(entered.value.ledger.state, GENESIS_PEG, now) };
  }

  /** A live connection to the balance (protocol/internal/watch.ts). */
  override async fetch(request: Request): Promise<Response> {
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
    return this.#ask(credentials, scopes, ({ ledger }) => {
      ledger.sweep(Date.now());
      return { ok: true, value: jobRecord(ledger, ledger.store.holdOf(job)) };
    });
  }

  async entries(credentials: Credentials, after: number, limit: number): Promise<Answer<EntryRecord[]>> {
    return this.#ask(credentials, ["read"], ({ ledger }) => ({ ok: true, value: ledger.store.page(after, limit) }));
  }

  async audit(seqs: readonly number[]): Promise<EntryRecord[]> {
    return this.#books?.ledger.store.records(seqs) ?? [];
  }

  async usage(credentials: Credentials, query: UsageQuery): Promise<Answer<UsagePart>> {
    return this.#ask(credentials, ["read"], (entered) => ({ ok: true, value: readUsage(entered, query) }));
  }

  async check(credentials: Credentials, scope: Scope | null): Promise<Answer<null>> {
    return this.#ask(credentials, scope === null ? [] : [scope], () => ({ ok: true, value: null }));
  }

  async keys(credentials: Credentials): Promise<Answer<KeyView[]>> {
    return this.#ask(credentials, ["manage"], (entered) => listKeys(entered, Date.now()));
  }

  async createKey(credentials: Credentials, key: NewKey): Promise<Answer<KeyView>> {
    return this.#manageKey(credentials, (entered) => createKey(entered, key, Date.now()));
  }

  async updateKey(credentials: Credentials, id: KeyId, changes: Partial<KeySettings>): Promise<Answer<KeyView>> {
    return this.#manageKey(credentials, (entered) => updateKey(entered, id, changes));
  }

  async rotateKey(credentials: Credentials, id: KeyId, rotation: Rotation): Promise<Answer<KeyView>> {
    return this.#manageKey(credentials, (entered) => rotateKey(entered, id, rotation, Date.now()));
  }

  async revokeKey(credentials: Credentials, id: KeyId): Promise<Answer<KeyView>> {
    // Whoever has a key's secret may always end that key.
    const own = this.#books?.keys.find(credentials.secretHash, Date.now())?.id === id;
    return this.#manageKey(credentials, (entered) => revokeKey(entered, id, Date.now()), own ? [] : ["manage"]);
  }

  async team(credentials: Credentials): Promise<Answer<team.MemberView[]>> {
    return this.#ask(credentials, ["read"], (entered) => desk.listMembers(entered, Date.now()));
  }

  async invites(credentials: Credentials): Promise<Answer<team.InviteRecord[]>> {
    return this.#ask(credentials, ["manage"], desk.listInvites);
  }

  async invite(credentials: Credentials, invite: team.NewInvite): Promise<Answer<team.InviteRecord>> {
    return this.#manage(credentials, ["manage"], (entered) => desk.invite(entered, invite, Date.now()));
  }

  async revokeInvite(credentials: Credentials, id: InviteId): Promise<Answer<team.InviteRecord>> {
    return this.#manage(credentials, ["manage"], (entered) => desk.revokeInvite(entered, id, Date.now()));
  }

  async join(command: team.JoinCommand): Promise<Answer<team.Joined>> {
    return this.#books === null ? refusal(refuse("invalid_invite")) : desk.join(this.#books, command, Date.now());
  }

  async changeMember(
    credentials: Credentials,
    id: MemberId,
    changes: team.MemberChanges,
  ): Promise<Answer<team.MemberView>> {
    return this.#manage(credentials, ["manage"], (entered) => desk.changeMember(entered, id, changes, Date.now()));
  }

  async removeMember(credentials: Credentials, id: MemberId): Promise<Answer<team.MemberView>> {
    return this.#manage(credentials, [], (entered) => desk.removeMember(entered, id, Date.now()));
  }

  #manageKey(
    credentials: Credentials,
    change: (entered: Entered) => Answer<StoredKey>,
    scopes: readonly Scope[] = ["manage"],
  ): Answer<KeyView> {
    return this.#manage(credentials, scopes, (entered) => viewed(change(entered), entered, Date.now()));
  }

  #ask<T>(credentials: Credentials, scopes: readonly Scope[], answer: (entered: Entered) => Answer<T>): Answer<T> {
    const entered = this.#enter(credentials, ...scopes);
    return entered.ok ? answer(entered.value) : entered;
  }

  /** Changes keys or members, and looks afterwards which watchers' keys still count. */
  #manage<T>(credentials: Credentials, scopes: readonly Scope[], change: (entered: Entered) => Answer<T>): Answer<T> {
    const changed = this.#ask(credentials, scopes, change);
    this.#watchers.recheck();
    return changed;
  }

  /** Ends what has run out, looks after receipts that the log lacks, and comes back while anything is open. */
  override async alarm(): Promise<void> {
    this.#alarm.rang();
    const books = this.#books;
    if (books === null) return;
    const now = Date.now();
    const { ledger, outgoing } = books;
    ledger.sweep(now);
    // Before others are waited for: whose key has expired sees nothing more.
    this.#watchers.recheck();
    await outgoing.deliver((other) => this.env.ACCOUNT.getByName(other));
    // Where D1 or the queue is away, the platform would call again six times within minutes and then never.
    const left = await checkLog(ledger.store, this.env, ledger.state.seq, now).catch(() => "pending" as const);
    if (left === "more") await this.ctx.storage.setAlarm(Date.now() + 1);
    else if (!outgoing.isEmpty) this.#alarm.arm(outgoing.retryMs());
    else if (left === "pending" || ledger.state.holds.size > 0) this.#alarm.arm();
    this.#watchers.plan();
  }

  /** Ends this life of the object: the next one folds its rows again. */
  #forget(reason: string): never {
    this.ctx.abort(reason);
    throw new Error(reason);
  }

  /** Lets a key in that counts and was made for this: it has one of the scopes, if any are named. */
  #enter(credentials: Credentials, ...scopes: readonly Scope[]): Answer<Entered> {
    return enter(this.#books, credentials, scopes, Date.now());
  }

  #heldAnswer(job: JobId): HoldResult {
    const hold = this.#books?.ledger.openHold(job);
    if (hold === undefined || this.#books === null) return { type: "refused", refusal: refuse("job_not_found") };
    const { ledger } = this.#books;
    return { type: "held", ...heldTerms(hold, ledger.remaining(), allotmentOf(ledger.state, hold, this.#parameters)) };
  }
}

function refusal(value: Refusal): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: value };
}
