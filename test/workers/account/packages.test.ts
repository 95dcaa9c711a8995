/** The slots that packages reserve, counted where holds are (economics.md §§8, 10). */

import { evictDurableObject } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import type { JobId } from "../../../core/ids.ts";
import type { CreditCommand, HeldTerms, HoldRequest } from "../../../protocol/internal/account.ts";
import { type Bank, codeOf, count, creditOf, hold, holdOf, inside, JOB_PRICE, openBank, post } from "./bank.ts";
import { heat, holdAt, openRich } from "./slices/hot-bank.ts";

/** The worst case of a job in `dedicated`: one and a half times the catalog's price. */
const HELD = 1.5 * JOB_PRICE;
const DAY = 24 * 3_600_000;

async function addPackage(bank: Bank, concurrency: number, changes: Partial<CreditCommand> = {}): Promise<void> {
  const lot = { id: "package", kind: "package", backing: "usdc", amount: 100 * HELD, concurrency } as const;
  const result = await bank.rpc.credit(creditOf({ ...lot, expiresAt: Date.now() + 30 * DAY, ...changes }));
  expect(result.type).toBe("credited");
}

/** A job that names no lane, as most do. */
const unnamed = (bank: Bank, changes: Partial<HoldRequest> = {}) => hold(bank, { lane: null, ...changes });

const takeBack = (bank: Bank, job: JobId) => bank.rpc.reverse({ job, reason: "test", by: ["a", "b"] });

async function slotsOf(bank: Bank): Promise<string | null> {
  const answer = await bank.rpc.balance(bank.credentials);
  if (!answer.ok) throw new Error(answer.refusal.code);
  const { packages } = answer.value;
  return packages && `${packages.inUse} of ${packages.slots}`;
}

const inSlots = (jobs: readonly HeldTerms[]) => jobs.filter(({ reserved }) => reserved).length;

it("gives a burst exactly the slots that there are, and runs the rest in the same lane", async () => {
  const bank = await openBank();
  await addPackage(bank, 5);
  const jobs = await Promise.all(Array.from({ length: 20 }, () => unnamed(bank)));
  expect(jobs.every(({ lane }) => lane === "dedicated")).toBe(true);
  expect(inSlots(jobs)).toBe(5);
  expect(await slotsOf(bank)).toBe("5 of 5");
  // Another burst while some end: what has become free is given once.
  const ending = jobs.filter(({ reserved }) => reserved).slice(0, 2);
  for (const { job } of ending) await bank.rpc.void(job, "declined");
  expect(inSlots(await Promise.all(Array.from({ length: 20 }, () => unnamed(bank))))).toBe(2);
});

it("knows after a restart what is in use, and tells a repeated call what it told the first one", async () => {
  const bank = await openBank();
  await addPackage(bank, 2);
  const requests = Array.from({ length: 4 }, () => holdOf(bank, { lane: null }));
  const told = async () => {
    const answers = await Promise.all(requests.map((request) => bank.rpc.hold(request)));
    return answers.map((answer) => answer.type === "held" && answer.reserved);
  };
  const first = await told();
  expect(first.filter(Boolean)).toHaveLength(2);
  expect(await told()).toEqual(first);
  await evictDurableObject(bank.stub);
  expect(await told()).toEqual(first);
  expect(await slotsOf(bank)).toBe("2 of 2");
  expect(await inside(bank, (state) => count(state, "holds"))).toBe(4);
  // One that had no slot has none later: what it was told stands in its row.
  const [job] = requests.filter((_, index) => first[index]).map((request) => request.job);
  await bank.rpc.void(job as JobId, "declined");
  await evictDurableObject(bank.stub);
  expect((await told()).filter(Boolean)).toHaveLength(1);
  expect([await slotsOf(bank), (await unnamed(bank)).reserved]).toEqual(["1 of 2", true]);
});

it("frees a slot once, however a job ends and however often that is said", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank();
  await addPackage(bank, 3);
  const [posted, voided, expired] = [
    await unnamed(bank),
    await unnamed(bank),
    await unnamed(bank, { expiresAt: Date.now() + 60_000 }),
  ];
  const beyond = await unnamed(bank);
  expect(inSlots([posted, voided, expired, beyond])).toBe(3);
  // A job that moves to another daemon stays one job.
  expect(await bank.rpc.advance(voided.job, 2)).toBe(true);
  expect(await slotsOf(bank)).toBe("3 of 3");
  for (let time = 0; time < 3; time++) {
    await post(bank, posted.job);
    expect(await slotsOf(bank)).toBe("2 of 3");
  }
  for (let time = 0; time < 3; time++) {
    await bank.rpc.void(voided.job, "declined", 2);
    expect(await slotsOf(bank)).toBe("1 of 3");
  }
  // An attempt that lost its job, and the end of a job without a slot, free none.
  await bank.rpc.void(expired.job, "late", -1);
  await bank.rpc.void(beyond.job, "declined");
  vi.setSystemTime(Date.now() + 60_000);
  expect(await slotsOf(bank)).toBe("0 of 3");
  await post(bank, expired.job);
  expect(await slotsOf(bank)).toBe("0 of 3");
  expect(inSlots(await Promise.all(Array.from({ length: 6 }, () => unnamed(bank))))).toBe(3);
});

