import { evictDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import { entries, factsOf, hold, openBank } from "./bank.ts";

it("lets an earlier attempt neither post nor void a job that a later one has", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { job } = await hold(bank);
  expect(await bank.rpc.advance(job, 7)).toBe(true);
  expect(await bank.rpc.post({ ...factsOf(job), fence: 6 })).toEqual({ type: "refused", reason: "superseded" });
  expect(await bank.rpc.void(job, "lease_lapsed", 6)).toEqual({ type: "superseded" });
  expect(await bank.rpc.advance(job, 6)).toBe(false);
  expect(await bank.rpc.post({ ...factsOf(job), fence: 7 })).toMatchObject({ type: "posted" });
});

it("lets nobody post beside the attempt that has won, not even one that was granted later", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { job } = await hold(bank);
  expect(await bank.rpc.advance(job, 7)).toBe(true);
  expect(await bank.rpc.post({ ...factsOf(job), fence: 8 })).toEqual({ type: "refused", reason: "superseded" });
  expect(await bank.rpc.post({ ...factsOf(job), fence: 7 })).toMatchObject({ type: "posted" });
});

it("remembers the later attempt through an eviction, and forgets it with the job", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { job } = await hold(bank);
  await bank.rpc.advance(job, 7);
  await evictDurableObject(bank.stub);
  expect(await bank.rpc.void(job, "lease_lapsed", 6)).toEqual({ type: "superseded" });
  expect(await bank.rpc.void(job, "lease_lapsed", 7)).toEqual({ type: "voided" });
  expect(await bank.rpc.advance(job, 8)).toBe(false);
  expect((await entries(bank)).map((entry) => entry.type)).toEqual(["bonus", "void"]);
});

it("lets whoever owns a job between attempts void it", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { job } = await hold(bank);
  await bank.rpc.advance(job, 7);
  expect(await bank.rpc.void(job, "consumer_gone")).toEqual({ type: "voided" });
});
