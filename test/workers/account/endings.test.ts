import { expect, it, vi } from "vitest";
import type { JobId } from "../../../core/ids.ts";
import type { ReceiptBody } from "../../../core/receipt/body.ts";
import { verifyReceipt } from "../../../protocol/receipt.ts";
import { signText } from "../../support/receipts.ts";
import { balance, count, creditOf, entries, factsOf, hold, inside, JOB_PRICE, jobOf, openBank, post } from "./bank.ts";

const bodyOf = (text: string) => JSON.parse(text) as ReceiptBody;

it("charges what the receipt says, releases the rest, and leaves a receipt that verifies", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { job } = await hold(bank, { promptBound: 100 });
  const text = await post(bank, job, { prompt: 40, completion: 500 });
  const { charge, split, price } = bodyOf(text);
  expect(charge).toMatchObject({ nano_usd: 40 * 20 + 500 * 80, millicredits: 40_800 });
  expect(price.hold).toBe(100 * 20 + 1_000 * 80);
  expect(split.reduce((total, line) => total + line.millicredits, 0)).toBe(40_800);
  expect(await balance(bank)).toEqual({ available: 1_000_000 - 40_800, held: 0 });
  expect(verifyReceipt(signText(text))).toMatchObject({ ok: true });
});

it("never charges more than the hold, whatever is posted", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { job } = await hold(bank);
  const { charge } = bodyOf(await post(bank, job, { prompt: 0, completion: 5_000 }));
  expect(charge.nano_usd).toBe(JOB_PRICE);
  expect(await balance(bank)).toEqual({ available: 1_000_000 - JOB_PRICE, held: 0 });
});

it("draws bonus before top-up, and splits each part in its own backing", async () => {
  const bank = await openBank({ bonus: 30_000 });
  await bank.rpc.credit(creditOf({ id: "paid", kind: "topup", backing: "usdc", amount: 70_000 }));
  const { job, remaining } = await hold(bank);
  expect(remaining).toBe(20_000);
  const text = await post(bank, job);
  const { charge, split } = bodyOf(text);
  expect(charge.parts).toEqual([
    { kind: "bonus", backing: "none", nano_usd: 30_000, millicredits: 30_000 },
    { kind: "topup", backing: "usdc", nano_usd: 50_000, millicredits: 0 },
  ]);
  const sum = (unit: "nano_usd" | "millicredits") => split.reduce((total, line) => total + line[unit], 0);
  expect([sum("millicredits"), sum("nano_usd")]).toEqual([30_000, 50_000]);
  expect(await balance(bank)).toEqual({ available: 20_000, held: 0 });
  expect(verifyReceipt(signText(text))).toMatchObject({ ok: true });
});

it("posts once, however often and in whatever company it is asked to", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { job } = await hold(bank);
  const facts = Array.from({ length: 20 }, (_, index) => factsOf(job, { prompt: 0, completion: 1_000 - index }));
  const results = await Promise.all(facts.map((each) => bank.rpc.post(each)));
  expect(new Set(results.map((result) => JSON.stringify(result)))).toHaveLength(1);
  expect(await inside(bank, (state) => count(state, "entries"))).toBe(2);
  expect(await balance(bank)).toEqual({ available: 1_000_000 - JOB_PRICE, held: 0 });
});

it("voids once, and a post that comes later is refused and moves nothing", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { job } = await hold(bank);
  const voids = await Promise.all(Array.from({ length: 20 }, () => bank.rpc.void(job, "declined")));
  expect(voids).toEqual(Array.from({ length: 20 }, () => ({ type: "voided" })));
  expect(await bank.rpc.post(factsOf(job))).toEqual({ type: "refused", reason: "voided" });
  expect((await entries(bank)).map(({ type }) => type)).toEqual(["bonus", "void"]);
  expect(await balance(bank)).toEqual({ available: 1_000_000, held: 0 });
});

