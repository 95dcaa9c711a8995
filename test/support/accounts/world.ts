/** A small network of accounts, what everybody was told of it, and what is checked after each command. */

import { strict as assert } from "node:assert";
import type { AccountEvent } from "../../../core/account/state.ts";
import { GENESIS_HEAD } from "../../../core/account/state.ts";
import type { AccountId, DaemonId, JobId } from "../../../core/ids.ts";
import { isCharged } from "../../../core/outcome.ts";
import { priceAtRate, priceOf } from "../../../core/pricing.ts";
import type { JobFacts, ReceiptBody } from "../../../core/receipt/body.ts";
import { GENESIS_PEG, type Peg } from "../../../core/units.ts";
import type { EntryRow } from "../../../durable-objects/account/store.ts";
import { sha256Hex } from "../../../durable-objects/shared/hash.ts";
import { type EntryBody, parseEntryBody } from "../../../protocol/entry.ts";
import type { CreditCommand, HeldTerms, SendCommand } from "../../../protocol/internal/account.ts";
import { checkReceiptBody } from "../../../protocol/receipt.ts";
import { KEYS, ModelAccount } from "./account.ts";
import { type Part, takeCharge, takeCredits } from "./book.ts";
import { ClosedLoop } from "./closed-loop.ts";
import type { AttemptFacts } from "./facts.ts";
import { Market, RATE } from "./market.ts";
import type { Setting } from "./steps.ts";
import { Sums } from "./sums.ts";

/** A Saturday night: a Monday and the first of a month are near. */
const START = Date.UTC(2026, 10, 28, 22);
const KEY_IDS = KEYS.map(({ id }) => id);

/** A job that was held, and what became of it. */
export interface Job {
  readonly job: JobId;
  readonly account: ModelAccount;
  readonly terms: HeldTerms;
  readonly peg: Peg;
  readonly only: AccountId | null;
  readonly allotment: { readonly granted: number; readonly earned: ReadonlyMap<string, number> } | null;
  readonly heldAt: number;
  /** Who has it now; null where nobody may serve it. */
  attempt: { readonly provider: AccountId; readonly facts: AttemptFacts; readonly cap: number | null } | null;
  readonly excluded: DaemonId[];
  fence: number;
  /** What it is about to be posted with. */
  facts: JobFacts | null;
  receipt: string | null;
  reversal: string | null;
  voided: boolean;
}

export interface Sent {
  readonly command: SendCommand;
  stripped: number;
  arrived: boolean;
  confirmed: boolean;
}

/** Where an account's chain ends. */
interface ChainEnd {
  seq: number;
  head: string;
  at: number;
}

export class World {
  readonly setting: Setting;
  readonly market: Market;
  readonly accounts: readonly ModelAccount[];
  readonly loop = new ClosedLoop();
  readonly sums = new Sums();
  readonly jobs: Job[] = [];
  readonly credits = new Map<string, CreditCommand>();
  readonly sent: Sent[] = [];
  /** What accounts were credited for shares that they had earned. */
  readonly issued = new Map<AccountId, number>();
  /** The transfer that is being sent. */
  sending: SendCommand | null = null;
  /** Events of all accounts by their type, and how calls were answered: to see that runs reach everything. */
  readonly events = new Map<string, number>();
  readonly reached = new Map<string, number>();
  now = START;
  /** Counts what happens, to say what was before what. */
  turn = 0;
  readonly #chains = new Map<AccountId, ChainEnd>();
  /** What jobs were charged with, by the second book. */
  readonly #drawn = new Map<JobId, readonly Part[]>();

  constructor(setting: Setting) {
    this.setting = setting;
    this.market = new Market(setting);
    this.accounts = Array.from(
      { length: setting.accounts },
      (_, index) => new ModelAccount(this.market.accountAt(index), index),
    );
  }

  account(who: number): ModelAccount {
    const account = this.accounts[who % this.accounts.length];
    if (account === undefined) throw new Error("there is no account");
    return account;
  }

  reach(answer: string): void {
    this.reached.set(answer, (this.reached.get(answer) ?? 0) + 1);
  }

  count(event: AccountEvent["type"]): void {
    this.events.set(event, (this.events.get(event) ?? 0) + 1);
  }

