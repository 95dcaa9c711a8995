/** Agents that pay for their calls on a local Solana, with x402's own client unmodified. */

import { address } from "@solana/kit";
import { decodePaymentResponseHeader } from "@x402/fetch";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { FaultInput } from "../../localnet/chain/faults.ts";
import { TREASURY, X402_FEE_PAYER } from "../../localnet/chain/mints.ts";
import { type RunningChain, startChain } from "../../localnet/chain/start-chain.ts";
import { depositPage } from "../../protocol/network/deposits.ts";
import { invariants } from "../../protocol/network/invariants.ts";
import { testModel } from "../support/models.ts";
import { answering } from "../support/scripted-daemon.ts";
import { agentOn, NETWORK, paidOn } from "./support/agent.ts";
import { cleanUp } from "./support/children.ts";
import { Network, type TestAccount } from "./support/network.ts";
import { addScripted } from "./support/scripted.ts";

const MODEL = testModel();
const MILLICREDITS_PER_USD = 1e9;
/** Three words, and the eight tokens that a scripted daemon claims for a prompt. */
const COST = 3 * 80 + 8 * 20;
const BODY = { model: MODEL.id, messages: [{ role: "user", content: "Hi" }] };

let chain: RunningChain;
let network: Network;
let account: TestAccount;
beforeAll(async () => {
  // A blockhash lives for six seconds, as a slow machine needs, and a payment is final soon.
  chain = await startChain({ clock: "running", slotMs: 40, finalizedAfter: 16 });
  network = await Network.start([MODEL], paidOn(chain));
  const provider = await network.open({ starter: false });
  await addScripted(network, provider, { number: 1, model: MODEL.id, onJob: answering(["One", " two", " three"]) });
});
afterAll(async () => {
  await cleanUp();
  await network?.close();
  await chain?.close();
});
beforeEach(async () => {
  account = await network.open({ starter: false });
  chain.faults.clear();
});

const url = () => `${network.url}/v1/chat/completions`;
const call = (headers: Record<string, string> = {}, changes: object = {}) => ({
  method: "POST",
  headers: { authorization: `Bearer ${account.apiKey}`, "content-type": "application/json", ...headers },
  body: JSON.stringify({ ...BODY, ...changes }),
});
const settlement = (response: Response) => decodePaymentResponseHeader(response.headers.get("payment-response") ?? "");
const balanceOf = async () => (await network.balance(account)).available;
const deposits = async () => (await network.json("/api/v1/deposits", depositPage, account)).data;
const treasury = async () => Number((await chain.faucet.balance(address(TREASURY))).usdc);
async function wrongSums(): Promise<unknown[]> {
  return (await network.json("/api/v1/invariants", invariants)).invariants.filter(({ ok }) => !ok);
}
const codeOf = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code;

it("sells a package to an agent that has USDC and no SOL, in one call", async () => {
  const agent = await agentOn(chain, "60", "starter");
  const before = await treasury();
  const response = await agent.fetch(url(), call());
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({
    choices: [{ message: { content: "One two three" } }],
    usage: { lane: "dedicated" },
  });
  const { success, transaction, network: chainId } = settlement(response);
  expect({ success, chainId }).toEqual({ success: true, chainId: NETWORK });
  expect(await agent.usdc()).toBe("10");
  expect((await treasury()) - before).toBe(50);
  expect(await balanceOf()).toBe(50 * MILLICREDITS_PER_USD - COST);
  const [deposit, ...more] = await deposits();
  expect(more).toEqual([]);
  expect(deposit).toMatchObject({ kind: "package", package: "starter", state: "credited" });
  expect(deposit?.payments).toMatchObject([{ signature: transaction, state: "credited", reason: "exact" }]);
  // The clock's scan sees the same transaction, and knows it.
  await network.server.harness.getWorker().scheduled({ cron: "* * * * *" });
  expect(await balanceOf()).toBe(50 * MILLICREDITS_PER_USD - COST);
  expect(await wrongSums()).toEqual([]);
  // It has a balance now, so it pays no more.
  expect((await agent.fetch(url(), call())).headers.get("payment-response")).toBeNull();
});

it("sells a top-up for a stream, which then comes as any other", async () => {
  const agent = await agentOn(chain, "2");
  const response = await agent.fetch(url(), call({}, { stream: true }));
  expect([response.status, response.headers.get("content-type")]).toEqual([
    200,
    expect.stringContaining("text/event-stream"),
  ]);
  expect(settlement(response).success).toBe(true);
  expect(await response.text()).toContain("three");
  expect(await agent.usdc()).toBe("1");
  expect(await balanceOf()).toBe(MILLICREDITS_PER_USD - COST);
});

