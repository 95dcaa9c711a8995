/** The service level of `dedicated`, measured by the account's own alarm (economics.md §10). */

import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, it, vi } from "vitest";
import { epochOf, epochStart } from "../../../core/allotment/epochs.ts";
import { LIMITS } from "../../../core/limits.ts";
import { DAY_MS } from "../../../core/time.ts";
import { deliver } from "../log/support.ts";
import { type Bank, balance, creditOf, entries, factsOf, hold, inside, JOB_PRICE, openBank, post } from "./bank.ts";
import { verifyChain } from "./chain.ts";

/** The last day of a leap year's February, in the evening. */
const NOW = Date.UTC(2028, 1, 29, 20);
const DAY = epochOf(NOW);
const MIDNIGHT = epochStart(DAY + 1);
const MEASURED = MIDNIGHT + LIMITS.serviceDelayMs;
/** The worst case of a job in `dedicated`. */
const HELD = 1.5 * JOB_PRICE;

let sent: unknown[] = [];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: NOW });
  sent = [];
  vi.spyOn(Object.getPrototypeOf(env.RECEIPTS) as Queue, "send").mockImplementation((body) => {
    sent.push(body);
    return Promise.resolve({} as QueueSendResponse);
  });
});

async function sponsor(expiresAt: number, jobs = 100): Promise<Bank> {
  const bank = await openBank();
  const lot = { id: "package", kind: "package", backing: "usdc", amount: jobs * HELD, concurrency: 2 } as const;
  await bank.rpc.credit(creditOf({ ...lot, expiresAt }));
  return bank;
}

/** A job in a slot that waited so long, or one without. */
async function run(bank: Bank, waitMs: number, hasSlot = true): Promise<void> {
  const { job } = await hold(bank, { lane: null });
  const queued = Date.now();
  const times = { queued, dispatched: queued + waitMs, first_token: null, completed: queued + waitMs };
  await bank.rpc.post({ ...factsOf(job), lane: "dedicated", times, ...(hasSlot && { reserved: queued }) });
}

async function many(bank: Bank, jobs: number, waitMs: number): Promise<void> {
  for (let job = 0; job < jobs; job++) await run(bank, waitMs);
}

const nextAlarm = (bank: Bank) => inside(bank, ({ storage }) => storage.getAlarm());

/** Rings the alarms that are due until a time, as the platform would. */
async function ringUntil(bank: Bank, time: number): Promise<void> {
  for (let due = await nextAlarm(bank); due !== null && due <= time; due = await nextAlarm(bank)) {
    vi.setSystemTime(Math.max(due, Date.now()));
    await runDurableObjectAlarm(bank.stub);
    await deliver(sent.splice(0));
  }
  vi.setSystemTime(time);
}

async function endOf(bank: Bank): Promise<number | null | undefined> {
  const answer = await bank.rpc.balance(bank.credentials);
  return answer.ok ? answer.value.lots.find(({ id }) => id === "package")?.expiresAt : undefined;
}

async function days(bank: Bank) {
  const answer = await bank.rpc.serviceLevels(bank.credentials, 0);
  if (!answer.ok) throw new Error(answer.refusal.code);
  return answer.value;
}

it("extends a package by a day for a missed one, once, whatever breaks in between", async () => {
  const ends = NOW + 10 * DAY_MS;
  const bank = await sponsor(ends);
  await many(bank, 20, 2_001);
  const before = await balance(bank);
  await ringUntil(bank, MEASURED - 1);
  expect([await endOf(bank), await days(bank), await nextAlarm(bank)]).toEqual([ends, [], MEASURED]);
  await evictDurableObject(bank.stub);
  await ringUntil(bank, MEASURED);
  for (let time = 0; time < 2; time++) {
    expect(await endOf(bank)).toBe(ends + DAY_MS);
    await evictDurableObject(bank.stub);
    await inside(bank, ({ storage }) => storage.setAlarm(Date.now()));
    await runDurableObjectAlarm(bank.stub);
  }
  expect(await balance(bank)).toEqual(before);
  const seq = (await entries(bank)).length;
  expect(await days(bank)).toEqual([
    expect.objectContaining({
      day: DAY,
      jobs: 20,
      p95Ms: 2_001,
      first: 2,
      last: 21,
      targetMs: 2_000,
      missed: true,
      seq,
    }),
  ]);
  // This holds the evidence against the receipts, too.
  expect((await verifyChain(bank)).filter((type) => type === "extension")).toHaveLength(1);
  // What moves nothing is none of the journal's.
  await ringUntil(bank, MEASURED + DAY_MS);
  expect(await env.DB.prepare("SELECT group_concat(type) AS types FROM journal").first("types")).toBe("package");
  expect(await nextAlarm(bank)).toBeNull();
});

