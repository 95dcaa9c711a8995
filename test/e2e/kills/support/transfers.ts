/** Transfers that are cut: who sends what to whom, and what holds for them at every time and at the end. */

import { expect } from "vitest";
import { LIMITS } from "../../../../core/limits.ts";
import type { LedgerEntry } from "../../../../protocol/chain.ts";
import { ledgerEntry, transfer as transferShape } from "../../../../protocol/network/account.ts";
import { credited } from "../../../../protocol/network/admin.ts";
import { invariants as invariantsShape } from "../../../../protocol/network/invariants.ts";
import { testSecrets } from "../../../secrets.ts";
import { walkChain } from "../../../support/chain.ts";
import { type TestAccount, until } from "../../support/network.ts";
import { TRANSFER_RETRY_MS } from "./bundle.ts";
import type { Market } from "./market.ts";

export interface TransferPlay {
  /** What is sent: top-ups, whose USDC stays behind, or credits that were received themselves. */
  readonly of: "topup" | "received";
  /** Whether the second account sends something to the first one at the same time. */
  readonly both: boolean;
  /** The point at which the first message between the accounts is lost. */
  readonly lost?: string;
}

interface Sending {
  readonly id: string;
  readonly from: TestAccount;
  readonly to: TestAccount;
  readonly credits: number;
}

export interface Pair {
  readonly accounts: readonly [TestAccount, TestAccount];
  readonly sendings: readonly Sending[];
  /** What each account has before, in millicredits. */
  readonly before: readonly [number, number];
}

interface TransferBody {
  readonly direction: "in" | "out";
  readonly account: string;
  readonly transfer: string;
  readonly millicredits: number;
  readonly nano_usd: number;
}

/** What a sender has, in credits and in USD. */
const FUNDS = 100;
const FUNDS_USD = "0.0001";
const CREDIT = 1_000;
const MINUTE_MS = 60_000;
/** Entries that reach D1 by the log; the others do by the journal. */
const LOGGED = ["spent", "adjustment"];

/** Two accounts, of which whoever sends has 100 credits. */
export async function openPair(market: Market, play: TransferPlay): Promise<Pair> {
  const [first, second] = [await open(market), await open(market)];
  const there = { id: "there", from: first, to: second, credits: 30 };
  const back = { id: "back", from: second, to: first, credits: 20 };
  const sendings = play.both ? [there, back] : [there];
  for (const { from } of sendings) await (play.of === "topup" ? topUp(market, from) : passOn(market, from));
  // Alarms are set after the answers, and must not be among the points of what follows.
  for (const { from } of sendings) await until(async () => (await alarmMs(market, from)) !== null, "an alarm");
  const before = [FUNDS * CREDIT, play.both ? FUNDS * CREDIT : 0] as const;
  return { accounts: [first, second], sendings, before };
}

async function open(market: Market): Promise<TestAccount> {
  const account = await market.network.open({ starter: false });
  market.accounts.push(account);
  return account;
}

async function topUp({ network }: Market, { account }: TestAccount): Promise<void> {
  const body = { id: "paid", kind: "topup", amount: FUNDS_USD };
  const call = { method: "POST", apiKey: testSecrets.ADMIN_KEY, body };
  await network.json(`/api/v1/admin/accounts/${account}/credits`, credited, call);
}

/** Gives an account credits that another one has sent. */
async function passOn(market: Market, to: TestAccount): Promise<void> {
  const from = await open(market);
  await topUp(market, from);
  await send(market, { id: "funds", from, to, credits: FUNDS });
  await atRest(market, from);
}

async function send({ network }: Market, { id, from, to, credits }: Sending) {
  const body = { id, to: to.account, amount: String(credits) };
  return await network.json("/api/v1/transfers", transferShape, { method: "POST", apiKey: from.apiKey, body });
}

/** Asks for all of a pair's transfers at once; resolves when they have their answers, or when the Worker has none to give. */
export async function ask(market: Market, play: TransferPlay, { sendings }: Pair): Promise<void> {
  if (play.lost !== undefined) await market.server.breakOnce(play.lost);
  await Promise.all(sendings.map((sending) => send(market, sending).catch(() => {})));
}