  /** Reads what an account has written since it was last asked, and holds each entry against the second book. */
  read(account: ModelAccount): void {
    const end = this.#chains.get(account.id) ?? { seq: 0, head: GENESIS_HEAD, at: 0 };
    for (const row of account.entriesFrom(end.seq + 1)) {
      this.turn++;
      const body = checkedEntry(row, end);
      this.sums.add(body, account.id);
      const drawn = this.#expect(account, row.event, row.at, body);
      account.book.apply(row.event, row.at);
      this.#remember(account, row, body, drawn);
      this.count(row.event.type);
      Object.assign(end, { seq: row.seq, head: sha256Hex(row.body), at: row.at });
    }
    this.#chains.set(account.id, end);
    const { state } = account.ledger;
    assert.deepEqual([state.seq, state.head], [end.seq, end.head], "the state stands at the chain's end");
  }

  /** Everything of one account that must hold after any command. */
  check(account: ModelAccount): void {
    const { ledger, book } = account;
    book.check(ledger.state, ledger.timeOf(this.now), KEY_IDS);
    const has = { usdc: 0, none: 0 };
    for (const { backing, available, held } of ledger.state.lots.values()) has[backing] += available + held;
    for (const backing of ["usdc", "none"] as const) {
      assert.equal(this.sums.of("lots", account.id, backing), has[backing], "an account has what its entries say");
    }
    const { allotment } = ledger.state;
    if (allotment !== null) {
      const earned = [...allotment.paid].filter(([, amount]) => amount !== 0);
      assert.deepEqual(
        new Map(earned),
        this.loop.earnedOf(allotment.lot, account.id),
        "what payees had of the allotment",
      );
    }
    const owed = this.sent.filter(({ command, confirmed }) => command.from === account.id && !confirmed);
    const out = account.outbox().map(({ transfer }) => transfer.id);
    assert.deepEqual(out, owed.map(({ command }) => command.id).sort(), "what is not confirmed is still owed");
  }

  /** What must hold of all accounts together. */
  checkTogether(): void {
    const stripped = this.sent.reduce((sum, sent) => sum + sent.stripped, 0);
    assert.equal(this.sums.of("system", "pool", "usdc"), stripped, "the pool has what transfers were stripped of");
    const away = this.sent.filter(({ arrived }) => !arrived);
    const underway = away.reduce((sum, { command }) => sum + command.millicredits, 0);
    assert.equal(this.sums.of("system", "suspense", "none"), underway, "what has left and not arrived is in suspense");
    const accounts = this.accounts.map(({ id }) => id);
    const providers = this.market.providers.map(({ provider }) => provider);
    this.loop.check(accounts, providers);
  }

  /** What an event must say, by the second book; the parts that were drawn for a job. */
  #expect(account: ModelAccount, event: AccountEvent, at: number, body: EntryBody): readonly Part[] {
    const { book } = account;
    if (event.type === "credited") {
      const { id, kind, backing, amount: granted, expiresAt, concurrency = 0 } = this.credits.get(event.lot.id) ?? {};
      assert.deepEqual(event.lot, { id, kind, backing, granted, expiresAt, concurrency });
    }
    if (event.type === "sent") {
      assert(this.sending !== null);
      assert.deepEqual(event.draws, takeCredits(book.sendable(at), this.sending.millicredits), "what is sent");
    }
    if (event.type === "received")
      assert.deepEqual([event.kind, event.amount], ["received", this.#arriving(account, body)]);
    if (event.type === "posted") {
      const expected = this.#charge(account, event.job, at);
      assert.deepEqual([event.nanoUsd, event.draws], [expected.charge, expected.drawn], "what a job is charged");
      return expected.drawn;
    }
    if (event.type === "reversed") {
      const job = this.#jobOf(event.job);
      const drawn = this.#drawn.get(event.job) ?? [];
      const refunds = drawn.map((part) => {
        const { ends, concurrency } = book.lot(part.lot);
        return { ...part, expiresAt: ends, concurrency };
      });
      assert.deepEqual([event.refunds, event.payee, event.n], [refunds, job.attempt?.provider, 1], "what comes back");
      assert(
        job.receipt !== null && job.reversal === null && drawn.length > 0,
        "only a charge is taken back, and once",
      );
    }
    return [];
  }

  #charge({ book }: ModelAccount, id: JobId, at: number): { readonly charge: number; readonly drawn: readonly Part[] } {
    const { facts, peg, receipt, voided } = this.#jobOf(id);
    assert(facts !== null && receipt === null && !voided, "a job is posted once, and not when it was voided");
    const hold = book.holds.get(id);
    if (hold === undefined) return { charge: 0, drawn: [] };
    assert(hold.ends > at, "what has run out is charged nothing");
    const price = isCharged(facts.outcome) ? priceOf(facts.terms, facts.usage) : 0;
    const charge = Math.min(hold.price, price);
    return { charge, drawn: takeCharge(hold.draws, charge, peg, priceAtRate(RATE, facts.usage)) };
  }

