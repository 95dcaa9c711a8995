import { expect, it, vi } from "vitest";
import { hashText } from "../../../core/receipt/canonical.ts";
import type { HoldRequest } from "../../../protocol/internal/account.ts";
import { type Bank, balance, codeOf, hold, holdOf, JOB_PRICE, jobOf, openBank, post } from "./bank.ts";

let calls = 0;

/** A hold with an Idempotency-Key, as each new call of a gateway makes it. */
function keyedHold(bank: Bank, key = "key", changes: Partial<HoldRequest> = {}): HoldRequest {
  return holdOf(bank, { job: jobOf(key), keyed: `call ${calls++}`, ...changes });
}

it("refuses the same key while its job runs", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { job } = await hold(bank, keyedHold(bank));
  const second = await bank.rpc.hold(keyedHold(bank));
  expect(second).toMatchObject({ type: "refused", refusal: { code: "in_progress", metadata: { job } } });
  expect((await bank.rpc.hold(keyedHold(bank, "other"))).type).toBe("held");
});

it("lets one of twenty calls through that came in the same millisecond with the same key", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  const results = await Promise.all(Array.from({ length: 20 }, () => bank.rpc.hold(keyedHold(bank))));
  expect(results.map(codeOf).toSorted()).toEqual(["held", ...Array.from({ length: 19 }, () => "in_progress")]);
  expect(await balance(bank)).toMatchObject({ held: JOB_PRICE });
});

it("still takes a repetition of one call for what it is", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const request = keyedHold(bank);
  const results = await Promise.all(Array.from({ length: 20 }, () => bank.rpc.hold(request)));
  expect(results.map(codeOf)).toEqual(Array.from({ length: 20 }, () => "held"));
  expect(await balance(bank)).toMatchObject({ held: JOB_PRICE });
});

it("names the receipt of a key whose job was answered", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { job } = await hold(bank, keyedHold(bank));
  await post(bank, job);
  expect(await bank.rpc.hold(keyedHold(bank))).toMatchObject({
    type: "refused",
    refusal: { code: "already_completed", metadata: { job, receipt: job, outcome: "completed" } },
  });
});

it.each(["at another time", "in the same millisecond"])("refuses another body with the same key %s", async (when) => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  await hold(bank, keyedHold(bank));
  if (when === "at another time") vi.setSystemTime(Date.now() + 1);
  const other = keyedHold(bank, "key", { body: hashText("another request") });
  expect(codeOf(await bank.rpc.hold(other))).toBe("idempotency_mismatch");
});

it("lets a key be used again after its job was voided, refused or expired", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: JOB_PRICE });
  const first = await hold(bank, keyedHold(bank));
  await bank.rpc.void(first.job, "declined");
  vi.setSystemTime(Date.now() + 1);
  expect(codeOf(await bank.rpc.hold(keyedHold(bank, "key", { completion: 2_000 })))).toBe("insufficient_credits");
  vi.setSystemTime(Date.now() + 1);
  const third = await hold(bank, keyedHold(bank));
  vi.setSystemTime(third.expiresAt);
  const fourth = await hold(bank, keyedHold(bank));
  await post(bank, fourth.job);
  vi.setSystemTime(Date.now() + 1);
  expect(codeOf(await bank.rpc.hold(keyedHold(bank)))).toBe("already_completed");
  expect(await balance(bank)).toEqual({ available: 0, held: 0 });
});

it("knows a key from before midnight UTC, and has forgotten it a day later", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2026, 10, 22, 23, 59, 59, 999) });
  const bank = await openBank({ bonus: 1_000_000 });
  const { job } = await hold(bank, keyedHold(bank));
  vi.setSystemTime(Date.UTC(2026, 10, 23));
  expect(codeOf(await bank.rpc.hold(keyedHold(bank)))).toBe("in_progress");
  await post(bank, job);
  expect(codeOf(await bank.rpc.hold(keyedHold(bank)))).toBe("already_completed");
  vi.setSystemTime(Date.UTC(2026, 10, 24));
  expect(codeOf(await bank.rpc.hold(keyedHold(bank)))).toBe("held");
});
