/** Lanes on the running network: what the account chooses, and what receipts say of it (economics.md §3). */

import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { type JobId, jobTime } from "../../../core/ids.ts";
import { balance as balanceShape } from "../../../protocol/network/account.ts";
import { app } from "../../../workers/app.ts";
import { answering, type ScriptedJob } from "../../support/scripted-daemon.ts";
import {
  accountOf,
  addDaemon,
  addModel,
  balance,
  call,
  chat,
  onlyReceipt,
  openAccount,
  openMarket,
  receiptsOf,
  supply,
  type TestAccount,
  until,
  withKey,
} from "./network.ts";

const TODAY = () => Date.now() + 600_000;

/** Gives an account a lot that only epochs and deposits make. */
async function grant(
  account: TestAccount,
  kind: "allotment" | "package",
  amount: number,
  concurrency: number,
): Promise<void> {
  const credit = { id: kind, kind, backing: "usdc", amount, expiresAt: TODAY(), memo: "", concurrency } as const;
  const result = await accountOf(account).rpc.credit(credit);
  if (result.type !== "credited") throw new Error(JSON.stringify(result.refusal));
}

/** 80 nanoUSD a completion token, 20 a prompt token. */
const price = (prompt: number, completion: number) => prompt * 20 + completion * 80;

it("runs a holder's job on the allotment, in USDC to the provider, and touches nothing else", async () => {
  const { consumer, provider } = await openMarket();
  // A model of its own, as the edge trusts what it knows of another one for seconds.
  const model = (await addModel({ id: "for-holders", lanes: ["included", "public"] })).id;
  await addDaemon(provider, { model });
  await grant(consumer, "allotment", 10_000_000, 1);
  const before = await balance(consumer.apiKey);
  const response = await chat(consumer.apiKey, { model });
  const { usage } = await response.json<{ usage: { lane: string } }>();
  expect([response.status, usage.lane]).toEqual([200, "included"]);
  const receipt = await onlyReceipt(consumer);
  const due = price(8, 2);
  expect(receipt).toMatchObject({
    lane: "included",
    charge: { nano_usd: due, parts: [{ kind: "allotment", backing: "usdc", nano_usd: due, millicredits: 0 }] },
  });
  expect(receipt.split.map(({ role, nano_usd }) => [role, nano_usd])).toEqual([
    ["provider", due * 0.95],
    ["network", due * 0.05],
  ]);
  expect(before.available - (await balance(consumer.apiKey)).available).toBe(due);
});

it("pays a dedicated provider its floor, what is beyond the catalog's rate from the package", async () => {
  const { consumer, provider } = await openMarket();
  // 1,000 W at 0.12 USD/kWh and 400 tokens a second: some 100 nanoUSD a token, between the catalog's 80 and 1.5 times that.
  const onJob = answering(Array.from({ length: 20 }, () => " word"));
  await addDaemon(provider, { offer: { tokens_per_second: 400 }, watts: 1_000, onJob });
  await grant(consumer, "package", 10_000_000, 1);
  await grant(consumer, "allotment", 10_000_000, 1);
  expect((await chat(consumer.apiKey, { lane: "public" })).status).toBe(503);
  const response = await chat(consumer.apiKey);
  expect(response.status).toBe(200);
  const [receipt] = await receiptsOf(consumer);
  const catalog = price(8, 20);
  expect(receipt).toMatchObject({ lane: "dedicated", price: { terms: { floor: { watts: 1_000 } } } });
  expect(receipt?.charge.nano_usd).toBeGreaterThan(catalog);
  expect(receipt?.charge.parts).toEqual([
    { kind: "allotment", backing: "usdc", nano_usd: catalog, millicredits: 0 },
    { kind: "package", backing: "usdc", nano_usd: (receipt?.charge.nano_usd ?? 0) - catalog, millicredits: 0 },
  ]);
}, 20_000);

async function account({ apiKey }: TestAccount) {
  return balanceShape.parse(await (await call("/api/v1/balance", withKey(apiKey))).json());
}

/** Jobs that a daemon has and does not answer until it is told to. */
function unhurried() {
  const jobs: ScriptedJob[] = [];
  const onJob = (job: ScriptedJob) => {
    job.accept();
    jobs.push(job);
  };
  const answer = () => {
    const job = jobs.shift();
    if (job === undefined) throw new Error("no job runs");
    job.text("word");
    job.done();
  };
  return { jobs, onJob, answer };
}

it("runs as many jobs of a holder at once as the stake carries, and says what to do about one more", async () => {
  const { consumer, provider } = await openMarket();
  const model = (await addModel({ id: "for-holders", lanes: ["included", "public"] })).id;
  const { jobs, onJob, answer } = unhurried();
  await addDaemon(provider, { model, onJob });
  await grant(consumer, "allotment", 10_000_000, 1);
  const first = chat(consumer.apiKey, { model });
  await until(() => jobs.length === 1);
  const allotment = async () => (await account(consumer)).allotment;
  expect(await allotment()).toMatchObject({ slots: 1, in_use: 1 });
  const refused = await chat(consumer.apiKey, { model });
  const { error } = await refused.json<{ error: { code: string; message: string; metadata: object } }>();
  expect([refused.status, error.code]).toEqual([429, "concurrency_limit"]);
  expect(error.metadata).toEqual({ limit: 1, open: 1, lane: "included" });
  expect(error.message).toContain('carries 1 job at a time, and 1 is open; `lane: "public"` runs more');
  answer();
  expect((await first).status).toBe(200);
  expect(await allotment()).toMatchObject({ slots: 1, in_use: 0 });
});

