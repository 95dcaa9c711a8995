import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import type { JobId } from "../../../core/ids.ts";
import type { ReceiptBody } from "../../../core/receipt/body.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import { imbalances, rollUp } from "../../../core/receipt/rollup.ts";
import { signReceipt } from "../../../durable-objects/shared/receipt-queue.ts";
import { verifyReceipt } from "../../../protocol/receipt.ts";
import { type Bank, balance, creditOf, entries, foldOf, hold, openBank, post } from "./bank.ts";

const BY = ["alice", "bob"];

/** A job of 500 tokens (40 credits) that a bonus of 10 and a top-up pay. */
async function openPaid(): Promise<{ bank: Bank; job: JobId; body: string }> {
  const bank = await openBank();
  await bank.rpc.credit(creditOf({ id: "gift", amount: 10_000, expiresAt: Date.now() + 60_000 }));
  await bank.rpc.credit(creditOf({ id: "paid", kind: "topup", backing: "usdc", amount: 100_000 }));
  const { job } = await hold(bank);
  return { bank, job, body: await post(bank, job, { prompt: 0, completion: 500 }) };
}

const reverse = (bank: Bank, job: JobId) => bank.rpc.reverse({ job, reason: "the answer was empty", by: BY });

it("brings every unit back to the lot it came from, by a receipt of its own that anyone can verify", async () => {
  const { bank, job, body } = await openPaid();
  expect((await balance(bank)).available).toBe(70_000);
  const result = await reverse(bank, job);
  if (result.type !== "reversed") throw new Error(result.refusal.code);
  const lots = await bank.rpc.balance(bank.credentials);
  expect(lots).toMatchObject({
    value: {
      lots: [
        { id: "paid", available: 100_000 },
        { id: "gift", available: 10_000 },
      ],
    },
  });
  const [before, after] = [body, result.body].map((text) => JSON.parse(text) as ReceiptBody);
  expect(after).toMatchObject({
    job,
    n: 1,
    outcome: "reversed",
    charge: { nano_usd: -40_000, millicredits: -40_000 },
    reversal: { of: hashText(body), by: BY, reason: "the answer was empty" },
  });
  // Both together charge nobody and owe nobody.
  const sums = rollUp([before, after] as ReceiptBody[], 0);
  expect(imbalances(sums)).toEqual([]);
  expect(sums.every(({ nano_usd, millicredits }) => nano_usd === 0 && millicredits === 0)).toBe(true);
  const { ok, checks } = verifyReceipt(await signReceipt(env, result.body));
  expect(checks.filter((check) => !check.ok)).toEqual([]);
  expect(ok).toBe(true);
});

it("takes a receipt back once, however often it is asked to, and leaves the first one as it was", async () => {
  const { bank, job, body } = await openPaid();
  const results = await Promise.all(Array.from({ length: 5 }, () => reverse(bank, job)));
  await evictDurableObject(bank.stub);
  results.push(await reverse(bank, job));
  expect(new Set(results.map((each) => (each.type === "reversed" ? each.body : "refused"))).size).toBe(1);
  expect((await balance(bank)).available).toBe(110_000);
  const chain = await entries(bank);
  expect(chain.map(({ type }) => type)).toEqual(["bonus", "topup", "spent", "adjustment"]);
  expect(chain[2]?.body).toBe(body);
  let previous = "0".repeat(64);
  for (const entry of chain) {
    expect(JSON.parse(entry.body)).toMatchObject({ seq: entry.seq, previous });
    previous = hashText(entry.body);
  }
  expect(await foldOf(bank)).toBe(await foldOf(bank, false));
});

it("lets what comes back to a lot whose time is over expire at once", async () => {
  vi.useFakeTimers();
  const { bank, job } = await openPaid();
  vi.setSystemTime(Date.now() + 120_000);
  expect((await reverse(bank, job)).type).toBe("reversed");
  expect((await balance(bank)).available).toBe(100_000);
  expect((await entries(bank)).map(({ type }) => type)).toEqual(["bonus", "topup", "spent", "adjustment", "expiry"]);
});

it("has nothing to take back of a job that charged nothing, or that there was not", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const open = await hold(bank);
  const voided = await hold(bank);
  await bank.rpc.void(voided.job, "test");
  const failed = await hold(bank);
  await post(bank, failed.job, { prompt: 0, completion: 9 }, "failed");
  for (const { job } of [open, voided, failed, { job: "0".repeat(22) as JobId }]) {
    expect(await reverse(bank, job)).toMatchObject({ refusal: { code: "nothing_to_reverse" } });
  }
});
