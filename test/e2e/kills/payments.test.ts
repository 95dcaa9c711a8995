/**
 * The Worker is killed at every point that a payment passes which came with a call, and while the payment is on the chain and
 * not final. Then its client calls again with the same payment, or nobody does and the clock finds it.
 */

import { afterAll, beforeAll, expect, it } from "vitest";
import { type RunningChain, startChain } from "../../../localnet/chain/start-chain.ts";
import { depositPage } from "../../../protocol/network/deposits.ts";
import { type Agent, agentOn, paidOn } from "../support/agent.ts";
import { cleanUp } from "../support/children.ts";
import { type TestAccount, until } from "../support/network.ts";
import { COST, Market, MODEL } from "./support/market.ts";
import { betweenParts, firstAndLast, passedBy } from "./support/recording.ts";
import { dying, SWEEP_MS } from "./support/sweep.ts";
import { checkSums } from "./support/transfers.ts";

const USD = 1e9;
const STORED = "gateway: after D1 batch INSERT deposit_intents";
/** The first point that the job itself passes: until then it is about the payment. */
const JOB = "gateway: before Account.hold";

let chain: RunningChain;
let market: Market;
beforeAll(async () => {
  // A blockhash outlives a restart, and a payment is final soon.
  chain = await startChain({ clock: "running", slotMs: 60, finalizedAfter: 6 });
  market = await Market.open({ daemons: 1, vars: paidOn(chain) });
});
afterAll(async () => {
  await market?.server.close();
  await chain?.close();
  await cleanUp();
});

/** A payment of a dollar that is signed and not sent. */
interface Signed {
  readonly account: TestAccount;
  readonly agent: Agent;
  readonly headers: Record<string, string>;
}

let signed = 0;

async function sign(): Promise<Signed> {
  const account = await market.network.open({ starter: false });
  const agent = await agentOn(chain, "1");
  const refused = await send({ account, headers: {} });
  const key = `payment-${(signed += 1)}`;
  return { account, agent, headers: { ...(await agent.pay(refused)), "idempotency-key": key } };
}

function send({ account, headers }: Pick<Signed, "account" | "headers">): Promise<Response> {
  return fetch(`${market.network.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${account.apiKey}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: MODEL.id, messages: [{ role: "user", content: "answer" }] }),
  });
}

async function answered(payment: Signed): Promise<number> {
  const response = await send(payment);
  await response.text();
  return response.status;
}

/** The money is in one place: with its payer, or in the account, once. Gives whether it was paid. */
async function isPaid({ account, agent }: Signed): Promise<boolean> {
  const { data } = await market.network.json("/api/v1/deposits", depositPage, account);
  const credited = data.flatMap(({ payments }) => payments).filter(({ state }) => state === "credited");
  const { available, held } = await market.network.balance(account);
  const jobs = (await market.network.receipts(account)).length;
  expect(available + held).toBe(credited.length * USD - jobs * COST);
  expect(await agent.usdc()).toBe(credited.length === 1 ? "0" : "1");
  return credited.length > 0;
}

/** Its client calls again. It was answered before where the kill came after the job. */
async function again(payment: Signed): Promise<void> {
  expect([200, 409]).toContain(await answered(payment));
  await market.quiet();
  expect(await isPaid(payment)).toBe(true);
}

/** Nobody calls again: what was stored is paid, and what was not stays with its payer. */
async function forgotten(payment: Signed): Promise<void> {
  const stored = await market.server.rows<{ state: string }>(
    "SELECT state FROM x402_payments WHERE account = ?",
    payment.account.account,
  );
  const ended = async () => {
    await market.server.poke();
    const [row] = await market.server.rows<{ state: string }>(
      "SELECT state FROM x402_payments WHERE account = ?",
      payment.account.account,
    );
    return row?.state !== "pending";
  };
  await until(ended, "the end of the payment");
  await market.quiet();
  expect(await isPaid(payment)).toBe(stored.length > 0);
}

it("is paid once or not at all, wherever the Worker is killed", { timeout: SWEEP_MS }, async ({ annotate }) => {
  await market.restart();
  const first = await sign();
  const passed = await passedBy(market, async () => {
    expect(await answered(first)).toBe(200);
  });
  expect(await isPaid(first)).toBe(true);
  const points = betweenParts(firstAndLast(passed.slice(0, passed.indexOf(JOB))));
  expect(points.map(({ point }) => point)).toContain(STORED);
  const failures: string[] = [];
  for (const [index, fault] of points.entries()) {
    const finish = index % 2 === 0 ? again : forgotten;
    try {
      const payment = await sign();
      await market.server.arm(fault);
      await dying(market, answered(payment));
      await market.restart();
      await finish(payment);
    } catch (error) {
      failures.push(`${finish.name}, killed at "${fault.point}", ${fault.occurrence}: ${String(error)}`);
      await market.restart();
    }
  }
  expect(failures).toEqual([]);
  await annotate(`killed ${points.length} times`);
  expect(points.length).toBeGreaterThanOrEqual(20);
  await checkSums(market);
});

it.each([["again", again] as const, ["forgotten", forgotten] as const])(
  "is paid once when the Worker is killed after it was sent, and its client calls %s",
  async (_what, finish) => {
    const payment = await sign();
    const dead = answered(payment).catch(() => 0);
    await until(async () => (await payment.agent.usdc()) === "0", "the payment on the chain");
    await market.server.close();
    await dead;
    await market.restart();
    await finish(payment);
  },
);
