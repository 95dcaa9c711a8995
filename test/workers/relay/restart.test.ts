import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import { relayOf } from "../../../protocol/internal/names.ts";
import { answering, daemonKey, type ScriptedDaemon, type ScriptedJob } from "../../support/scripted-daemon.ts";
import {
  addDaemon,
  balance,
  call,
  chat,
  crash,
  eventsOf,
  onlyReceipt,
  openMarket,
  readUntil,
  receiptsOf,
  STARTER,
  supply,
  until,
  withKey,
} from "../job/network.ts";

const relayOfDaemon = (daemon: ScriptedDaemon) =>
  env.RELAY.getByName(relayOf("local", daemon.key.id, Number(env.RELAY_SHARDS)));
const claimOf = (job: ScriptedJob | undefined) => {
  const { stream: _, ...claim } = job?.claim() ?? ({} as never);
  return claim;
};

it("serves over the same sockets after it slept", async () => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider);
  for (let job = 1; job <= 3; job++) {
    await evictDurableObject(relayOfDaemon(daemon));
    expect(await (await chat(consumer.apiKey)).json()).toMatchObject({ object: "chat.completion" });
    expect(daemon.jobs).toHaveLength(job);
  }
  expect(daemon.received.filter(({ type }) => type === "welcome")).toHaveLength(1);
});

it("remembers a drain over its sleep", async () => {
  const { provider } = await openMarket();
  const daemon = await addDaemon(provider);
  daemon.send({ type: "drain" });
  await until(async () => (await supply("test-model")).daemons === 0);
  await evictDurableObject(relayOfDaemon(daemon));
  const roster = await relayOfDaemon(daemon).roster("test-model");
  expect(roster.registrations).toMatchObject([{ daemon: daemon.key.id, draining: true }]);
});

it("settles a claim again that was posted before the relay was lost", async () => {
  const { consumer, provider } = await openMarket();
  const before = await addDaemon(provider);
  await (await chat(consumer.apiKey)).json();
  // Posted, but lost before the queue had the receipt and the daemon heard of it.
  await crash(relayOfDaemon(before));
  const after = await addDaemon(provider);
  after.send(claimOf(before.jobs[0]));
  expect(await after.next("settled")).toMatchObject({ receipt: { outcome: "completed" } });
  const { job } = await onlyReceipt(consumer);
  // The consumer reads it from its account, the provider from the log.
  const logged = async () => (await call(`/api/v1/receipts/${job}`, withKey(provider.apiKey))).status;
  await vi.waitFor(async () => expect(await logged()).toBe(200), { timeout: 20_000, interval: 100 });
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER - 320, held: 0 });
});

it("ends the stream of a relay that is lost, refuses its claim, and releases its hold", async () => {
  const { consumer, provider } = await openMarket();
  const before = await addDaemon(provider, { onJob: (job) => (job.accept(), job.text("Hello")) });
  const response = await chat(consumer.apiKey, { stream: true });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  await readUntil(reader, "Hello");
  expect(await balance(consumer.apiKey)).not.toMatchObject({ held: 0 });
  await crash(relayOfDaemon(before));
  const [last] = eventsOf(await readUntil(reader, "[DONE]"));
  expect(JSON.parse(last ?? "")).toMatchObject({
    choices: [{ finish_reason: "error" }],
    error: { code: "stream_interrupted" },
  });
  const after = await addDaemon(provider);
  after.send(claimOf(before.jobs[0]));
  expect(await after.next("refused")).toMatchObject({ job: before.jobs[0]?.job.job, reason: "voided" });
  expect(await receiptsOf(consumer)).toEqual([]);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
});

it("moves a plain job on whose relay is lost before it answered", async () => {
  const { consumer, provider } = await openMarket();
  const accepted = Promise.withResolvers<void>();
  const lost = await addDaemon(provider, { number: 1, onJob: (job) => (job.accept(), accepted.resolve()) });
  const answer = chat(consumer.apiKey);
  await accepted.promise;
  // A daemon of another relay, so that it survives.
  const number = [2, 3, 4, 5, 6].find(
    (other) => relayOf("local", daemonKey(other).id, 2) !== relayOf("local", lost.key.id, 2),
  );
  const other = await addDaemon(provider, { number: number ?? 0 });
  await crash(relayOfDaemon(lost));
  expect((await answer).status).toBe(200);
  expect(await onlyReceipt(consumer)).toMatchObject({ daemon: other.key.id, outcome: "completed" });
});

it("does not let a late claim touch a job that another daemon has now", async () => {
  const { consumer, provider } = await openMarket();
  const finish = Promise.withResolvers<void>();
  const first = await addDaemon(provider, { number: 1, onJob: (job) => job.decline() });
  const answer = chat(consumer.apiKey);
  await addDaemon(provider, {
    number: 2,
    onJob: async (job) => {
      job.accept();
      await finish.promise;
      await answering(["Hello"])(job);
    },
  });
  await until(async () => (await supply("test-model")).free === 15);
  first.send(claimOf(first.jobs[0]));
  expect(await first.next("refused")).toMatchObject({ reason: "superseded" });
  finish.resolve();
  expect((await answer).status).toBe(200);
  expect(await receiptsOf(consumer)).toMatchObject([{ outcome: "completed" }]);
});
