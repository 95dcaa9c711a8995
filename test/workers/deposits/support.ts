/** A network that takes deposits from a chain that a test writes. */

import { env } from "cloudflare:workers";
import { getIntent } from "../../../db/deposit-intents.ts";
import { type DepositRow, listDeposits } from "../../../db/deposits.ts";
import { scanDeposits } from "../../../workers/deposits/scan.ts";
import { type FakeChain, TREASURY } from "../../support/payments.ts";
import { type Answer, type Call, callWith, type TestAccount } from "../api/support.ts";

export const OPERATORS = "alice:key-of-alice bob:key-of-bob";
export const [ALICE, BOB] = ["key-of-alice", "key-of-bob"];

export const SOLANA = {
  // Nobody is called: what looks for deposits is given the test's own chain.
  SOLANA_RPC_URL: "http://127.0.0.1:9",
  TREASURY_ADDRESS: TREASURY.owner,
  USDC_MINT: TREASURY.mint,
  ADMIN_KEY: OPERATORS,
};

export const ask = (path: string, options: Call = {}): Promise<Answer> => callWith(SOLANA, `/api/v1${path}`, options);

/** Asks to pay, and gives the intent. */
export async function intentOf({ key }: TestAccount, body: object): Promise<{ id: string; reference: string }> {
  const { status, json } = await ask("/deposits", { key, body });
  if (status !== 201) throw new Error(JSON.stringify(json));
  return json;
}

export function topup(account: TestAccount, amount = "5", id?: string) {
  return intentOf(account, { kind: "topup", amount, ...(id === undefined ? {} : { id }) });
}

/** Looks at everything, as the clock makes the network do. */
export async function scan(chain: FakeChain, bindings: Partial<Env> = {}): Promise<void> {
  await scanDeposits({ env: { ...env, ...bindings }, chain, treasury: TREASURY, now: Date.now() });
}

/** All that arrived, oldest first. */
export async function arrived(): Promise<DepositRow[]> {
  return (await listDeposits(env.DB, { limit: 1_000 })).reverse();
}

/** State, reason, kind and amount of each deposit in an order of their own. */
export async function told(): Promise<string[]> {
  const rows = await arrived();
  return rows.map(({ state, reason, kind, micro_usdc }) => `${state} ${reason} ${kind} ${micro_usdc}`).sort();
}

/** The credits that an account has, as it says itself. */
export async function available({ key }: TestAccount): Promise<string> {
  return (await ask("/balance", { key })).json.available;
}

export async function wrongSums(): Promise<unknown[]> {
  const { invariants, spot_check } = (await ask("/invariants")).json;
  return [...invariants.filter(({ ok }: { ok: boolean }) => !ok), ...spot_check.differences];
}

export async function intentRow({ account }: TestAccount, id: string) {
  const row = await getIntent(env.DB, account, id);
  if (row === null) throw new Error("no such intent");
  return row;
}

/** Makes D1 forget all of them; what accounts were credited with stays. */
export async function forgetDeposits(): Promise<void> {
  const tables = [
    "x402_payments",
    "deposits",
    "treasury_transactions",
    "deposit_intents",
    "chain_cursors",
    "deposit_resolutions",
  ];
  await env.DB.batch(tables.map((table) => env.DB.prepare(`DELETE FROM ${table}`)));
}
