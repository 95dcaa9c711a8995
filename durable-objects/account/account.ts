import { DurableObject } from "cloudflare:workers";
import { type Balance, balanceOf } from "../../core/account/balance.ts";
import { decideHold } from "../../core/account/hold.ts";
import { shown } from "../../core/account/lots.ts";
import { type QuotaWindow, quotaOf, takeJob } from "../../core/account/quota.ts";
import type { AccountState, Hold } from "../../core/account/state.ts";
import { type Refusal, refuse } from "../../core/errors.ts";
import { type AccountId, type JobId, type KeyId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import type { JobFacts } from "../../core/receipt/body.ts";
import { canonicalText } from "../../core/receipt/canonical.ts";
import { GENESIS_PEG, MAX_AMOUNT, type Millicredits, sum } from "../../core/units.ts";
import type {
  AccountRpc,
  Answer,
  Credentials,
  CreditCommand,
  CreditResult,
  EntryRecord,
  HeldTerms,
  HoldAnswer,
  HoldRequest,
  HoldResult,
  JobRecord,
  KeyRecord,
  NewKey,
  PostResult,
  VoidResult,
} from "../../protocol/internal/account.ts";
import { isMigrated, migrate } from "../shared/migrations.ts";
import { parametersOf } from "../shared/settings.ts";
import { Keyring } from "./keyring.ts";
import { Ledger } from "./ledger.ts";
import { checkLog, isConfirmed } from "./log-check.ts";
import { type Earlier, findEarlier, jobRecord, repeatedAnswer } from "./reservations.ts";
import { ACCOUNT_MIGRATIONS } from "./schema.ts";

interface Books {
  readonly ledger: Ledger;
  readonly keys: Keyring;
}

/**
 * One account: its lots, holds, chain of entries and keys. The one writer of its money. Every command is decided by pure
 * functions in `core/account`, written in one transaction, and idempotent by an id that its caller made.
 */
export class Account extends DurableObject<Env> implements AccountRpc {
  readonly #parameters: Parameters;
  #books: Books | null = null;
  #alarmArmed = false;
  /** What each key has used of its minute. An object that sleeps has had no job for some time, so it may forget. */
  readonly #quotas = new Map<KeyId, QuotaWindow>();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#parameters = parametersOf(env);
    if (!isMigrated(ctx.storage)) return;
    const { ledger } = this.#load();
    // An alarm that was lost with an earlier life of this object would never come back by itself.
    if (ledger.state.holds.size > 0 || !isConfirmed(ledger.store, ledger.state.seq)) this.#armAlarm();
  }

  #load(): Books {
    migrate(this.ctx.storage, ACCOUNT_MIGRATIONS);
    this.#books = {
      ledger: new Ledger(this.ctx.storage, (reason) => this.#forget(reason)),
      keys: new Keyring(this.ctx.storage.sql),
    };
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
    const entered = this.#enter(request.credentials);
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
    { ledger, key }: Books & { key: KeyRecord },
    { slot, attempt }: Extract<Earlier, { type: "none" }>,
    now: number,
  ): HoldResult {
    const decision = decideHold(ledger.state, { ...request, key: key.id, peg: GENESIS_PEG }, this.#parameters, now);
    const { job, body, keyed: call } = request;
    ledger.recordHold({ slot, attempt, job, body, call }, decision, now);
    if (decision.type !== "held") return decision;
    this.#armAlarm();
    return this.#heldAnswer(request.job);
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

  async receipt(job: JobId): Promise<string | null> {
    const ended = this.#books?.ledger.ending(job) ?? null;
    return ended?.type === "spent" ? ended.body : null;
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
    if (!fits(ledger.state, command)) {
      return { type: "refused", refusal: badAmount(`An account holds at most ${MAX_AMOUNT} of any unit.`) };
    }
    if (ledger.state.lots.size >= LIMITS.lots) return { type: "refused", refusal: refuse("lot_limit") };
    const seq = ledger.credit(command, now, (at) => ledger.store.addCommand(command.id, text, at));
    return { type: "credited", seq };
  }

  async balance(credentials: Credentials): Promise<Answer<Balance>> {
    const entered = this.#enter(credentials);
    if (!entered.ok) return entered;
    const now = Date.now();
    entered.value.ledger.sweep(now);
    return { ok: true, value: balanceOf(entered.value.ledger.state, GENESIS_PEG, now) };
  }

  async job(credentials: Credentials, job: JobId): Promise<Answer<JobRecord>> {
    const entered = this.#enter(credentials);
    if (!entered.ok) return entered;
    const { ledger } = entered.value;
    ledger.sweep(Date.now());
    return { ok: true, value: jobRecord(ledger, ledger.store.holdOf(job)) };
  }

  async entries(credentials: Credentials, after: number, limit: number): Promise<Answer<EntryRecord[]>> {
    const entered = this.#enter(credentials);
    if (!entered.ok) return entered;
    const rows = entered.value.ledger.store.entries(after + 1, Math.min(limit, LIMITS.maxPageRows));
    return { ok: true, value: rows.map(({ seq, at, type, body }) => ({ seq, at, type, body })) };
  }

  async keys(credentials: Credentials): Promise<Answer<KeyRecord[]>> {
    const entered = this.#enter(credentials);
    return entered.ok ? { ok: true, value: entered.value.keys.list() } : entered;
  }

  async createKey(credentials: Credentials, key: NewKey): Promise<Answer<KeyRecord>> {
    const entered = this.#enter(credentials);
    if (!entered.ok) return entered;
    const { keys } = entered.value;
    const before = keys.byId(key.id);
    if (before !== null) {
      const { secretHash: _, ...record } = before;
      return before.name === key.name ? { ok: true, value: record } : refusal(refuse("id_conflict"));
    }
    if (keys.live >= LIMITS.apiKeys) {
      return refusal(refuse("key_limit", { detail: `An account has at most ${LIMITS.apiKeys} keys.` }));
    }
    return { ok: true, value: keys.add(key, Date.now()) };
  }

  async revokeKey(credentials: Credentials, id: KeyId): Promise<Answer<KeyRecord>> {
    const entered = this.#enter(credentials);
    if (!entered.ok) return entered;
    const key = entered.value.keys.byId(id);
    if (key === null) return refusal(refuse("key_not_found"));
    return { ok: true, value: entered.value.keys.revoke(key, Date.now()) };
  }

  /** Ends what has run out, looks after receipts that the log lacks, and comes back while anything is open. */
  override async alarm(): Promise<void> {
    this.#alarmArmed = false;
    const books = this.#books;
    if (books === null) return;
    const now = Date.now();
    const { ledger } = books;
    ledger.sweep(now);
    // Where D1 or the queue is away, the platform would call again six times within minutes and then never.
    const left = await checkLog(ledger.store, this.env, ledger.state.seq, now).catch(() => "pending" as const);
    if (left === "more") await this.ctx.storage.setAlarm(Date.now() + 1);
    else if (left === "pending" || ledger.state.holds.size > 0) this.#armAlarm();
  }

  /** One lazy alarm: set at most once per interval, as every alarm that is set costs a row. */
  #armAlarm(): void {
    if (this.#alarmArmed) return;
    this.#alarmArmed = true;
    this.ctx.waitUntil(
      this.ctx.storage.getAlarm().then((due) => {
        // An alarm in the past is one whose retries are spent: it would never ring again.
        if (due === null || due < Date.now() - LIMITS.accountAlarmMs) {
          return this.ctx.storage.setAlarm(Date.now() + LIMITS.accountAlarmMs);
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

  #enter(credentials: Credentials): Answer<Books & { key: KeyRecord }> {
    const key = this.#books?.keys.find(credentials.secretHash) ?? null;
    if (this.#books === null || key === null) return refusal(refuse("invalid_api_key"));
    return { ok: true, value: { ...this.#books, key } };
  }

  #heldAnswer(job: JobId): HoldResult {
    const hold = this.#books?.ledger.openHold(job);
    if (hold === undefined || this.#books === null) return { type: "refused", refusal: refuse("job_not_found") };
    return { type: "held", ...heldTerms(hold, this.#books.ledger.remaining()) };
  }
}

function heldTerms(hold: Hold, remaining: Millicredits): HeldTerms {
  const { price, promptBound, completionCap, expiresAt, draws, peg } = hold;
  const held = sum(draws.map(({ backing, amount }) => shown(backing, amount, peg)));
  const unbacked = draws.some(({ backing }) => backing === "none");
  return { price, promptBound, completionCap, expiresAt, held, remaining, unbacked };
}

/** Whether an account's lots together stay within exact numbers; one that they passed could be summed no more. */
function fits({ lots }: AccountState, { backing, amount }: CreditCommand): boolean {
  const total = [...lots.values()].reduce(
    (sum, lot) => sum + BigInt(shown(lot.backing, lot.available + lot.held, GENESIS_PEG)),
    BigInt(shown(backing, Math.min(amount, MAX_AMOUNT), GENESIS_PEG)),
  );
  return amount <= MAX_AMOUNT && total <= BigInt(MAX_AMOUNT);
}

function badAmount(detail: string): Refusal {
  return refuse("invalid_request", { detail, param: "amount" });
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
