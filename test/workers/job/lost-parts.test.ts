/** Parts of the network that go away and come back in the middle of a job: what they leave behind must not stay. */

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { enrolDaemon } from "../../../db/daemons.ts";
import { answering, daemonKey, offerOf } from "../../support/scripted-daemon.ts";
import {
  addDaemon,
  balance,
  chat,
  connect,
  crash,
  onlyReceipt,
  openMarket,
  readUntil,
  STARTER,
  supply,
  until,
} from "./network.ts";

const relays = () => [0, 1].map((shard) => env.RELAY.getByName(`${env.TOLLMILL_REGION}/${shard}`));
const pool = () => env.SCHEDULER.getByName(`${env.TOLLMILL_REGION}/test-model`);

it("frees slot and hold of a job whose relay was lost, once its daemon is back", async () => {
  const { consumer, provider } = await openMarket();
  const first = await addDaemon(provider, {
    offer: { slots: 1 },
    onJob: (job) => (job.accept(), job.text("One")),
  });
  const response = await chat(consumer.apiKey, { stream: true });
  await readUntil((response.body ?? new ReadableStream()).getReader(), "One");
  // The pool knows that it runs, so the lease no longer lapses by itself.
  const { job, fence } = first.jobs[0]?.job ?? { job: "", fence: 0 };
  const running = { type: "running", job, fence, daemon: first.key.id, account: consumer.account } as const;
  await pool().report("", [running as never]);
  for (const relay of relays()) await crash(relay);
  const second = await connect(1, answering(["hi"]));
  await second.join(offerOf("test-model", { slots: 1 }));
  await until(async () => (await supply("test-model")).free === 1, "a free slot");
  await until(async () => (await balance(consumer.apiKey)).held === 0, "no hold");
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
  expect((await chat(consumer.apiKey)).status).toBe(200);
});

it("frees the hold of a job that relay and pool forgot, when its daemon says that it lost it", async () => {
  const { consumer, provider } = await openMarket();
  const first = await addDaemon(provider, { onJob: (job) => (job.accept(), job.text("One")) });
  const response = await chat(consumer.apiKey, { stream: true });
  await readUntil((response.body ?? new ReadableStream()).getReader(), "One");
  for (const object of [...relays(), pool()]) await crash(object);
  expect((await balance(consumer.apiKey)).held).toBeGreaterThan(0);
  const second = await connect(1);
  await second.join(offerOf("test-model"));
  const { job, ticket } = first.jobs[0]?.job ?? { job: "", ticket: "" };
  second.send({ type: "failed", job, ticket, code: "connection_lost", message: "" });
  await until(async () => (await balance(consumer.apiKey)).held === 0, "no hold");
});

it("settles a job when its account was away at the first posts", async () => {
  const { consumer, provider } = await openMarket();
  const account = env.ACCOUNT.getByName(consumer.account);
  await addDaemon(provider, {
    onJob: async (job) => {
      job.accept();
      job.text("paid");
      const rename = (from: string, to: string) =>
        runInDurableObject(account, (_, { storage }) => storage.sql.exec(`ALTER TABLE ${from} RENAME TO ${to}`));
      await rename("entries", "away");
      setTimeout(() => void rename("away", "entries"), 400);
      job.done();
    },
  });
  const response = await chat(consumer.apiKey);
  expect(response.status).toBe(200);
  expect(await onlyReceipt(consumer)).toMatchObject({ outcome: "completed", usage: { completion: 1 } });
});

it("sends a daemon away whose offer it could not look up, so that it comes back with it", async () => {
  const { provider } = await openMarket();
  const key = daemonKey(1);
  const row = { id: key.id, account: provider.account, name: "one", payout: "credits", tier: "desktop" } as const;
  await enrolDaemon(env.DB, { ...row, created_at: 0 });
  const daemon = await connect(1);
  daemon.send({ type: "hello", version: 1, daemon: key.id });
  await daemon.next("welcome");
  await env.DB.exec("ALTER TABLE models RENAME TO models_away");
  daemon.send(offerOf("test-model"));
  expect(await daemon.closed).toMatchObject({ code: 1011 });
  await env.DB.exec("ALTER TABLE models_away RENAME TO models");
});

it("asks no daemon whose context is too small", async () => {
  const { consumer, provider } = await openMarket();
  const small = await addDaemon(provider, { number: 1, offer: { context: 64 } });
  const large = await addDaemon(provider, { number: 2 });
  const response = await chat(consumer.apiKey, { messages: [{ role: "user", content: "y".repeat(1_000) }] });
  expect(response.status).toBe(200);
  expect([small.jobs.length, large.jobs.length]).toEqual([0, 1]);
});

it("keeps the slot of a job whose model its daemon withdraws and offers again", async () => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider, {
    offer: { slots: 1 },
    onJob: (job) => (job.accept(), job.text("One")),
  });
  const response = await chat(consumer.apiKey, { stream: true });
  await readUntil((response.body ?? new ReadableStream()).getReader(), "One");
  daemon.send({ ...offerOf("test-model"), models: [] });
  await until(async () => (await supply("test-model")).daemons === 0, "no daemon");
  daemon.send(offerOf("test-model", { slots: 1 }));
  await until(async () => (await supply("test-model")).daemons === 1, "the daemon");
  expect((await supply("test-model")).free).toBe(0);
});

it("moves nowhere for a consumer who allows no fallbacks", async () => {
  const { consumer, provider } = await openMarket();
  const first = await addDaemon(provider, { number: 1, onJob: (job) => job.decline() });
  const second = await addDaemon(provider, { number: 2, onJob: (job) => job.decline() });
  const response = await chat(consumer.apiKey, { provider: { allow_fallbacks: false } });
  expect(response.status).toBe(502);
  expect(first.jobs.length + second.jobs.length).toBe(1);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
});

it("gives each choice its own reason for ending, and reasoning and refusals in a plain answer", async () => {
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, {
    onJob: (job) => {
      const delta = (value: object) => new TextEncoder().encode(JSON.stringify({ delta: value }));
      job.accept();
      job.frame(1, delta({ reasoning_content: "hm" }), 1, 0);
      job.text("Yes", 1, 0);
      job.frame(1, delta({ refusal: "No" }), 1, 1);
      job.done({ finish_reasons: ["stop", "length"] });
    },
  });
  const response = await chat(consumer.apiKey, { n: 2 });
  const { choices } = await response.json<{ choices: { finish_reason: string; message: object }[] }>();
  expect(choices.map((choice) => choice.finish_reason)).toEqual(["stop", "length"]);
  expect(choices[0]?.message).toMatchObject({ content: "Yes", reasoning_content: "hm", refusal: null });
  expect(choices[1]?.message).toMatchObject({ content: null, refusal: "No" });
});
