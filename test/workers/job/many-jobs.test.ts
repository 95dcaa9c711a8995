import { expect, it } from "vitest";
import type { ScriptedJob } from "../../support/scripted-daemon.ts";
import {
  addDaemon,
  addModel,
  balance,
  chat,
  credit,
  openAccount,
  openMarket,
  receiptsOf,
  STARTER,
  supply,
  until,
} from "./network.ts";

const sumOf = (amounts: readonly number[]) => amounts.reduce((total, amount) => total + amount, 0);

/** What the daemon does with a job follows from the number that its prompt is. */
const WAYS: ((job: ScriptedJob) => unknown)[] = [
  (job) => (job.accept(), job.text("one"), job.text("two"), job.done()),
  (job) => (job.accept(), job.text("word ", 1), job.text("words words", 7), job.done()),
  (job) => job.decline(),
  (job) => (job.accept(), job.fail()),
  (job) => (job.accept(), job.text("broken"), job.fail()),
  (job) => (job.accept(), job.text("lied"), job.done({}, { fence: job.job.fence + 1 })),
  (job) => (job.accept(), job.text("greedy"), job.done({ usage: { prompt: 999, completion: 999 } })),
  (job) => (job.accept(), job.done()),
];

function byNumber(job: ScriptedJob): unknown {
  const messages = job.job.request.messages as { content: string }[];
  return WAYS[Number(messages[0]?.content) % WAYS.length]?.(job);
}

it("loses and doubles nothing in a hundred mixed jobs at once", async () => {
  const { consumer, provider } = await openMarket();
  await credit(consumer, "topup", "0.010000000", "paid");
  for (const number of [1, 2, 3]) await addDaemon(provider, { number, offer: { slots: 16 }, onJob: byNumber });
  // One lie has its daemon quarantined, so the one that lies has all its jobs before it says anything.
  const gate = Promise.withResolvers<void>();
  const liar = await addDaemon(provider, {
    number: 4,
    offer: { slots: 16 },
    onJob: async (job) => {
      job.accept();
      if (liar.jobs.length === 12) gate.resolve();
      await gate.promise;
      byNumber(job);
    },
  });
  const before = await balance(consumer.apiKey);
  expect(before.available).toBe(STARTER + 10_000_000);
  const responses = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      const messages = [{ role: "user", content: String(index) }];
      const provider = index % WAYS.length === 5 ? { only: [liar.key.id] } : { ignore: [liar.key.id] };
      const response = await chat(consumer.apiKey, { messages, provider, stream: index % 3 === 0, max_tokens: 64 });
      await response.text();
      return response;
    }),
  );
  expect(new Set(responses.map(({ headers }) => headers.get("x-job-id")))).toHaveLength(100);
  await until(async () => (await balance(consumer.apiKey)).held === 0, "no hold");
  const receipts = await receiptsOf(consumer);
  // The third and fourth way of every eight leave no receipt: nobody served the job.
  expect(receipts).toHaveLength(100 - 13 - 13);
  const after = await balance(consumer.apiKey);
  expect(before.available - after.available).toBe(sumOf(receipts.map(({ charge }) => charge.millicredits)));
  for (const { charge, split } of receipts) {
    expect(sumOf(split.map((line) => line.nano_usd + line.millicredits))).toBe(charge.nano_usd);
    expect(sumOf(charge.parts.map((part) => part.nano_usd))).toBe(charge.nano_usd);
  }
  await until(async () => (await supply("test-model")).free === 48, "free slots");
});

it("serves thirty of a hundred parallel jobs on a balance for thirty, and is never below zero", async () => {
  await addModel();
  const [consumer, provider] = [await openAccount(false), await openAccount()];
  // A job of 100 completion tokens and a prompt bound of 10 costs 8.2 credits at most.
  const price = 100 * 80 + 10 * 20;
  await credit(consumer, "bonus", String((30 * price + price - 1) / 1_000), "bonus");
  const gate = Promise.withResolvers<void>();
  const onJob = async (job: ScriptedJob): Promise<void> => {
    job.accept();
    await gate.promise;
    job.text("x".repeat(100), 100);
    job.done({ usage: { prompt: 10, completion: 100 } });
  };
  await addDaemon(provider, { offer: { slots: 64 }, onJob });
  const answers = Array.from({ length: 100 }, () => chat(consumer.apiKey, { max_tokens: 100 }));
  await until(async () => (await supply("test-model")).free === 64 - 30, "thirty running jobs");
  expect(await balance(consumer.apiKey)).toEqual({ available: price - 1, held: 30 * price });
  gate.resolve();
  const statuses = (await Promise.all(answers)).map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(30);
  expect(statuses.filter((status) => status === 402)).toHaveLength(70);
  expect(await balance(consumer.apiKey)).toEqual({ available: price - 1, held: 0 });
  expect(await receiptsOf(consumer)).toHaveLength(30);
});

it("charges one of twenty parallel calls with one Idempotency-Key", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider);
  const init = { headers: { "idempotency-key": "once" } };
  const responses = await Promise.all(Array.from({ length: 20 }, () => chat(consumer.apiKey, {}, init)));
  const statuses = responses.map(({ status }) => status).toSorted((a, b) => a - b);
  expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 409)]);
  expect(await receiptsOf(consumer)).toHaveLength(1);
  const again = await chat(consumer.apiKey, {}, init);
  expect(await again.json()).toMatchObject({
    error: { code: "already_completed", metadata: { outcome: "completed" } },
  });
  const other = await chat(consumer.apiKey, { seed: 7 }, init);
  expect(other.status).toBe(422);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER - 320, held: 0 });
});
