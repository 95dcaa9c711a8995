import { evictDurableObject } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { balance, creditOf, factsOf, foldOf, hold, holdOf, openBank, post } from "./bank.ts";
import { verifyChain } from "./chain.ts";

it("chains entries of every kind", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  await bank.rpc.credit(creditOf({ id: "paid", kind: "topup", backing: "usdc" }));
  await bank.rpc.credit(creditOf({ id: "short", expiresAt: Date.now() + 1_000, memo: "a\n\u{1F600}é" }));
  await post(bank, (await hold(bank)).job);
  await bank.rpc.void((await hold(bank)).job, "declined");
  const late = await hold(bank);
  vi.setSystemTime(late.expiresAt);
  await post(bank, late.job);
  const types = ["bonus", "topup", "bonus", "spent", "void", "hold_expired", "expiry", "spent"];
  expect(await verifyChain(bank)).toEqual(types);
});

it("is the same after an eviction between any two steps", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  const [first, second, third] = [holdOf(bank), holdOf(bank), holdOf(bank)];
  const steps: (() => Promise<unknown>)[] = [
    () => bank.rpc.hold(first),
    () => bank.rpc.hold(second),
    () => bank.rpc.hold(holdOf(bank, { completion: 1_000_000 })),
    () => bank.rpc.credit(creditOf({ id: "paid", kind: "topup", backing: "usdc" })),
    () => bank.rpc.post(factsOf(second.job)),
    () => bank.rpc.hold(third),
    () => bank.rpc.void(first.job, "declined"),
    () => Promise.resolve(vi.setSystemTime(third.expiresAt)),
    () => balance(bank),
    () => bank.rpc.post(factsOf(third.job)),
  ];
  for (const step of steps) {
    await step();
    const before = await balance(bank);
    const folded = await foldOf(bank);
    await evictDurableObject(bank.stub);
    expect(await foldOf(bank)).toBe(folded);
    expect(await balance(bank)).toEqual(before);
  }
  await verifyChain(bank);
});

it("folds to the same state with its snapshot and without", async () => {
  const bank = await openBank({ bonus: 1_000_000_000 });
  const open = [await hold(bank)];
  // Some jobs are open while the snapshot is made, some are made and ended after it.
  const work = async (job: number): Promise<void> => {
    const held = await hold(bank, { completion: 1 + (job % 7) });
    if (job % 50 === 0) open.push(held);
    else await post(bank, held.job, { prompt: 0, completion: 1 });
  };
  for (let job = 0; job < LIMITS.snapshotEntries + 20; job += 19) {
    await Promise.all(Array.from({ length: 19 }, (_, index) => work(job + index)));
  }
  const folded = await foldOf(bank);
  expect(await foldOf(bank, false)).toBe(folded);
  const before = await balance(bank);
  await evictDurableObject(bank.stub);
  expect(await balance(bank)).toEqual(before);
  for (const { job } of open) await post(bank, job, { prompt: 0, completion: 1 });
  expect(await balance(bank)).toMatchObject({ held: 0 });
  expect(await foldOf(bank, false)).toBe(await foldOf(bank));
}, 60_000);
