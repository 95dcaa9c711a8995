/** One account spoken to as gateways and relays do, over RPC, with everything that its money can be checked by. */

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { dump } from "../../../core/account/state.ts";
import { type AccountId, type JobId, type KeyId, keyedJobId, newJobId, type Pseudonym } from "../../../core/ids.ts";
import type { Outcome } from "../../../core/outcome.ts";
import type { Tokens } from "../../../core/pricing.ts";
import { perThousand } from "../../../core/pricing.ts";
import type { JobFacts } from "../../../core/receipt/body.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import { AccountStore } from "../../../durable-objects/account/store.ts";
import { LedgerChain } from "../../../protocol/chain.ts";
import type {
  AccountRpc,
  CreditCommand,
  EntryRecord,
  HeldTerms,
  HoldRequest,
  HoldResult,
} from "../../../protocol/internal/account.ts";
import { timeText } from "../../../protocol/network/common.ts";
import { bodyOf, idOf, seedOf, TEST_TERMS } from "../../support/receipts.ts";

/** What a job of 1,000 completion tokens costs at the test's rate: 80 credits. */
export const JOB_PRICE = 80_000;

export interface Bank {
  readonly name: string;
  readonly account: AccountId;
  readonly credentials: { readonly secretHash: string };
  readonly stub: DurableObjectStub;
  readonly rpc: AccountRpc;
}

export function bankOf(name = "bank"): Bank {
  const account = idOf<AccountId>(name);
  const stub = env.ACCOUNT.getByName(account) as unknown as DurableObjectStub;
  const credentials = { secretHash: hashText(`secret of ${name}`) };
  return { name, account, credentials, stub, rpc: stub as unknown as AccountRpc };
}

/** An open account with its first key, and with a bonus of that many millicredits where one is named. */
export async function openBank({ name = "bank", bonus = 0 } = {}): Promise<Bank> {
  const bank = bankOf(name);
  const key = { id: idOf(`key of ${name}`) as unknown as KeyId, name: "first", ...bank.credentials };
  await bank.rpc.open({ account: bank.account, key, starter: false });
  if (bonus > 0) await bank.rpc.credit(creditOf({ amount: bonus }));
  return bank;
}

export function creditOf(changes: Partial<CreditCommand> = {}): CreditCommand {
  return { id: "credit", kind: "bonus", backing: "none", amount: 1_000_000, expiresAt: null, memo: "", ...changes };
}

let jobs = 0;

/** A new job's id; with a key it carries that Idempotency-Key's fingerprint. */
export function jobOf(key?: string, at = Date.now()): JobId {
  if (key !== undefined) return keyedJobId(at, seedOf(key));
  return newJobId(at, seedOf(`job ${jobs++}`));
}

/** A hold of 1,000 completion tokens and no prompt: 80 credits. */
export function holdOf(bank: Bank, changes: Partial<HoldRequest> = {}): HoldRequest {
  return {
    job: jobOf(),
    keyed: false,
    credentials: bank.credentials,
    lane: "public",
    lanes: ["included", "public"],
    choosesProvider: false,
    mostBasisPoints: null,
    maxAsk: perThousand(TEST_TERMS.rate),
    allowPaid: false,
    model: "maker/eight",
    body: hashText("request"),
    rate: TEST_TERMS.rate,
    promptBound: 0,
    completion: 1_000,
    completionDefault: 256,
    choices: 1,
    expiresAt: Date.now() + 600_000,
    ...changes,
  };
}

/** Reserves a job, and says so if that did not work. */
export async function hold(bank: Bank, changes: Partial<HoldRequest> = {}): Promise<{ job: JobId } & HeldTerms> {
  const request = holdOf(bank, changes);
  const result = await bank.rpc.hold(request);
  if (result.type !== "held") throw new Error(`not held: ${JSON.stringify(result)}`);
  return { job: request.job, ...result };
}

/** What a relay knows of a job when it has ended, with its daemon's claim really signed. */
export function factsOf(
  job: JobId,
  usage: Tokens = { prompt: 0, completion: 1_000 },
  outcome: Outcome = "completed",
): JobFacts {
  const body = bodyOf({ usage, facts: { job, outcome, consumer: idOf<Pseudonym>("consumer") } });
  const { price, charge: _charge, split: _split, seq: _seq, previous: _previous, v: _v, ...rest } = body;
  const { asks, winning_ask, second_ask } = price;
  return {
    ...rest,
    terms: TEST_TERMS,
    auction: { asks, winning_ask, second_ask },
    payees: { provider: rest.provider, network: "network" },
  };
}

/** Settles a job and returns its receipt's text. */
export async function post(bank: Bank, job: JobId, usage?: Tokens, outcome?: Outcome): Promise<string> {
  const result = await bank.rpc.post(factsOf(job, usage, outcome));
  if (result.type !== "posted") throw new Error(`not posted: ${JSON.stringify(result)}`);
  return result.body;
}

/** Available and held millicredits. Asking sweeps what has run out. */
export async function balance(bank: Bank): Promise<{ available: number; held: number }> {
  const answer = await bank.rpc.balance(bank.credentials);
  if (!answer.ok) throw new Error(JSON.stringify(answer.refusal));
  const { available, held } = answer.value;
  return { available, held };
}

/** The account's whole chain. */
export async function entries(bank: Bank): Promise<EntryRecord[]> {
  const all: EntryRecord[] = [];
  for (;;) {
    const page = await bank.rpc.entries(bank.credentials, all.at(-1)?.seq ?? 0, 1_000);
    if (!page.ok) throw new Error(JSON.stringify(page.refusal));
    if (page.value.length === 0) return all;
    all.push(...page.value);
  }
}

/** What a chain comes to for whoever keeps a copy of it, in millicredits; fails where it does not hold. */
export function sumOf(all: readonly EntryRecord[]): number {
  const chain = new LedgerChain();
  for (const entry of all) {
    // Whose claim it is, tests of the receipt hold: here fences and attempts are made up.
    const bad = chain.add({ ...entry, at: timeText(entry.at) }, { claim: false });
    if (bad !== null) throw new Error(JSON.stringify(bad));
  }
  return chain.sum.nanoUsd + chain.sum.millicredits;
}

/** Why a hold was not made. */
export function codeOf(result: HoldResult): string {
  return result.type === "held" ? "held" : result.refusal.code;
}

export async function inside<T>(bank: Bank, look: (state: DurableObjectState) => T): Promise<T> {
  return await runInDurableObject(bank.stub, (_instance, state) => look(state));
}

/** How many rows a table has. */
export function count(state: DurableObjectState, table: string): number {
  return state.storage.sql.exec<{ count: number }>(`SELECT COUNT(*) AS count FROM ${table}`).one().count;
}

/** The state that an object would start with: folded from its rows, with or without its snapshot. */
export async function foldOf(bank: Bank, useSnapshot = true): Promise<string> {
  return await inside(bank, ({ storage }) => {
    const [snapshot] = storage.sql.exec<{ state: string }>("SELECT state FROM snapshot").toArray();
    if (!useSnapshot) storage.sql.exec("DELETE FROM snapshot");
    const folded = dump(new AccountStore(storage.sql).load());
    if (!useSnapshot && snapshot) storage.sql.exec("INSERT INTO snapshot (id, state) VALUES (1, ?)", snapshot.state);
    return folded;
  });
}