  sentBy(from: string, id: string): Sent {
    const sent = this.sent.find(({ command }) => command.id === id && command.from === from);
    if (sent === undefined) throw new Error(`${from} has not sent ${id}`);
    return sent;
  }

  #arriving(account: ModelAccount, body: EntryBody): number {
    assert(body.type === "plain" && "direction" in body.plain);
    const { transfer, account: from } = body.plain;
    const sent = this.sentBy(from, transfer);
    assert(sent.command.to === account.id && !sent.arrived, "what arrives was sent here, and arrives once");
    return sent.command.millicredits;
  }

  #remember(account: ModelAccount, row: EntryRow, body: EntryBody, drawn: readonly Part[]): void {
    const { event } = row;
    if (event.type === "posted" && body.type === "spent") {
      const job = this.#jobOf(event.job);
      job.receipt = row.body;
      this.#drawn.set(event.job, drawn);
      const { account: consumer, attempt, heldAt } = job;
      assert(attempt !== null);
      const { provider, cap } = attempt;
      checkParts(body.receipt, drawn);
      this.#reachCharge(job, drawn);
      this.loop.charged(body.receipt, { consumer: consumer.id, provider, cap, drawn, heldAt, postedAt: this.turn });
    }
    if (event.type === "reversed" && body.type === "spent") {
      const job = this.#jobOf(event.job);
      job.reversal = row.body;
      const isMixed = new Set((this.#drawn.get(event.job) ?? []).map(({ backing }) => backing)).size > 1;
      if (isMixed && job.peg !== GENESIS_PEG) this.reach("reversed, of both backings at another peg");
      this.loop.reversed(body.receipt);
    }
    if (event.type === "credited" && event.lot.id.startsWith("e-")) {
      this.issued.set(account.id, (this.issued.get(account.id) ?? 0) + event.lot.granted);
    }
    if (event.type === "voided") this.#jobOf(event.job).voided = true;
    if (event.type === "sent" && this.sending !== null) {
      const stripped = event.draws.reduce((sum, { backing, amount }) => sum + (backing === "usdc" ? amount : 0), 0);
      this.sent.push({ command: this.sending, stripped, arrived: false, confirmed: false });
    }
    if (event.type === "received" && body.type === "plain" && "direction" in body.plain) {
      const { transfer, account: from } = body.plain;
      this.sentBy(from, transfer).arrived = true;
    }
  }

  #reachCharge({ peg, allotment }: Job, drawn: readonly Part[]): void {
    if (drawn.length > 1) this.reach("posted, of several lots");
    const backings = new Set(drawn.map(({ backing }) => backing));
    if (backings.size > 1 && peg !== GENESIS_PEG) this.reach("posted, of both backings at another peg");
    if (allotment !== null && drawn.some(({ kind }) => kind === "package")) this.reach("posted, beyond the allotment");
  }

  #jobOf(id: JobId): Job {
    const job = this.jobs.find((each) => each.job === id);
    if (job === undefined) throw new Error(`nobody held ${id}`);
    return job;
  }
}

/** An entry's body, if it follows the one before and says in a known form what adds up. */
function checkedEntry({ seq, at, type, body: text }: EntryRow, end: ChainEnd): EntryBody {
  assert.equal(seq, end.seq + 1, "entries have no gap");
  assert(at >= end.at, "time does not run backwards");
  const body = parseEntryBody(type, text);
  if ("error" in body) throw new Error(`entry ${seq} of type ${type}: ${body.error}`);
  const { seq: own, previous } = body.type === "spent" ? body.receipt : body.plain;
  assert.deepEqual([own, previous], [seq, end.head], "an entry names the one before");
  if (body.type === "spent") {
    const failed = checkReceiptBody(body.receipt, { claim: false }).find(({ ok }) => !ok);
    assert.equal(failed, undefined, `${failed?.name}: ${failed?.detail}`);
  }
  return body;
}

/** A receipt lists what was drawn, by kind and backing, each in its own unit. */
function checkParts({ charge }: ReceiptBody, drawn: readonly Part[]): void {
  const sums = new Map<string, number>();
  for (const { kind, backing, amount } of drawn) {
    const place = `${kind}/${backing}`;
    sums.set(place, (sums.get(place) ?? 0) + amount);
  }
  const listed = charge.parts.map(({ kind, backing, nano_usd, millicredits }) => [
    `${kind}/${backing}`,
    backing === "usdc" ? nano_usd : millicredits,
  ]);
  assert.deepEqual(listed, [...sums], "a receipt lists what was drawn");
}
