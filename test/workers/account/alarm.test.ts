import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import type { JournalMessage, ReceiptsMessage } from "../../../protocol/internal/queue.ts";
import { deliver } from "../log/support.ts";
import { type Bank, balance, creditOf, entries, hold, inside, openBank, post } from "./bank.ts";

type Sent = ReceiptsMessage | JournalMessage;

/** Replaces the queue that an account sends to, and keeps what it is given. */
async function captureQueue(bank: Bank): Promise<Sent[]> {
  const sent: Sent[] = [];
  const send = (message: Sent): Promise<void> => {
    sent.push(message);
    return Promise.resolve();
  };
  await withBindings(bank, { RECEIPTS: { send } as unknown as Queue });
  return sent;
}

async function withBindings(bank: Bank, bindings: Partial<Env>): Promise<void> {
  await runInDurableObject(bank.stub, (object) => {
    Object.assign(object, { env: { ...env, ...bindings } });
  });
}

/** Lets an alarm's time pass and rings it. False when none was set. */
async function ring(bank: Bank): Promise<boolean> {
  vi.setSystemTime(Date.now() + LIMITS.accountAlarmMs);
  return await runDurableObjectAlarm(bank.stub);
}

const nextAlarm = (bank: Bank) => inside(bank, ({ storage }) => storage.getAlarm());
const receiptsIn = (sent: readonly Sent[]) =>
  sent.flatMap((message) => ("receipts" in message ? message.receipts.map(({ body }) => body) : []));
const entriesIn = (sent: readonly Sent[]) => sent.flatMap((message) => ("entries" in message ? message.entries : []));

it("sends the receipts again that the log lacks, until it has them all", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  const sent = await captureQueue(bank);
  const bodies: string[] = [];
  for (let job = 0; job < 3; job++) bodies.push(await post(bank, (await hold(bank)).job));

  expect(await ring(bank)).toBe(true);
  expect(receiptsIn(sent)).toEqual(bodies);
  await deliver(sent.splice(0));

  expect(await ring(bank)).toBe(true);
  expect(sent).toEqual([]);
  expect(await nextAlarm(bank)).toBeNull();
  expect(await ring(bank)).toBe(false);
});

it("sends only what is missing, and not what may still be on its way", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  const sent = await captureQueue(bank);
  const bodies: string[] = [];
  for (let job = 0; job < 3; job++) bodies.push(await post(bank, (await hold(bank)).job));
  await ring(bank);
  const receipts = sent.splice(0).flatMap((message) => ("receipts" in message ? message.receipts : []));
  await deliver([{ v: 1, receipts: receipts.filter((_, index) => index !== 1) }]);

  vi.setSystemTime(Date.now() + LIMITS.accountAlarmMs);
  await post(bank, (await hold(bank)).job);
  await runDurableObjectAlarm(bank.stub);
  expect(receiptsIn(sent)).toEqual([bodies[1]]);
  expect(await nextAlarm(bank)).not.toBeNull();
});

it("sends entries that are no receipts to the journal, until it has them all", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  const sent = await captureQueue(bank);
  await bank.rpc.credit(creditOf({ id: "short", expiresAt: Date.now() + 1_000 }));
  await bank.rpc.void((await hold(bank)).job, "declined");
  await ring(bank);
  expect(entriesIn(sent).map(({ account, type }) => [account, type])).toEqual([
    [bank.account, "bonus"],
    [bank.account, "bonus"],
  ]);
  // The queue loses what it was given; what has expired meanwhile was too young to be asked for.
  sent.splice(0);
  await ring(bank);
  const again = entriesIn(sent).map(({ type }) => type);
  expect(again).toEqual(["bonus", "bonus", "expiry"]);
  await deliver(sent.splice(0));
  await ring(bank);
  expect(sent).toEqual([]);
  expect(await nextAlarm(bank)).toBeNull();
});

it("goes on at once where a reading did not cover what happened in between", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000_000 });
  const sent = await captureQueue(bank);
  for (let job = 0; job < LIMITS.reemitReceipts; job++) {
    await bank.rpc.credit(creditOf({ id: `entry ${job}`, amount: 1 }));
  }
  const last = await post(bank, (await hold(bank)).job);
  await ring(bank);
  expect(receiptsIn(sent)).toEqual([]);
  expect(entriesIn(sent)).toHaveLength(LIMITS.reemitReceipts);
  expect(await nextAlarm(bank)).toBeLessThanOrEqual(Date.now() + 1_000);
  await runDurableObjectAlarm(bank.stub);
  // What was sent a moment ago is on its way, and not missing.
  expect(entriesIn(sent)).toHaveLength(LIMITS.reemitReceipts + 1);
  expect(receiptsIn(sent)).toEqual([last]);
});

it("comes back when D1 or the queue is away", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  const body = await post(bank, (await hold(bank)).job);
  const away = { send: () => Promise.reject(new Error("the queue is away")) };
  await withBindings(bank, { RECEIPTS: away as unknown as Queue });
  expect(await ring(bank)).toBe(true);
  expect(await nextAlarm(bank)).toBeGreaterThan(Date.now());
  const sent = await captureQueue(bank);
  await ring(bank);
  expect(receiptsIn(sent)).toEqual([body]);
});

it("ends open holds whose time is over, though nobody asks", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  await hold(bank);
  await ring(bank);
  expect((await entries(bank)).map(({ type }) => type)).toEqual(["bonus", "hold_expired"]);
  expect(await balance(bank)).toEqual({ available: 1_000_000, held: 0 });
});

it("sets its alarm again when it starts without one and something is open", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  await hold(bank);
  await inside(bank, ({ storage }) => storage.deleteAlarm());
  await evictDurableObject(bank.stub);
  await balance(bank);
  await vi.waitFor(async () => expect(await nextAlarm(bank)).not.toBeNull());
});

it("lets the journal wait where an alarm finds an account whose name it was never told, until somebody calls", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  // As in an account from before names were kept.
  await inside(bank, ({ storage }) => {
    storage.sql.exec("DELETE FROM settings WHERE name = 'account'");
  });
  let sent = await captureQueue(bank);
  await ring(bank);
  expect(sent).toEqual([]);

  await evictDurableObject(bank.stub);
  await balance(bank);
  sent = await captureQueue(bank);
  expect(await ring(bank)).toBe(true);
  expect(entriesIn(sent)).toMatchObject([{ account: bank.account, type: "bonus" }]);
});