it("adds packages up, and lets jobs that outlast theirs count until they end", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank();
  await addPackage(bank, 2, { expiresAt: Date.now() + DAY });
  await addPackage(bank, 1, { id: "renewed" });
  const lives = { expiresAt: Date.now() + 2 * DAY };
  const jobs = await Promise.all(Array.from({ length: 4 }, () => unnamed(bank, lives)));
  expect([inSlots(jobs), await slotsOf(bank)]).toEqual([3, "3 of 3"]);
  vi.setSystemTime(Date.now() + DAY);
  expect(await slotsOf(bank)).toBe("3 of 1");
  expect(await unnamed(bank)).toMatchObject({ lane: "dedicated", reserved: false });
  const running = jobs.filter(({ reserved }) => reserved);
  for (const { job } of running.slice(0, 2)) await post(bank, job);
  expect([await slotsOf(bank), (await unnamed(bank)).reserved]).toEqual(["1 of 1", false]);
  for (const { job } of running.slice(2)) await post(bank, job);
  expect([await slotsOf(bank), (await unnamed(bank)).reserved]).toEqual(["0 of 1", true]);
  vi.setSystemTime(Date.now() + 29 * DAY);
  await evictDurableObject(bank.stub);
  expect(await slotsOf(bank)).toBeNull();
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { lane: "dedicated" })))).toBe("lane_unavailable");
});

it("keeps a package live until nothing of it is left, not even held, and again after a reversal", async () => {
  const bank = await openBank();
  await addPackage(bank, 2, { amount: JOB_PRICE });
  const { job } = await unnamed(bank, { mostBasisPoints: 10_000 });
  expect(await slotsOf(bank)).toBe("1 of 2");
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { lane: "dedicated" })))).toBe("below_minimum_balance");
  await post(bank, job);
  expect(await slotsOf(bank)).toBeNull();
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { lane: "dedicated" })))).toBe("lane_unavailable");
  await takeBack(bank, job);
  expect(await slotsOf(bank)).toBe("0 of 2");
  expect((await unnamed(bank, { mostBasisPoints: 10_000 })).reserved).toBe(true);
});

it("says in an estimate whether a slot is free, and takes none", async () => {
  const bank = await openBank();
  await addPackage(bank, 1);
  const estimate = (changes: Partial<HoldRequest> = {}) => bank.rpc.estimate(holdOf(bank, { lane: null, ...changes }));
  for (let time = 0; time < 2; time++) {
    expect(await estimate()).toMatchObject({ lane: "dedicated", reserved: true, slots: { slots: 1, inUse: 0 } });
  }
  await unnamed(bank);
  expect(await estimate()).toMatchObject({ lane: "dedicated", reserved: false, slots: { slots: 1, inUse: 1 } });
  expect(await estimate({ lane: "public" })).toMatchObject({ lane: "public", reserved: false, slots: null });
});

it.each([
  ["comes", async (bank: Bank) => await addPackage(bank, 1)],
  ["comes back", async (bank: Bank, job: JobId) => await takeBack(bank, job)],
])("takes jobs that name no lane back from slices when a package %s", async (_, come) => {
  const bank = await openRich(2_000);
  await addPackage(bank, 1, { id: "used up", amount: JOB_PRICE });
  const { job } = await unnamed(bank, { mostBasisPoints: 10_000 });
  await post(bank, job);
  await heat(bank);
  expect((await holdAt(bank, 1, { lane: null })).answer).toMatchObject({ type: "held", lane: "public" });
  await come(bank, job);
  await vi.waitFor(async () => {
    expect((await holdAt(bank, 1, { lane: null })).answer.type).toBe("elsewhere");
  });
  // No slice decides a job of `dedicated`, whatever its lease.
  expect((await holdAt(bank, 1, { lane: "dedicated" })).answer.type).toBe("elsewhere");
  expect(await unnamed(bank, { mostBasisPoints: 10_000 })).toMatchObject({ lane: "dedicated", reserved: true });
});