it("serves a job in a package's slot ahead of what waits", async () => {
  const { consumer, provider } = await openMarket();
  const other = await openAccount();
  const { jobs, onJob, answer } = unhurried();
  await addDaemon(provider, { offer: { slots: 1 }, onJob });
  await grant(consumer, "package", 10_000_000, 1);
  const estimate = async () => {
    const body = JSON.stringify({ model: "test-model", messages: [{ role: "user", content: "Hi" }] });
    const init = withKey(consumer.apiKey, { "content-type": "application/json" });
    return await (await call("/api/v1/estimate", { method: "POST", body, ...init })).json();
  };
  expect(await estimate()).toMatchObject({ lane: "dedicated", reserved: true, concurrency: { slots: 1, in_use: 0 } });
  const asked: Promise<Response>[] = [];
  for (const [waiting, who] of [other, other, consumer].entries()) {
    asked.push(chat(who.apiKey));
    await until(async () => jobs.length === 1 && (await supply("test-model")).waiting === waiting);
  }
  expect((await account(consumer)).packages).toEqual({ slots: 1, in_use: 1 });
  expect(await estimate()).toMatchObject({ lane: "dedicated", reserved: false, concurrency: { slots: 1, in_use: 1 } });
  const order: (string | null | undefined)[] = [];
  while (order.length < asked.length) {
    await until(() => jobs.length === 1, "the next job");
    order.push(jobs[0]?.job.lane);
    answer();
  }
  expect(order).toEqual(["public", "dedicated", "public"]);
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200, 200]);
  expect((await account(consumer)).packages).toEqual({ slots: 1, in_use: 0 });
  // What its time in queue is held against: it had the slot from the moment that it was queued.
  const [receipt] = await receiptsOf(consumer);
  expect(receipt?.reserved).toBe(receipt?.times.queued);
  const others = await receiptsOf(other);
  expect(others.map(({ reserved }) => reserved)).toEqual([undefined, undefined]);
}, 20_000);

it("says of a job in a slot that nobody took in time how long it had that, unless it chose who may serve it", async () => {
  const { consumer, provider } = await openMarket();
  const { jobs, onJob, answer } = unhurried();
  await addDaemon(provider, { offer: { slots: 1 }, onJob });
  await grant(consumer, "package", 10_000_000, 1);
  const first = chat((await openAccount()).apiKey);
  await until(() => jobs.length === 1);
  const impatient = { ...env, TOLLMILL_PARAMETERS: JSON.stringify({ queueLimitMs: 100 }) };
  for (const chosen of [{}, { only: [provider.account] }]) {
    const messages = [{ role: "user", content: "Hi" }];
    const body = JSON.stringify({ model: "test-model", messages, provider: chosen });
    const init = withKey(consumer.apiKey, { "content-type": "application/json" });
    const request = new Request("https://tollmill.test/v1/chat/completions", { method: "POST", body, ...init });
    const context = createExecutionContext();
    const response = await app.fetch(request, impatient, context);
    await waitOnExecutionContext(context);
    expect((await response.json<{ error: { code: string } }>()).error.code).toBe("queue_timeout");
  }
  const { rpc, credentials } = accountOf(consumer);
  const page = await rpc.entries(credentials, 0, 100);
  const voids = (page.ok ? page.value : [])
    .filter(({ type }) => type === "void")
    .map(({ body }) => JSON.parse(body) as { job: JobId; reason: string; reserved?: number });
  expect(voids).toMatchObject([{ reason: "queue_timeout" }, { reason: "queue_timeout" }]);
  expect(voids.map(({ job, reserved }) => (reserved === undefined ? null : reserved - jobTime(job)))).toEqual([
    0,
    null,
  ]);
  answer();
  await first;
}, 20_000);

it("tells a holder whose paid credits stay untouched what to do about it", async () => {
  await addModel({ lanes: ["included", "public"] });
  const holder = await openAccount(false);
  const { rpc } = accountOf(holder);
  await grant(holder, "allotment", 1_000, 1);
  await rpc.credit({ id: "paid", kind: "topup", backing: "usdc", amount: 9_000_000, expiresAt: null, memo: "" });
  const response = await chat(holder.apiKey);
  const { error } = await response.json<{ error: { code: string; message: string; metadata: object } }>();
  expect([response.status, error.metadata]).toEqual([402, expect.objectContaining({ unused_paid: "9000.000" })]);
  expect(error.message).toContain("allow_paid");
});
