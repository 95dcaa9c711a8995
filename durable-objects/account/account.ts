import { DurableObject } from "cloudflare:workers";
import { type Balance, balanceOf } from "../../core/account/balance.ts";
import { decideHold, type HoldDecision } from "../../core/account/hold.ts";
import { shown } from "../../core/account/lots.ts";
import { type QuotaWindow, quotaOf, takeJob } from "../../core/account/quota.ts";
import type { Scope } from "../../core/account/scopes.ts";
import type { AccountState, Hold } from "../../core/account/state.ts";
import { decideSending } from "../../core/account/transfer.ts";
import { type Refusal, refuse } from "../../core/errors.ts";
import { type AccountId, type JobId, type KeyId } from "../../core/ids.ts";
import { WHOLE } from "../../core/lanes.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import type { JobFacts } from "../../core/receipt/body.ts";
import { canonicalText } from "../../core/receipt/canonical.ts";
import { GENESIS_PEG, MAX_AMOUNT, type Millicredits, mulDivFloor, type NanoUsd, sum } from "../../core/units.ts";
import type {
  AccountRpc,
  AllotmentTerms,
  Answer,
  Credentials,
  CreditCommand,
  CreditResult,
  EntryRecord,
  EstimateResult,
  HeldTerms,
  HoldAnswer,
  HoldRequest,
  HoldResult,
  JobRecord,
  KeySettings,
  KeyView,
  NewKey,
  PostResult,
  Rotation,
  SendCommand,
  SendResult,
  Transfer,
  VoidResult,
} from "../../protocol/internal/account.ts";
import { isMigrated, migrate } from "../shared/migrations.ts";
import { retrying } from "../shared/retry.ts";
import { parametersOf } from "../shared/settings.ts";
import { barKey, createKey, rotateKey, termsOf, updateKey, viewOf } from "./key-desk.ts";
import { Keyring, type StoredKey } from "./keyring.ts";
import { Ledger } from "./ledger.ts";
import { checkLog, isConfirmed } from "./log-check.ts";
import { Outgoing } from "./outgoing.ts";
import { type Earlier, findEarlier, jobRecord, repeatedAnswer } from "./reservations.ts";
import { ACCOUNT_MIGRATIONS } from "./schema.ts";
import { hear } from "./watcher.ts";
import { Watchers } from "./watchers.ts";

interface Books {
  readonly ledger: Ledger;
  readonly keys: Keyring;
  readonly outgoing: Outgoing;
}

/** The books, and the key that was let in to them. */
type Entered = Books & { readonly key: StoredKey };

/**
 * One account: its lots, holds, chain of entries and keys. The one writer of its money. Every command is decided by pure
 * functions in `core/account`, written in one transaction, and idempotent by an id that its caller made.
 */
