import { expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { balance, codeOf, count, creditOf, entries, hold, holdOf, inside, JOB_PRICE, jobOf, openBank } from "./bank.ts";

it("reserves the worst case and nothing else", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const held = await hold(bank);
  expect(held).toMatchObject({ price: JOB_PRICE, held: JOB_PRICE, remaining: 1_000_000 - JOB_PRICE, unbacked: true });
  expect(await balance(bank)).toEqual({ available: 1_000_000 - JOB_PRICE, held: JOB_PRICE });
});

it("answers a repeated hold as the first time, and holds once", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const request = holdOf(bank);
  const first = await bank.rpc.hold(request);
  const again = await Promise.all(Array.from({ length: 20 }, () => bank.rpc.hold(request)));
  expect(again).toEqual(Array.from({ length: 20 }, () => first));
  expect(await balance(bank)).toEqual({ available: 1_000_000 - JOB_PRICE, held: JOB_PRICE });
  expect(await inside(bank, (state) => count(state, "holds"))).toBe(1);
});

it("holds exactly thirty of a hundred parallel jobs on a balance for thirty", async () => {
  const bank = await openBank({ bonus: 30 * JOB_PRICE });
  const results = await Promise.all(Array.from({ length: 100 }, () => bank.rpc.hold(holdOf(bank))));
  expect(results.filter((result) => result.type === "held")).toHaveLength(30);
  expect(results.filter((result) => result.type === "soft_stop")).toHaveLength(70);
  const remaining = results.flatMap((result) => (result.type === "held" ? [result.remaining] : []));
  expect(Math.min(...remaining)).toBe(0);
  expect(await balance(bank)).toEqual({ available: 0, held: 30 * JOB_PRICE });
});

it("says what is missing, keeps the refusal, and repeats it even when the money has come", async () => {
  const bank = await openBank({ bonus: JOB_PRICE - 1 });
  const request = holdOf(bank);
  const first = await bank.rpc.hold(request);
  expect(first).toMatchObject({
    type: "soft_stop",
    stop: { required: JOB_PRICE, balance: JOB_PRICE - 1, shortfall: 1 },
    refusal: { code: "insufficient_credits" },
  });
  await bank.rpc.credit(creditOf({ id: "more", amount: 1_000_000 }));
  expect(await bank.rpc.hold(request)).toEqual(first);
  expect((await bank.rpc.hold(holdOf(bank))).type).toBe("held");
});

it("serves nobody below the minimum balance", async () => {
  const bank = await openBank({ bonus: 4_999 });
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { completion: 1 })))).toBe("below_minimum_balance");
});

it("caps a completion that the request does not name at what the balance affords, but not under 256", async () => {
  const bank = await openBank({ bonus: 100 * 80 });
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { completion: null })))).toBe("insufficient_credits");
  await bank.rpc.credit(creditOf({ id: "more", amount: 200 * 80 + 79 }));
  const request = { completion: null, completionDefault: 2_000 };
  expect(await hold(bank, request)).toMatchObject({ completionCap: 300, price: 300 * 80, remaining: 79 });
});

it("gives back what expired holds reserved to the very next hold", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: JOB_PRICE });
  const { expiresAt } = await hold(bank);
  expect(codeOf(await bank.rpc.hold(holdOf(bank)))).toBe("below_minimum_balance");
  vi.setSystemTime(expiresAt);
  expect(codeOf(await bank.rpc.hold(holdOf(bank)))).toBe("held");
  expect((await entries(bank)).map(({ type }) => type)).toEqual(["bonus", "hold_expired"]);
});

it("never holds from a lot that has expired", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank();
  const expiresAt = Date.now() + 1_000;
  await bank.rpc.credit(creditOf({ amount: JOB_PRICE, expiresAt }));
  vi.setSystemTime(expiresAt);
  expect(codeOf(await bank.rpc.hold(holdOf(bank)))).toBe("below_minimum_balance");
});

it("has a bound on open jobs", async () => {
  const bank = await openBank({ bonus: 1_000_000_000 });
  const holds = Array.from({ length: LIMITS.openHolds }, () => bank.rpc.hold(holdOf(bank, { completion: 1 })));
  expect((await Promise.all(holds)).every((result) => result.type === "held")).toBe(true);
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { completion: 1 })))).toBe("concurrency_limit");
}, 60_000);

it("refuses a job id from another time, also when its own clock has gone back", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  const wrong = jobOf(undefined, Date.now() - LIMITS.clockSkewMs - 1);
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { job: wrong })))).toBe("internal_error");
  // What was recorded at a later time must not hide a new hold from the next start, which reads by the ids' times.
  await hold(bank);
  vi.setSystemTime(Date.now() - LIMITS.clockSkewMs - 1);
  expect(codeOf(await bank.rpc.hold(holdOf(bank)))).toBe("internal_error");
});