/** Repeats a pair's calls until each has its answer: the same transfers, each carried out once. */
export async function repeat(market: Market, { sendings }: Pair): Promise<void> {
  const seqs = await Promise.all(sendings.map(async (sending) => (await send(market, sending)).seq));
  for (const [index, sending] of sendings.entries()) {
    expect(await send(market, sending)).toMatchObject({ seq: seqs[index] });
  }
}

/** Waits until something that was sent is there, and wakes nobody but its recipient. */
export async function arrived({ network }: Market, { to, credits }: Sending): Promise<void> {
  await until(async () => (await network.balance(to)).available === credits * CREDIT, "what was sent");
}

/** Waits until nothing is on its way and no alarm is due that a transfer has set. */
async function atRest(market: Market, { account }: TestAccount): Promise<void> {
  await until(async () => {
    const { outgoing, alarmMs: ms } = await market.server.pending(account);
    return outgoing === 0 && (ms === null || ms > TRANSFER_RETRY_MS);
  }, "an empty outbox");
}

async function alarmMs({ server }: Market, { account }: TestAccount): Promise<number | null> {
  return (await server.pending(account)).alarmMs;
}

/**
 * Holds a pair to its rules once nothing is on its way: each transfer has left one account as often as it has reached the
 * other, at most once, nothing is lost, and both chains are whole. Gives how many were carried out.
 */
export async function checkPair(market: Market, { accounts, sendings, before }: Pair): Promise<number> {
  for (const account of accounts) await atRest(market, account);
  const bodies = await Promise.all(accounts.map(async (account) => transfersOf(await ledgerOf(market, account))));
  const carriedOut = sendings.filter(({ id, from, to, credits }) => {
    const of = ({ account }: TestAccount, direction: string, other: TestAccount) =>
      (bodies[accounts.findIndex((each) => each.account === account)] ?? []).filter(
        (body) => body.transfer === id && body.direction === direction && body.account === other.account,
      );
    const [left, reached] = [of(from, "out", to), of(to, "in", from)];
    expect([left.length, reached.length]).toEqual(left.length === 0 ? [0, 0] : [1, 1]);
    for (const body of [...left, ...reached]) expect(body.millicredits).toBe(credits * CREDIT);
    return left.length === 1;
  });
  const [first, second] = accounts;
  const moved = carriedOut.reduce((sum, { from, credits }) => sum + (from === first ? credits : -credits) * CREDIT, 0);
  const have = [await market.network.balance(first), await market.network.balance(second)];
  expect(have).toEqual([
    { available: before[0] - moved, held: 0 },
    { available: before[1] + moved, held: 0 },
  ]);
  return carriedOut.length;
}

/** An account's entries, whose chain has been followed from its beginning. */
export async function ledgerOf({ network }: Market, { apiKey }: TestAccount): Promise<LedgerEntry[]> {
  const text = await (await network.call("/api/v1/ledger?format=ndjson", { apiKey })).text();
  const lines = text.split("\n").filter((line) => line !== "");
  const entries = lines.map((line) => ledgerEntry.parse(JSON.parse(line)));
  walkChain(entries);
  return entries;
}

function transfersOf(entries: readonly LedgerEntry[]): TransferBody[] {
  return entries.filter(({ type }) => type === "transfer").map(({ body }) => JSON.parse(body) as TransferBody);
}

/** Lets the journal have every entry of every account, and holds the sums to being zero and the pool to what stayed behind. */
export async function checkSums(market: Market): Promise<void> {
  await market.restart({ moveClockMs: LIMITS.accountAlarmMs + MINUTE_MS });
  const entries: LedgerEntry[] = [];
  for (const account of market.accounts) entries.push(...(await ledgerOf(market, account)));
  const rows = async () => (await market.server.rows("SELECT seq FROM journal")).length;
  const journaled = entries.filter(({ type }) => !LOGGED.includes(type));
  await until(async () => (await rows()) === journaled.length, "every entry in the journal");
  const sums = await market.network.json("/api/v1/invariants", invariantsShape);
  expect(sums.invariants.filter(({ difference }) => difference !== "0")).toEqual([]);
  expect(sums).toMatchObject({ ok: true, in_transfer: "0", spot_check: { differences: [] } });
  const stayed = transfersOf(entries).filter(({ direction }) => direction === "out");
  const pool = sums.invariants.find(({ name, of }) => name === "totals" && of === "pool");
  expect(pool?.left).toBe(String(stayed.reduce((sum, { nano_usd: nanoUsd }) => sum + nanoUsd, 0)));
}