it("leaves a posted job posted when somebody voids it", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { job } = await hold(bank);
  const body = await post(bank, job);
  expect(await bank.rpc.void(job, "late")).toEqual({ type: "already_posted", body });
  expect(await balance(bank)).toEqual({ available: 1_000_000 - JOB_PRICE, held: 0 });
});

it("ends a job once when twenty posts and twenty voids race", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { job } = await hold(bank);
  const race = Array.from({ length: 40 }, (_, index) =>
    index % 2 === 0 ? bank.rpc.post(factsOf(job)) : bank.rpc.void(job, "race"),
  );
  const ends = await Promise.all<{ type: string }>(race);
  expect(new Set(ends.map((end) => end.type))).toHaveLength(2);
  expect(await inside(bank, (state) => count(state, "entries"))).toBe(2);
  const { available, held } = await balance(bank);
  expect([1_000_000 - JOB_PRICE, 1_000_000]).toContain(available);
  expect(held).toBe(0);
});

it("leaves a receipt that charges nothing when the post comes after the hold's end", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ bonus: 1_000_000 });
  const { job, expiresAt } = await hold(bank);
  vi.setSystemTime(expiresAt);
  const text = await post(bank, job);
  expect(bodyOf(text)).toMatchObject({ outcome: "expired", charge: { nano_usd: 0, millicredits: 0, parts: [] } });
  expect(verifyReceipt(signText(text))).toMatchObject({ ok: true });
  expect(await post(bank, job)).toBe(text);
  expect(await bank.rpc.void(job, "late")).toEqual({ type: "already_posted", body: text });
  expect((await entries(bank)).map(({ type }) => type)).toEqual(["bonus", "hold_expired", "spent"]);
  expect(await balance(bank)).toEqual({ available: 1_000_000, held: 0 });
});

it("lets what a hold releases expire with its lot", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank();
  const expiresAt = Date.now() + 1_000;
  await bank.rpc.credit(creditOf({ amount: 100_000, expiresAt }));
  const { job } = await hold(bank);
  vi.setSystemTime(expiresAt);
  expect(await balance(bank)).toEqual({ available: 0, held: JOB_PRICE });
  await post(bank, job, { prompt: 0, completion: 100 });
  expect(await balance(bank)).toEqual({ available: 0, held: 0 });
  const bodies = (await entries(bank)).map(({ body }) => JSON.parse(body) as { type?: string; millicredits?: number });
  const expired = bodies.flatMap(({ type, millicredits = 0 }) => (type === "expiry" ? [millicredits] : []));
  // 100,000 were credited and 8,000 charged: 20,000 were never held, 72,000 came back too late.
  expect(expired).toEqual([20_000, 72_000]);
});

it.each(["failed", "unverified"] as const)("charges nothing for a job that %s", async (outcome) => {
  const bank = await openBank({ bonus: 1_000_000 });
  const { job } = await hold(bank);
  expect(bodyOf(await post(bank, job, undefined, outcome)).charge.nano_usd).toBe(0);
  expect(await balance(bank)).toEqual({ available: 1_000_000, held: 0 });
});

it("knows nothing of a job that it never held", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const job = jobOf();
  expect(await bank.rpc.post(factsOf(job))).toEqual({ type: "refused", reason: "unknown_job" });
  expect(await bank.rpc.void(job, "nothing")).toEqual({ type: "unknown_job" });
  expect(await bank.rpc.job(bank.credentials, job, ["read"])).toEqual({ ok: true, value: { type: "unknown" } });
});

it("tells what became of each job", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const [open, posted, voided] = [await hold(bank), await hold(bank), await hold(bank)];
  const body = await post(bank, posted.job);
  await bank.rpc.void(voided.job, "declined");
  const record = async (job: JobId) => {
    const answer = await bank.rpc.job(bank.credentials, job, ["read"]);
    return answer.ok ? answer.value : answer.refusal;
  };
  expect(await record(open.job)).toMatchObject({ type: "open", expiresAt: open.expiresAt });
  expect(await record(posted.job)).toMatchObject({ type: "posted", body });
  expect(await record(voided.job)).toMatchObject({ type: "voided", reason: "declined" });
});
