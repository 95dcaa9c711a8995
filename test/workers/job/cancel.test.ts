import { expect, it, vi } from "vitest";
import type { ScriptedJob } from "../../support/scripted-daemon.ts";
import {
  addDaemon,
  balance,
  call,
  chat,
  onlyReceipt,
  openMarket,
  readUntil,
  receiptsOf,
  STARTER,
  supply,
  until,
  withKey,
} from "./network.ts";

/** "Hi" and two messages of the template: the prompt bound, which the scripted daemon claims. */
const PROMPT = 8;
const PROMPT_PRICE = PROMPT * 20;

/** A daemon that accepts, sends some tokens, and hands in its claim when it is told to stop. */
function obedient(tokens: number) {
  return async (job: ScriptedJob): Promise<void> => {
    job.accept();
    for (let token = 0; token < tokens; token++) job.text(`word ${token}`);
    await job.daemon.next("cancel");
    job.done({ finish_reason: "cancelled" });
  };
}

const settled = async (apiKey: string) => until(async () => (await balance(apiKey)).held === 0, "no hold");
const idle = async () => until(async () => (await supply("test-model")).free === 8, "a free slot");

it("charges nothing for a job that leaves within a second and before its first token", async () => {
  const { consumer, provider } = await openMarket();
  const gone = new AbortController();
  const daemon = await addDaemon(provider, { onJob: (job) => (job.accept(), gone.abort()) });
  await expect(Promise.resolve(chat(consumer.apiKey, {}, { signal: gone.signal }))).rejects.toThrow();
  await daemon.next("cancel");
  await settled(consumer.apiKey);
  await idle();
  expect(await receiptsOf(consumer)).toEqual([]);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
});

it("charges the prompt of a job that leaves later, still before its first token", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const { consumer, provider } = await openMarket();
  const gone = new AbortController();
  await addDaemon(provider, {
    onJob: async (job) => {
      job.accept();
      await job.daemon.next("cancel");
      job.done({ finish_reason: "cancelled" });
    },
  }).then(({ jobs }) => {
    void until(() => jobs.length === 1).then(async () => {
      await new Promise((resolve) => setTimeout(resolve, 50));
      vi.setSystemTime(Date.now() + 1_000);
      gone.abort();
    });
  });
  await expect(Promise.resolve(chat(consumer.apiKey, {}, { signal: gone.signal }))).rejects.toThrow();
  await settled(consumer.apiKey);
  const receipt = await onlyReceipt(consumer);
  expect(receipt).toMatchObject({
    outcome: "cancelled",
    usage: { prompt: PROMPT, completion: 0, relayed: 0 },
    charge: { nano_usd: PROMPT_PRICE },
  });
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER - PROMPT_PRICE, held: 0 });
});

it.each(["reads no further", "aborts"])("charges prompt and relayed tokens of a consumer who %s", async (how) => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, { onJob: obedient(5) });
  const gone = new AbortController();
  const response = await chat(consumer.apiKey, { stream: true }, { signal: gone.signal });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  await readUntil(reader, "word 4");
  if (how === "aborts") gone.abort();
  else await reader.cancel();
  await settled(consumer.apiKey);
  const receipt = await onlyReceipt(consumer);
  expect(receipt).toMatchObject({
    outcome: "cancelled",
    usage: { prompt: PROMPT, completion: 5, relayed: 5 },
    charge: { nano_usd: PROMPT_PRICE + 5 * 80 },
  });
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER - receipt.charge.millicredits, held: 0 });
  await idle();
});

it("does not charge what a daemon sends after it was told to stop", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, {
    onJob: async (job) => {
      job.accept();
      job.text("one");
      await job.daemon.next("cancel");
      for (let token = 0; token < 50; token++) job.text("more");
      job.done({ finish_reason: "cancelled" });
    },
  });
  const response = await chat(consumer.apiKey, { stream: true });
  await response.body?.cancel();
  await settled(consumer.apiKey);
  expect(await onlyReceipt(consumer)).toMatchObject({
    outcome: "cancelled",
    usage: { completion: 1, relayed: 1 },
    claim: { usage: { completion: 51 } },
    charge: { nano_usd: PROMPT_PRICE + 80 },
  });
});

it("stops a running job that its consumer cancels by id", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, { onJob: obedient(3) });
  const response = await chat(consumer.apiKey, { stream: true });
  const path = `/api/v1/jobs/${response.headers.get("x-job-id")}`;
  const answer = await call(path, { method: "DELETE", ...withKey(consumer.apiKey) });
  expect(await answer.json()).toMatchObject({ cancelled: true });
  expect(await response.text()).toContain("[DONE]");
  expect(await onlyReceipt(consumer)).toMatchObject({ outcome: "cancelled", usage: { completion: 3 } });
});

it("frees the place and the hold of a job that is cancelled while it waits", async () => {
  const { consumer, provider } = await openMarket();
  const held = Promise.withResolvers<void>();
  await addDaemon(provider, {
    offer: { slots: 1 },
    onJob: async (job) => {
      job.accept();
      await held.promise;
      job.text("late");
      job.done();
    },
  });
  const first = chat(consumer.apiKey);
  await until(async () => (await supply("test-model")).free === 0);
  const gone = new AbortController();
  const second = chat(consumer.apiKey, {}, { signal: gone.signal }).catch(() => null);
  await until(async () => (await supply("test-model")).waiting === 1);
  const { held: both } = await balance(consumer.apiKey);
  gone.abort();
  await until(async () => (await supply("test-model")).waiting === 0, "an empty queue");
  expect(await second).toBeNull();
  await until(async () => (await balance(consumer.apiKey)).held === both / 2, "one hold less");
  held.resolve();
  expect((await first).status).toBe(200);
  expect((await onlyReceipt(consumer)).outcome).toBe("completed");
  expect(await balance(consumer.apiKey)).toMatchObject({ held: 0 });
});