it("wakes by itself though its alarm was lost, and measures each missed day by itself", async () => {
  const ends = NOW + 10 * DAY_MS;
  const bank = await sponsor(ends);
  await many(bank, 20, 2_001);
  vi.setSystemTime(NOW + DAY_MS);
  await many(bank, 20, 2_000);
  vi.setSystemTime(NOW + 2 * DAY_MS);
  await many(bank, 20, 9_000);
  await inside(bank, ({ storage }) => storage.deleteAlarm());
  vi.setSystemTime(NOW + 5 * DAY_MS);
  await evictDurableObject(bank.stub);
  await balance(bank);
  await vi.waitFor(async () => expect(await nextAlarm(bank)).not.toBeNull());
  await ringUntil(bank, NOW + 5 * DAY_MS + LIMITS.accountAlarmMs);
  const measured = (await days(bank)).map(({ day, missed, seq }) => [day - DAY, missed, seq !== null]);
  expect(measured).toEqual([
    [0, true, true],
    [1, false, false],
    [2, true, true],
  ]);
  expect(await endOf(bank)).toBe(ends + 2 * DAY_MS);
});

it("counts jobs in slots, and those of them that nobody took in time", async () => {
  const bank = await sponsor(NOW + 10 * DAY_MS);
  await many(bank, 18, 0);
  await run(bank, 9_000, false);
  const release = async (reason: string, slotSince: number | null): Promise<void> => {
    const { job } = await hold(bank, { lane: null });
    vi.setSystemTime(Date.now() + 60_000);
    await bank.rpc.void(job, reason, null, slotSince);
  };
  for (let time = 0; time < 2; time++) await release("queue_timeout", Date.now());
  await release("queue_timeout", null);
  await release("consumer_gone", Date.now());
  // A hold that everybody forgot says nothing of how long its job waited.
  await hold(bank, { lane: null });
  await ringUntil(bank, MEASURED);
  expect(await days(bank)).toMatchObject([{ jobs: 20, p95Ms: 60_000, missed: true }]);
  await verifyChain(bank);
});

it("brings a package back that ended on the day, and lets it end a day later", async () => {
  const bank = await sponsor(MIDNIGHT - 3_600_000);
  await many(bank, 20, 2_001);
  const { available } = await balance(bank);
  await ringUntil(bank, MIDNIGHT);
  expect([await balance(bank), await endOf(bank)]).toEqual([{ available: 0, held: 0 }, undefined]);
  await ringUntil(bank, MEASURED);
  expect([await balance(bank), await endOf(bank)]).toEqual([{ available, held: 0 }, MIDNIGHT - 3_600_000 + DAY_MS]);
  await run(bank, 0);
  await ringUntil(bank, MEASURED + DAY_MS);
  expect(await balance(bank)).toEqual({ available: 0, held: 0 });
  expect((await verifyChain(bank)).slice(21)).toEqual(["expiry", "extension", "spent", "expiry"]);
  // What came back went out of the treasury's own.
  const journal = env.DB.prepare("SELECT type, lots_usdc AS lots, treasury FROM journal ORDER BY seq");
  const { results } = await journal.all<{ type: string; lots: number; treasury: number }>();
  expect(results.map(({ type }) => type)).toEqual(["package", "expiry", "extension"]);
  expect(results.every(({ lots, treasury }) => lots === -treasury)).toBe(true);
  expect(results[2]?.lots).toBe(available);
});

it("lets a reversal bring a package back for as long as it had been extended", async () => {
  const bank = await sponsor(NOW + 2 * DAY_MS, 1);
  await bank.rpc.credit(
    creditOf({
      id: "other",
      kind: "package",
      backing: "usdc",
      amount: 100 * HELD,
      concurrency: 2,
      expiresAt: NOW + 9 * DAY_MS,
    }),
  );
  // The one that ends first would pay first, so a job holds all of it until the others have ended.
  await hold(bank, { lane: null });
  await many(bank, 20, 2_001);
  await ringUntil(bank, MEASURED);
  expect((await days(bank)).map(({ extendedUntil }) => extendedUntil)).toEqual([NOW + 10 * DAY_MS]);
  vi.setSystemTime(MEASURED);
  expect(await endOf(bank)).toBe(NOW + 3 * DAY_MS);
  const paid = await hold(bank, { lane: null, completion: 1_500, mostBasisPoints: 10_000 });
  await post(bank, paid.job, { prompt: 0, completion: 1_500 });
  expect(await endOf(bank)).toBeUndefined();
  await bank.rpc.reverse({ job: paid.job, reason: "test", by: ["a", "b"] });
  expect(await endOf(bank)).toBe(NOW + 3 * DAY_MS);
});