export class Account extends DurableObject<Env> implements AccountRpc {
  readonly #parameters: Parameters;
  #books: Books | null = null;
  /** When the alarm rings, as far as this life of the object knows. */
  #alarmAt = Number.POSITIVE_INFINITY;
  /** What each key has used of its minute. An object that sleeps has had no job for some time, so it may forget. */
  readonly #quotas = new Map<KeyId, QuotaWindow>();
  readonly #watchers: Watchers;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#parameters = parametersOf(env);
    this.#watchers = new Watchers({
      ctx,
      minimum: this.#parameters.minimumBalanceMillicredits as Millicredits,
      wakeAt: (time) => this.#armAlarm(Math.max(1, time - Date.now())),
    });
    if (!isMigrated(ctx.storage)) return;
    const { ledger, outgoing } = this.#load();
    // An alarm that was lost with an earlier life of this object would never come back by itself.
    if (!outgoing.isEmpty) this.#armAlarm(LIMITS.transferRetryMs);
    else if (ledger.state.holds.size > 0 || !isConfirmed(ledger.store, ledger.state.seq)) this.#armAlarm();
  }

  #load(): Books {
    migrate(this.ctx.storage, ACCOUNT_MIGRATIONS);
    const forget = (reason: string) => this.#forget(reason);
    this.#books = {
      ledger: new Ledger(this.ctx.storage, forget, () => this.#watchers.changed()),
      keys: new Keyring(this.ctx.storage.sql),
      outgoing: new Outgoing(this.ctx.storage.sql),
    };
    this.#watchers.begin(this.#books);
    return this.#books;
  }

  async open(command: { account: AccountId; key: NewKey; starter: boolean }): Promise<Answer<{ opened: boolean }>> {
    const { key, starter } = command;
    const books = this.#books ?? this.#load();
    const opened = books.keys.byId(key.id) === null;
    if (opened && books.keys.list().length > 0) return refusal(refuse("id_conflict"));
    if (opened) books.keys.add(key, Date.now());
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
    this.#armAlarm();
    return this.#heldAnswer(request.job);
  }

  #decide(request: HoldRequest, { state }: Ledger, key: StoredKey, now: number): HoldDecision {
    const command = { ...request, key: termsOf(key), peg: GENESIS_PEG };
    return decideHold(state, command, this.#parameters, now);
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
    const result = this.#books.ledger.post(facts, Date.now());
    this.#armAlarm();
    return result;
  }

  async void(job: JobId, reason: string, fence: number | null = null): Promise<VoidResult> {
    return this.#books?.ledger.void(job, reason, fence, Date.now()) ?? { type: "unknown_job" };
  }

  async advance(job: JobId, fence: number): Promise<boolean> {
    return this.#books?.ledger.advance(job, fence, Date.now()) ?? false;
  }

  async credit(command: CreditCommand): Promise<CreditResult> {
    const books = this.#books;
    if (books === null) return { type: "refused", refusal: refuse("account_not_found") };
    const { ledger } = books;
    if (!Number.isSafeInteger(command.amount) || command.amount <= 0) {
      return { type: "refused", refusal: badAmount("The amount must be a whole number above 0.") };
    }
    const text = canonicalText(command);
    const before = ledger.store.command(command.id);
    if (before !== null) {
      return before.command === text
        ? { type: "credited", seq: before.seq }
        : { type: "refused", refusal: refuse("id_conflict") };
    }
    const now = Date.now();
    ledger.sweep(now);
    if (!fits(ledger.state, command)) return { type: "refused", refusal: TOO_MUCH };
    if (ledger.state.lots.size >= LIMITS.lots) return { type: "refused", refusal: refuse("lot_limit") };
    const seq = ledger.credit(command, now, (at) => ledger.store.addCommand(command.id, text, at));
    return { type: "credited", seq };
  }

  async send(credentials: Credentials, command: SendCommand): Promise<SendResult> {
    const early = this.#mayStillSend(credentials, command);
    if (!("key" in early)) return early;
    // Asked before anything is written, as an unknown account is refused and what has left cannot come back.
    const recipient = () => this.env.ACCOUNT.getByName(command.to);
    const open = await retrying<Answer<null>>(async () => await recipient().canReceive(command.millicredits));
    if (!open.ok) return { type: "refused", refusal: open.refusal };
    // Meanwhile the key may have been revoked, the balance spent, or the same call carried out.
    const entered = this.#mayStillSend(credentials, command);
    if (!("key" in entered)) return entered;
    const { ledger, outgoing } = entered;
    const now = Date.now();
    ledger.sweep(now);
    const sending = decideSending(ledger.state, command.millicredits, GENESIS_PEG, ledger.timeOf(now));
    if ("refusal" in sending) return { type: "refused", refusal: sending.refusal };
    const { id, from, to, millicredits, memo } = command;
    const facts = { id, other: to, millicredits, stripped: sending.stripped, memo };
    const seq = ledger.send(sending, facts, now, (at) => {
      ledger.store.addCommand(sendId(id), canonicalText(command), at);
      outgoing.add(to, { id, from, millicredits, memo });
    });
    this.#armAlarm(LIMITS.transferRetryMs);
    await this.#deliver(outgoing);
    return { type: "sent", seq, delivered: !outgoing.has(id) };
  }

  /** Lets a transfer go on, or says how it ended before: refused, or carried out by an earlier call. */
  #mayStillSend(credentials: Credentials, command: SendCommand): Entered | SendResult {
    const entered = this.#enter(credentials, "transfer");
    if (!entered.ok) return { type: "refused", refusal: entered.refusal };
    const { ledger, outgoing } = entered.value;
    const before = ledger.store.command(sendId(command.id));
    if (before !== null && before.command === canonicalText(command)) {
      return { type: "sent", seq: before.seq, delivered: !outgoing.has(command.id) };
    }
    if (before !== null) return { type: "refused", refusal: refuse("id_conflict") };
    if (command.to === command.from) return { type: "refused", refusal: refuse("transfer_to_self", { param: "to" }) };
    if (!Number.isSafeInteger(command.millicredits) || command.millicredits <= 0) {
      return { type: "refused", refusal: badAmount("The amount must be above 0.") };
    }
    return entered.value;
  }

  async #deliver(outgoing: Outgoing): Promise<void> {
    await outgoing.deliver((id) => this.env.ACCOUNT.getByName(id));
  }

  async canReceive(millicredits: Millicredits): Promise<Answer<null>> {
    if (this.#books === null) return refusal(refuse("account_not_found", { param: "to" }));
    const { state } = this.#books.ledger;
    return fits(state, { backing: "none", amount: millicredits }) ? { ok: true, value: null } : refusal(TOO_MUCH);
  }

  async receive(transfer: Transfer): Promise<CreditResult> {
    const open = await this.canReceive(transfer.millicredits);
    if (this.#books === null || !open.ok) {
      return { type: "refused", refusal: open.ok ? refuse("account_not_found") : open.refusal };
    }
    const { ledger } = this.#books;
    const { id, from, millicredits, memo } = transfer;
    const text = canonicalText(transfer);
    const before = ledger.store.command(receiveId(from, id));
    if (before !== null) {
      return before.command === text
        ? { type: "credited", seq: before.seq }
        : { type: "refused", refusal: refuse("id_conflict") };
    }
    const facts = { id, other: from, millicredits, stripped: 0 as NanoUsd, memo };
    const seq = ledger.receive(facts, Date.now(), (at) => ledger.store.addCommand(receiveId(from, id), text, at));
    return { type: "credited", seq };
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

  async job(credentials: Credentials, job: JobId): Promise<Answer<JobRecord>> {
    const entered = this.#enter(credentials, "inference", "read");
    if (!entered.ok) return entered;
    const { ledger } = entered.value;
    ledger.sweep(Date.now());
    return { ok: true, value: jobRecord(ledger, ledger.store.holdOf(job)) };
  }

  async entries(credentials: Credentials, after: number, limit: number): Promise<Answer<EntryRecord[]>> {
    const entered = this.#enter(credentials, "read");
    if (!entered.ok) return entered;
    const rows = entered.value.ledger.store.entries(after + 1, Math.min(limit, LIMITS.maxPageRows));
    return { ok: true, value: rows.map(({ seq, at, type, body }) => ({ seq, at, type, body })) };
  }

  async check(credentials: Credentials, scope: Scope | null): Promise<Answer<null>> {
    const entered = this.#enter(credentials, ...(scope === null ? [] : [scope]));
    return entered.ok ? { ok: true, value: null } : entered;
  }

  async keys(credentials: Credentials): Promise<Answer<KeyView[]>> {
    const entered = this.#enter(credentials, "manage");
    if (!entered.ok) return entered;
    const { keys, ledger } = entered.value;
    return { ok: true, value: keys.list().map((key) => viewOf(key, ledger.state, Date.now())) };
  }

  async createKey(credentials: Credentials, key: NewKey): Promise<Answer<KeyView>> {
    return this.#manage(credentials, ({ keys, key: by }) => createKey(keys, by, key, Date.now()));
  }

  async updateKey(credentials: Credentials, id: KeyId, changes: Partial<KeySettings>): Promise<Answer<KeyView>> {
    return this.#manage(credentials, ({ keys, key: by }) => updateKey(keys, by, id, changes));
  }

  async rotateKey(credentials: Credentials, id: KeyId, rotation: Rotation): Promise<Answer<KeyView>> {
    return this.#manage(credentials, ({ keys }) => rotateKey(keys, id, rotation, Date.now()));
  }

  async revokeKey(credentials: Credentials, id: KeyId): Promise<Answer<KeyView>> {
    const own = this.#books?.keys.find(credentials.secretHash, Date.now())?.id === id;
    return this.#manage(
      credentials,
      ({ keys }) => {
        const key = keys.byId(id);
        return key === null ? refusal(refuse("key_not_found")) : { ok: true, value: keys.revoke(key, Date.now()) };
      },
      own ? [] : ["manage"],
    );
  }

  #manage(
    credentials: Credentials,
    change: (entered: Entered) => Answer<StoredKey>,
    scopes: readonly Scope[] = ["manage"],
  ): Answer<KeyView> {
    const entered = this.#enter(credentials, ...scopes);
    if (!entered.ok) return entered;
    const changed = change(entered.value);
    this.#watchers.recheck();
    return changed.ok ? { ok: true, value: viewOf(changed.value, entered.value.ledger.state, Date.now()) } : changed;
  }

  /** Ends what has run out, looks after receipts that the log lacks, and comes back while anything is open. */
  override async alarm(): Promise<void> {
    this.#alarmAt = Number.POSITIVE_INFINITY;
    const books = this.#books;
    if (books === null) return;
    const now = Date.now();
    const { ledger, outgoing } = books;
    ledger.sweep(now);
    // Before others are waited for: whose key has expired sees nothing more.
    this.#watchers.recheck();
    await this.#deliver(outgoing);
    // Where D1 or the queue is away, the platform would call again six times within minutes and then never.
    const left = await checkLog(ledger.store, this.env, ledger.state.seq, now).catch(() => "pending" as const);
    if (left === "more") await this.ctx.storage.setAlarm(Date.now() + 1);
    else if (!outgoing.isEmpty) this.#armAlarm(LIMITS.transferRetryMs);
    else if (left === "pending" || ledger.state.holds.size > 0) this.#armAlarm();
    this.#watchers.plan();
  }

  /** One lazy alarm: left alone where it rings soon enough, as every alarm that is set costs a row. */
  #armAlarm(afterMs: number = LIMITS.accountAlarmMs): void {
    const wanted = Date.now() + afterMs;
    // One that should have rung long ago has spent its retries.
    if (this.#alarmAt <= wanted && this.#alarmAt > Date.now() - LIMITS.accountAlarmMs) return;
    this.#alarmAt = wanted;
    this.ctx.waitUntil(
      this.ctx.storage.getAlarm().then((due) => {
        // An alarm in the past is one whose retries are spent: it would never ring again.
        if (due === null || due > wanted || due < Date.now() - LIMITS.accountAlarmMs) {
          return this.ctx.storage.setAlarm(wanted);
        }
        return undefined;
      }),
    );
  }

  /** Ends this life of the object: the next one folds its rows again. */
  #forget(reason: string): never {
    this.ctx.abort(reason);
    throw new Error(reason);
  }

  /** Lets a key in that counts and was made for this: it has one of the scopes, if any are named. */
  #enter(credentials: Credentials, ...scopes: readonly Scope[]): Answer<Entered> {
    const now = Date.now();
    const key = this.#books?.keys.find(credentials.secretHash, now) ?? null;
    if (this.#books === null || key === null) return refusal(refuse("invalid_api_key"));
    const barred = barKey(key, scopes, now);
    return barred === null ? { ok: true, value: { ...this.#books, key } } : refusal(barred);
  }

  #heldAnswer(job: JobId): HoldResult {
    const hold = this.#books?.ledger.openHold(job);
    if (hold === undefined || this.#books === null) return { type: "refused", refusal: refuse("job_not_found") };
    const { ledger } = this.#books;
    return { type: "held", ...heldTerms(hold, ledger.remaining(), allotmentOf(ledger.state, hold, this.#parameters)) };
  }
}

function heldTerms(hold: Hold, remaining: Millicredits, allotment: AllotmentTerms | null): HeldTerms {
  const { lane, reserved, price, promptBound, completionCap, expiresAt, draws, peg } = hold;
  const held = sum(draws.map(({ backing, amount }) => shown(backing, amount, peg)));
  const unbacked = draws.some(({ backing }) => backing === "none");
  return { lane, reserved, allotment, price, promptBound, completionCap, expiresAt, held, remaining, unbacked };
}

/** What bounds the payees of a hold's allotment: only those are named who have had what one payee may always have. */
function allotmentOf({ allotment }: AccountState, { draws }: Hold, parameters: Parameters): AllotmentTerms | null {
  if (allotment === null || !draws.some(({ lot }) => lot === allotment.lot)) return null;
  const { granted, paid } = allotment;
  const share = mulDivFloor(granted, parameters.allotmentPayeeShareBasisPoints, WHOLE);
  return { granted, paid: [...paid].filter(([, earned]) => earned >= share) };
}

/** Whether an account's lots together stay within exact numbers; one that they passed could be summed no more. */
function fits({ lots }: AccountState, { backing, amount }: Pick<CreditCommand, "backing" | "amount">): boolean {
  const total = [...lots.values()].reduce(
    (sum, lot) => sum + BigInt(shown(lot.backing, lot.available + lot.held, GENESIS_PEG)),
    BigInt(shown(backing, Math.min(amount, MAX_AMOUNT), GENESIS_PEG)),
  );
  return amount <= MAX_AMOUNT && total <= BigInt(MAX_AMOUNT);
}

function badAmount(detail: string): Refusal {
  return refuse("invalid_request", { detail, param: "amount" });
}

const TOO_MUCH = badAmount(`An account holds at most ${MAX_AMOUNT} of any unit.`);

/** Ids of transfers are their makers' own: they must not meet those of credits, nor of other senders. */
function sendId(id: string): string {
  return `send/${id}`;
}

function receiveId(from: AccountId, id: string): string {
  return `receive/${from}/${id}`;
}

function refusal(value: Refusal): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: value };
}

/** The id of the one credit that every account can have once. */
const STARTER = "starter";

/** The starter balance (economics.md §6): one bonus lot, once for an account. */
function starterCredit(parameters: Parameters, now: number): CreditCommand {
  return {
    id: STARTER,
    kind: "bonus",
    backing: "none",
    amount: parameters.starterMillicredits,
    expiresAt: now + parameters.starterExpiryMs,
    memo: "starter balance",
  };
}
