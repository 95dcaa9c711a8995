import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import { HOLD_GRACE_MS, HOLD_SLA_MS, LIMITS } from "../../../core/limits.ts";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import type { ScriptedJob } from "../../support/scripted-daemon.ts";
import {
  addDaemon,
  balance,
  chat,
  crash,
  credit,
  openAccount,
  openMarket,
  receiptsOf,
  STARTER,
  supply,
  until,
} from "../job/network.ts";
import { acquireAlone } from "./support.ts";

/** The life of a hold. */
const HOLD_MS = GENESIS_PARAMETERS.queueLimitMs + HOLD_SLA_MS + HOLD_GRACE_MS;

const pool = () => env.SCHEDULER.getByName("local/test-model");

/** A daemon with some slots whose jobs end when the test says so. */
function patient() {
  const gates: (() => void)[] = [];
  const onJob = async (job: ScriptedJob): Promise<void> => {
    job.accept();
    const gate = Promise.withResolvers<void>();
    gates.push(gate.resolve);
    await gate.promise;
    job.text("word");
    job.done({ usage: { prompt: 10, completion: 1 } });
  };
  return { gates, onJob };
}

it("gives every job a fence greater than all before, also after evictions", async () => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider);
  for (let start = 0; start < 3; start++) {
    for (let job = 0; job < 2; job++) await (await chat(consumer.apiKey)).json();
    await evictDurableObject(pool());
  }
  const fences = daemon.jobs.map(({ job }) => job.fence);
  expect(fences).toEqual(fences.toSorted((a, b) => a - b));
  expect(new Set(fences)).toHaveLength(6);
});

it("loses nothing and sells no slot twice when it starts again in the middle of everything", async () => {
  const { consumer, provider } = await openMarket();
  const { gates, onJob } = patient();
  const daemon = await addDaemon(provider, { offer: { slots: 2 }, onJob });
  const answers = Array.from({ length: 5 }, () => chat(consumer.apiKey));
  await until(async () => (await supply("test-model")).waiting === 3, "three waiting jobs");
  await crash(pool());
  await until(async () => (await supply("test-model")).waiting === 3, "three waiting jobs again");
  expect(daemon.jobs).toHaveLength(2);
  for (let ended = 0; ended < 5; ended++) {
    await until(() => gates.length > ended);
    expect(gates.length).toBeLessThanOrEqual(ended + 2);
    gates[ended]?.();
  }
  for (const response of await Promise.all(answers)) expect(response.status).toBe(200);
  const receipts = await receiptsOf(consumer);
  expect(receipts).toHaveLength(5);
  const charged = receipts.reduce((total, { charge }) => total + charge.millicredits, 0);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER - charged, held: 0 });
});

it("forgets daemons that went away while it slept", async () => {
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider);
  await evictDurableObject(pool());
  // Rows of a daemon whose relay no longer knows it: as after a deploy that closed every socket.
  await runInDurableObject(pool(), (_object, { storage }) => {
    storage.sql.exec(
      `INSERT INTO registrations (daemon, relay, registration)
       SELECT 'ghost', relay, replace(registration, daemon, 'ghost') FROM registrations`,
    );
  });
  await evictDurableObject(pool());
  expect(await (await chat(consumer.apiKey)).json()).toMatchObject({ object: "chat.completion" });
  expect(daemon.jobs).toHaveLength(1);
  expect(await supply("test-model")).toMatchObject({ daemons: 1 });
});

it("releases the hold of a lease that nobody took up, and frees its slot", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const { consumer, provider } = await openMarket();
  await addDaemon(provider, { offer: { slots: 1 } });
  const { grant } = await acquireAlone(consumer);
  expect(await supply("test-model")).toMatchObject({ free: 0 });
  expect(await balance(consumer.apiKey)).not.toMatchObject({ held: 0 });
  vi.setSystemTime(grant.dispatchedAt + LIMITS.leaseMs);
  await pool().report("local/0", []);
  await until(async () => (await supply("test-model")).free === 1, "a free slot");
  await until(async () => (await balance(consumer.apiKey)).held === 0, "no hold");
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
});

