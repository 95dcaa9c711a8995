/**
 * Many deposits over a local Solana on which a fifth of them meet trouble of every kind, while the nodes that the network
 * asks lag, break and refuse. `npm run deposits` makes it a thousand.
 */

import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { parseCredits } from "../../../core/units.ts";
import { balance } from "../../../protocol/network/account.ts";
import { invariants } from "../../../protocol/network/invariants.ts";
import type { TestAccount } from "../support/network.ts";
import { type Arrived, DepositMarket } from "./market.ts";
import { isUnknown, type Outcome, SMOOTH, TROUBLES } from "./troubles.ts";

const COUNT = Number(process.env["TOLLMILL_DEPOSITS"] ?? 55);
/** Below what one account may wait for. */
const PER_ACCOUNT = 50;
/** Every fifth meets trouble, each kind in its turn. */
const EVERY = 5;
const PATIENCE_MS = 60_000 + COUNT * 500;
/** So many slots, after which all that was sent is final, also what was delayed. */
const FINAL_SLOTS = 32 + 25 + 5;
const MICRO_USDC_PER_MILLICREDIT = 1_000;

let market: DepositMarket;
beforeAll(async () => {
  market = await DepositMarket.start();
});
afterAll(() => market?.close());

interface Wanted {
  readonly account: TestAccount;
  readonly id: string;
  readonly outcomes: readonly Outcome[];
}

const outcomeOf = ({ state, reason, amount_usdc }: Pick<Arrived, "state" | "reason" | "amount_usdc">): Outcome =>
  `${state} ${reason} ${microOf(amount_usdc)}`;
const microOf = (text: string): bigint => BigInt(text.replace(".", ""));
const total = (amounts: readonly bigint[]): bigint => amounts.reduce((sum, amount) => sum + amount, 0n);

/** Asks for and pays all of them, and tells what has to come of each. */
async function payAll(accounts: readonly TestAccount[]): Promise<{ wanted: Wanted[]; unknown: Outcome[] }> {
  const wanted: Wanted[] = [];
  const unknown: Outcome[] = [];
  for (let n = 0; n < COUNT; n++) {
    const account = accounts[Math.floor(n / PER_ACCOUNT)];
    if (account === undefined) throw new Error("there are too few accounts");
    const cents = 100 + n;
    const id = `d-${n}`;
    const intent = await market.ask(account, { kind: "topup", id, amount: (cents / 100).toFixed(2) });
    const asked = BigInt(cents) * 10_000n;
    const trouble = n % EVERY === 0 ? (TROUBLES[(n / EVERY) % TROUBLES.length] ?? SMOOTH) : SMOOTH;
    wanted.push({ account, id, outcomes: await trouble.pay(market, intent, asked) });
    if (isUnknown(trouble)) unknown.push(`suspense no_reference ${asked}`);
  }
  return { wanted, unknown };
}

async function twoPokes(): Promise<void> {
  await Promise.all([market.poke(), market.poke()]);
}

/** Nodes as they are on a bad day. */
function makeNodesBad(): void {
  for (const method of ["getSignaturesForAddress", "getTransaction", "getGenesisHash"]) {
    market.chain.faults.add(
      { kind: "lag", slots: 100, method, probability: 0.1 },
      { kind: "rate_limit", method, probability: 0.03 },
      { kind: "break_before", method, probability: 0.02 },
      { kind: "break_after", method, probability: 0.02 },
    );
  }
}

it(
  `credits each of ${COUNT} deposits once, or shows why not`,
  async () => {
    const accounts: TestAccount[] = [];
    for (let n = 0; n * PER_ACCOUNT < COUNT; n++) accounts.push(await market.network.open({ starter: false }));
    makeNodesBad();
    const paying = payAll(accounts);
    // The network looks for deposits while they are paid, and two of its pokes may meet.
    const paid = paying.then(() => true);
    while (!(await Promise.race([paid, twoPokes().then(() => false)])));
    const { wanted, unknown } = await paying;
    const expected = [...wanted.flatMap(({ outcomes }) => outcomes), ...unknown].sort();
    const finalSlot = market.slot + FINAL_SLOTS;
    const until = Date.now() + PATIENCE_MS;
    const told = async () => (await market.arrived()).map(outcomeOf).sort();
    while ((await told()).join() !== expected.join() && Date.now() < until) await market.poke();
    expect(await told()).toEqual(expected);
    while (market.slot < finalSlot) await market.poke();
    expect(await told()).toEqual(expected);

    // Every owner sees what became of each.
    const shown = new Map<string, Outcome[]>();
    for (const account of accounts) {
      for (const { id, payments } of await market.depositsOf(account)) shown.set(id, payments.map(outcomeOf).sort());
    }
    expect(Object.fromEntries(shown)).toEqual(
      Object.fromEntries(wanted.map(({ id, outcomes }) => [id, [...outcomes].sort()])),
    );

    // And it all adds up to what is on the chain.
    const arrived = await market.arrived();
    const sum = (state: Arrived["state"]) =>
      total(arrived.filter((one) => one.state === state).map(({ amount_usdc }) => microOf(amount_usdc)));
    const [credited, suspense] = [sum("credited"), sum("suspense")];
    expect(credited + suspense).toBe(await market.held());
    let balances = 0n;
    for (const { apiKey } of accounts) {
      const { available } = await market.network.json("/api/v1/balance", balance, { apiKey });
      balances += BigInt(parseCredits(available) ?? 0);
    }
    expect(balances).toBe(credited * BigInt(MICRO_USDC_PER_MILLICREDIT));
    const sums = await market.network.json("/api/v1/invariants", invariants);
    expect(sums.invariants.filter(({ ok }) => !ok)).toEqual([]);
    expect(sums.in_suspense).toBe(String(suspense * 1_000n));
    const happened = market.chain.faults.happened;
    const kinds = z.array(z.string()).parse(Object.keys(happened)).sort();
    expect(kinds).toEqual(["break_after", "break_before", "delay", "drop", "fail", "lag", "rate_limit"]);
    console.log(JSON.stringify({ deposits: COUNT, credited: String(credited), suspense: String(suspense), happened }));
  },
  2 * PATIENCE_MS,
);
