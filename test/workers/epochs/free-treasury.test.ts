/** What of the treasury is free, from deposits, the journal, receipts and the chain. */

import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { lotEntry } from "../../../durable-objects/account/entries.ts";
import { closeDay, estimateRow } from "../../../workers/cron/close-day.ts";
import { freeTreasuryOf } from "../../../workers/cron/free-treasury.ts";
import { FakeChain, keyOf, TREASURY } from "../../support/payments.ts";
import { openAccount, type TestAccount } from "../api/support.ts";
import { ALICE, arrived, ask, BOB, scan, topup } from "../deposits/support.ts";
import { deliver } from "../log/support.ts";
import { FakeNode, MINT } from "../stake/fake-node.ts";
import { before, charge, EPOCH, stake } from "./support.ts";

const USDC = 1_000_000;
const solana: Env = {
  ...env,
  SOLANA_RPC_URL: "http://node.test",
  TREASURY_ADDRESS: TREASURY.owner,
  USDC_MINT: MINT,
} as Env;

let node: FakeNode;
let chain: FakeChain;
let account: TestAccount;
let paid = 0;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: before(EPOCH, 40) });
  node = new FakeNode();
  chain = new FakeChain();
  account = await openAccount("saver", false);
  vi.stubGlobal("fetch", node.fetch);
  paid = 0;
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const free = () => freeTreasuryOf(solana, Date.now()).read();

/** Pays the treasury, and lets the network look unless it is told not to. */
async function pay(dollars: number, references: readonly string[] = [], isSeen = true): Promise<void> {
  paid += dollars;
  const signature = keyOf(100 + paid, 64);
  chain.add({ signature, at: Date.now(), transfers: [{ units: BigInt(dollars * USDC), references }] });
  node.set(TREASURY.owner, BigInt(paid * USDC));
  if (isSeen) await scan(chain);
}

/** The founders' capital: a payment that nobody asked for, kept by two operators. */
async function fund(dollars: number): Promise<void> {
  await pay(dollars);
  const deposit = (await arrived()).find(({ state }) => state === "suspense");
  const id = `fund-${dollars}`;
  await ask(`/admin/deposits/${deposit?.id}/resolutions`, {
    key: ALICE,
    body: { id, action: "keep", reason: "capital" },
  });
  await ask(`/admin/deposit-resolutions/${id}/approve`, { method: "POST", key: BOB });
}

/** Brings an entry of a lot to the journal, as the account's alarm does. */
async function journal(type: "topup" | "allotment" | "expiry", seq: number, nanoUsd: number): Promise<void> {
  const lot = { id: type, kind: type === "topup" ? "topup" : "allotment", backing: "usdc" } as const;
  const body = lotEntry(type, lot, nanoUsd, Date.now(), { seq: seq - 1, head: "0".repeat(64) }, "");
  await deliver([{ v: 1, entries: [{ account: account.account, type, body }] }]);
}

it("is the founders' capital, and nothing before two operators have said that it is theirs", async () => {
  expect(await free()).toBe(0);
  await pay(100);
  expect(await free()).toBe(0);
  await fund(50);
  // The first payment is still in suspense, or the second: one of them is kept.
  const kept = (await arrived()).find(({ state }) => state === "kept");
  expect(await free()).toBe(kept?.micro_usdc);
});

it("owes a deposit from the moment in which it arrives, through the account's books and the journal", async () => {
  await fund(100);
  const { reference } = await topup(account, "30");
  await pay(30, [reference], false);
  expect(await free()).toBe(100 * USDC);
  await scan(chain);
  const [deposit] = (await arrived()).filter(({ state }) => state === "credited");
  expect(await free()).toBe(100 * USDC);
  await journal("topup", deposit?.seq ?? 0, 30_000_000_000);
  expect(await free()).toBe(100 * USDC);
});

it("earns the network's share of what was used, and owes the rest to who served it", async () => {
  await fund(100);
  const { reference } = await topup(account, "30");
  await pay(30, [reference]);
  // 80,000 nanoUSD: 76,000 are the provider's.
  await charge("topup", Date.now());
  expect(await free()).toBe(100 * USDC + 4);
});

it("owes what today's allotments may come to, once, be they taken up, spent or expired", async () => {
  await fund(1_000);
  await stake(EPOCH, { holder: 5_000 });
  expect(await closeDay(solana, before(EPOCH, 30))).toMatchObject({ type: "made", row: { treasury: 1_000 * USDC } });
  vi.setSystemTime(before(EPOCH, -60));
  const row = await estimate();
  const obligation = Number(await env.DB.prepare("SELECT obligation FROM daily_epochs").first("obligation"));
  expect(obligation).toBeGreaterThan(0);
  const rest = Math.floor((1_000 * USDC * 1_000 - obligation) / 1_000);
  expect(row.treasury).toBe(rest);
  await journal("allotment", 1, obligation);
  expect(await free()).toBe(rest);
  await charge("allotment", Date.now());
  // Served from the treasury's own: what was free is owed to the provider, and the network's share is free again.
  expect(await free()).toBe(rest + 4);
  await journal("expiry", 2, obligation - 80_000);
  expect(await free()).toBe(1_000 * USDC - 76);
  // Tomorrow nothing of it is promised any more.
  vi.setSystemTime(before(EPOCH + 1, -60));
  expect(await free()).toBe(1_000 * USDC - 76);
});

const estimate = () => estimateRow(solana, EPOCH + 1, freeTreasuryOf(solana, Date.now()));

it("lets nobody who asks for an estimate wait for a node that does not answer", async () => {
  vi.stubGlobal("fetch", () => new Promise(() => {}));
  expect(await estimate()).toMatchObject({ treasuryKnown: false, treasury: 0 });
});

it("is not known where the node is away: waited for while there is time, and no estimate fails for it", async () => {
  await stake(EPOCH, { holder: 5_000 });
  node.onRequest = () => new Response("", { status: 403 });
  await expect(Promise.resolve(closeDay(solana, before(EPOCH, 30)))).rejects.toThrow("403");
  expect(await estimate()).toMatchObject({ treasuryKnown: false, treasury: 0 });
  expect(await closeDay(solana, before(EPOCH, 10))).toMatchObject({ row: { treasuryKnown: false, rate: 0n } });
});
