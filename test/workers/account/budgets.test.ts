import { evictDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import type { KeyId } from "../../../core/ids.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import type { Credentials, NewKey } from "../../../protocol/internal/account.ts";
import { idOf } from "../../support/receipts.ts";
import { type Bank, balance, codeOf, creditOf, factsOf, holdOf, JOB_PRICE, openBank } from "./bank.ts";

/** Another key of an account. */
async function keyFor(bank: Bank, changes: Partial<NewKey> = {}): Promise<Credentials & { id: KeyId }> {
  const secretHash = hashText(`secret of ${changes.name ?? "key"}`);
  const id = idOf(`key ${changes.name ?? "key"}`) as unknown as KeyId;
  const made = await bank.rpc.createKey(bank.credentials, { name: "key", ...changes, id, secretHash });
  if (!made.ok) throw new Error(JSON.stringify(made.refusal));
  return { secretHash, id };
}

const budgetFor = (jobs: number) => ({ nanoUsd: (jobs * JOB_PRICE) as never, reset: "daily" }) as const;

it("holds exactly three hundred of a thousand parallel jobs on a key with a budget for three hundred", async () => {
  const bank = await openBank({ bonus: 2_000 * JOB_PRICE });
  const credentials = await keyFor(bank, { budget: budgetFor(300) });
  const requests = Array.from({ length: 1_000 }, () => holdOf(bank, { credentials }));
  const codes = (await Promise.all(requests.map((request) => bank.rpc.hold(request)))).map(codeOf);
  expect(codes.filter((code) => code === "held")).toHaveLength(300);
  expect(codes.filter((code) => code === "budget_exceeded")).toHaveLength(700);
  expect(await balance(bank)).toEqual({ available: 1_700 * JOB_PRICE, held: 300 * JOB_PRICE });
}, 60_000);

it("counts what was charged, gives back what was not, and remembers both through an eviction", async () => {
  const bank = await openBank({ bonus: 100 * JOB_PRICE });
  const credentials = await keyFor(bank, { budget: budgetFor(2) });
  const begin = async () => {
    const request = holdOf(bank, { credentials });
    return { job: request.job, code: codeOf(await bank.rpc.hold(request)) };
  };
  const [first, second, third] = [await begin(), await begin(), await begin()];
  expect([first.code, second.code, third.code]).toEqual(["held", "held", "budget_exceeded"]);
  await bank.rpc.void(first.job, "test");
  await bank.rpc.post(factsOf(second.job, { prompt: 0, completion: 500 }));
  await evictDurableObject(bank.stub);
  const view = await bank.rpc.keys(bank.credentials);
  const [, key] = view.ok ? view.value : [];
  expect(key).toMatchObject({ spent: JOB_PRICE / 2, held: 0 });
  expect([(await begin()).code, (await begin()).code]).toEqual(["held", "budget_exceeded"]);
  // Another key of the same account is not bound by it.
  expect(codeOf(await bank.rpc.hold(holdOf(bank)))).toBe("held");
});

it("lets a key use its models only, and says which", async () => {
  const bank = await openBank({ bonus: JOB_PRICE });
  const credentials = await keyFor(bank, { models: ["maker/nine"] });
  const result = await bank.rpc.hold(holdOf(bank, { credentials }));
  expect(result).toMatchObject({ type: "refused", refusal: { code: "forbidden", param: "model" } });
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { credentials, model: "maker/nine" })))).toBe("held");
});

it("refuses an old secret at once when its overlap is over, and every secret of a revoked key", async () => {
  const bank = await openBank({ bonus: 10 * JOB_PRICE });
  const old = await keyFor(bank);
  const fresh = { secretHash: hashText("fresh") };
  const rotate = (id: string, secretHash: string, overlapMs: number) =>
    bank.rpc.rotateKey(bank.credentials, old.id, { id, secretHash, overlapMs });
  const hold = async (credentials: Credentials) => codeOf(await bank.rpc.hold(holdOf(bank, { credentials })));
  expect(await rotate("one", fresh.secretHash, 60_000)).toMatchObject({ ok: true });
  expect([await hold(old), await hold(fresh)]).toEqual(["held", "held"]);
  await evictDurableObject(bank.stub);
  expect([await hold(old), await hold(fresh)]).toEqual(["held", "held"]);
  await bank.rpc.revokeKey(bank.credentials, old.id);
  expect([await hold(old), await hold(fresh)]).toEqual(["invalid_api_key", "invalid_api_key"]);
  expect(await rotate("two", hashText("later"), 0)).toMatchObject({ refusal: { code: "key_not_found" } });
});

it("keeps a holder's allotment for itself until it names what it pays with", async () => {
  const bank = await openBank();
  const today = Date.now() + 60_000;
  const allotment = { id: "day", kind: "allotment", backing: "usdc", expiresAt: today, concurrency: 1 } as const;
  await bank.rpc.credit(creditOf({ ...allotment, amount: 2 * JOB_PRICE }));
  await bank.rpc.credit(creditOf({ id: "paid", kind: "topup", backing: "usdc", amount: 5 * JOB_PRICE }));
  const free = holdOf(bank, { lane: null });
  expect(await bank.rpc.hold(free)).toMatchObject({
    type: "held",
    lane: "included",
    allotment: { granted: 2 * JOB_PRICE, paid: [] },
  });
  expect(codeOf(await bank.rpc.hold(holdOf(bank, { lane: null })))).toBe("concurrency_limit");
  await bank.rpc.post(factsOf(free.job));
  const dear = { lane: null, completion: 2_000 };
  expect(codeOf(await bank.rpc.hold(holdOf(bank, dear)))).toBe("below_minimum_balance");
  const paid = await bank.rpc.hold(holdOf(bank, { ...dear, allowPaid: true }));
  expect(paid).toMatchObject({ type: "held", lane: "public", allotment: null });
  // Who has had its part of the allotment is named to the next job's pool.
  const next = await bank.rpc.hold(holdOf(bank, { lane: "included", completion: 500 }));
  expect(next).toMatchObject({ type: "held", allotment: { paid: [[expect.any(String), JOB_PRICE]] } });
});