it("serves no job whose lease lapses just while its relay prepares it", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider, { offer: { slots: 1 } });
  const sealing = { begun: false, released: false };
  const seal = crypto.subtle.encrypt.bind(crypto.subtle);
  vi.spyOn(crypto.subtle, "encrypt").mockImplementationOnce(async (...args) => {
    sealing.begun = true;
    while (!sealing.released) await new Promise((resolve) => setTimeout(resolve, 5));
    return await seal(...args);
  });
  const answer = chat(consumer.apiKey);
  await until(() => sealing.begun, "a ticket");
  vi.setSystemTime(Date.now() + LIMITS.leaseMs);
  await pool().report("local/0", []);
  await until(async () => (await supply("test-model")).free === 1, "a free slot");
  sealing.released = true;
  expect((await answer).status).toBe(502);
  expect(daemon.jobs).toEqual([]);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
});

it("keeps the lease of a job that its relay runs, though the report was lost", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const { consumer, provider } = await openMarket();
  const { gates, onJob } = patient();
  await addDaemon(provider, { offer: { slots: 1 }, onJob });
  const answer = chat(consumer.apiKey);
  await until(() => gates.length === 1);
  vi.setSystemTime(Date.now() + LIMITS.leaseMs);
  await pool().report("local/0", []);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await supply("test-model")).toMatchObject({ free: 0 });
  expect(await balance(consumer.apiKey)).not.toMatchObject({ held: 0 });
  gates[0]?.();
  expect((await answer).status).toBe(200);
  expect(await receiptsOf(consumer)).toMatchObject([{ outcome: "completed" }]);
});

it("keeps the slot of a job that its relay still has at the hold's end, until the relay has ended it", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const { consumer, provider } = await openMarket();
  const daemon = await addDaemon(provider, { offer: { slots: 1 }, onJob: () => {} });
  const answer = chat(consumer.apiKey);
  await until(() => daemon.jobs.length === 1);
  // The clock leaps over the hold's end, while the relay's timer for the daemon's silence has a second to go.
  vi.setSystemTime(Date.now() + HOLD_MS);
  await pool().report("local/0", []);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await supply("test-model")).toMatchObject({ free: 0 });
  await until(async () => (await supply("test-model")).free === 1, "a free slot");
  expect(daemon.received).toContainEqual({ type: "cancel", stream: daemon.jobs[0]?.job.stream });
  expect((await answer).status).toBe(502);
  expect(await balance(consumer.apiKey)).toEqual({ available: STARTER, held: 0 });
});

it("serves an account that floods the pool every second time while another one waits", async () => {
  const { consumer, provider } = await openMarket();
  const other = await openAccount();
  // Accounts that never paid share one place in the queue.
  for (const account of [consumer, other]) await credit(account, "topup", "1", `paid-${account.account}`);
  const { gates, onJob } = patient();
  const daemon = await addDaemon(provider, { offer: { slots: 1 }, onJob });
  const flood = Array.from({ length: 20 }, () => chat(consumer.apiKey, { max_tokens: 1 }));
  await until(async () => (await supply("test-model")).waiting === 19, "the flood");
  const few = Array.from({ length: 5 }, () => chat(other.apiKey, { max_tokens: 1 }));
  await until(async () => (await supply("test-model")).waiting === 24, "the others");
  for (let ended = 0; ended < 25; ended++) {
    await until(() => gates.length > ended);
    gates[ended]?.();
  }
  const jobs = new Set((await Promise.all(few)).map((response) => response.headers.get("x-job-id")));
  await Promise.all(flood);
  const places = daemon.jobs.flatMap(({ job }, place) => (jobs.has(job.job) ? [place] : []));
  expect(places).toHaveLength(5);
  // The first of the flood ran already; then at most one of it goes between two of the others.
  expect(Math.max(...places)).toBeLessThanOrEqual(11);
});