it("takes nothing from a wallet that has too little, and says so", async () => {
  const agent = await agentOn(chain, "49.999999", "starter");
  const response = await agent.fetch(url(), call());
  expect(response.status).toBe(402);
  expect(settlement(response)).toMatchObject({ success: false, errorReason: "payment_insufficient_funds" });
  expect(await codeOf(response)).toBe("payment_insufficient_funds");
  expect([await agent.usdc(), await balanceOf(), await deposits()]).toEqual(["49.999999", 0, []]);
});

it("is paid once when the same payment comes five times at once, and again, and answers all of them", async () => {
  const agent = await agentOn(chain, "100", "starter");
  const paid = await agent.pay(await fetch(url(), call()));
  const answers = await Promise.all(Array.from({ length: 5 }, () => fetch(url(), call(paid))));
  answers.push(await fetch(url(), call(paid)));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
  const transactions = new Set(answers.map((answer) => settlement(answer).transaction));
  expect(transactions.size).toBe(1);
  await Promise.all(answers.map((answer) => answer.text()));
  expect(await agent.usdc()).toBe("50");
  expect(await balanceOf()).toBe(50 * MILLICREDITS_PER_USD - 6 * COST);
  expect(await deposits()).toMatchObject([{ state: "credited", payments: [{ kind: "package" }] }]);
});

it.each<[string, FaultInput]>([
  ["a node that breaks off after it has landed", { kind: "break_after", method: "sendTransaction", times: 1 }],
  ["a node that drops it", { kind: "drop", method: "sendTransaction", times: 1 }],
  ["a node that lands it late", { kind: "delay", slots: 20, method: "sendTransaction", times: 1 }],
  ["nodes that refuse", { kind: "rate_limit", method: "getSignatureStatuses", times: 2 }],
  ["a node that lags", { kind: "lag", slots: 40, method: "getSignatureStatuses", times: 3 }],
])("gets through %s", async (_what, fault) => {
  const agent = await agentOn(chain, "1");
  chain.faults.add(fault);
  const response = await agent.fetch(url(), call());
  expect(response.status).toBe(200);
  await response.text();
  expect([await agent.usdc(), await balanceOf()]).toEqual(["0", MILLICREDITS_PER_USD - COST]);
  expect(await deposits()).toMatchObject([{ state: "credited", payments: [{ amount_usdc: "1.000000" }] }]);
});

it("leaves the money of a payment that fails on the chain with its payer", async () => {
  const agent = await agentOn(chain, "1");
  chain.faults.add({ kind: "fail", method: "sendTransaction", times: 1 });
  const response = await agent.fetch(url(), call());
  expect([response.status, await codeOf(response)]).toEqual([402, "payment_failed"]);
  expect([await agent.usdc(), await balanceOf()]).toEqual(["1", 0]);
  expect(await deposits()).toMatchObject([{ state: "failed" }]);
  // What failed is over; a new challenge is not.
  const again = await agent.fetch(url(), call());
  expect(again.status).toBe(200);
  await again.text();
  expect([await agent.usdc(), await balanceOf()]).toEqual(["0", MILLICREDITS_PER_USD - COST]);
});

it("takes nothing for a payment that never lands", async () => {
  const agent = await agentOn(chain, "1");
  const paid = await agent.pay(await fetch(url(), call()));
  chain.faults.add({ kind: "drop", method: "sendTransaction", times: 1_000 });
  const asked = fetch(url(), call(paid));
  await new Promise((resolve) => setTimeout(resolve, 500));
  // A blockhash lives for 150 blocks, and then everything has to be final.
  chain.chain.advance(400);
  const response = await asked;
  expect([response.status, await codeOf(response)]).toEqual([402, "payment_blockhash_expired"]);
  chain.faults.clear();
  expect(await codeOf(await fetch(url(), call(paid)))).toBe("payment_blockhash_expired");
  expect([await agent.usdc(), await balanceOf()]).toEqual(["1", 0]);
});

it("pays fees of fractions of a cent, and adds up", async () => {
  const { sol } = await chain.faucet.balance(address(X402_FEE_PAYER));
  const landed = 11;
  expect(Number(sol)).toBeGreaterThan(100 - landed * 0.000021);
  await network.server.harness.getWorker().scheduled({ cron: "* * * * *" });
  expect(await wrongSums()).toEqual([]);
});
