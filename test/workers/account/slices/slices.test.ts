import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import type { KeyId } from "../../../../core/ids.ts";
import { LIMITS } from "../../../../core/limits.ts";
import { hashText } from "../../../../core/receipt/canonical.ts";
import { AccountSlice } from "../../../../durable-objects/account-slice/index.ts";
import type { Lease } from "../../../../protocol/internal/slice.ts";
import { idOf } from "../../../support/receipts.ts";
import { type Bank, balance, codeOf, creditOf, entries, factsOf, holdOf, JOB_PRICE, openBank } from "../bank.ts";
import {
  BUSY,
  entriesOf,
  HEAT,
  heat,
  hintOf,
  holdAnywhere,
  holdAt,
  onTheWay,
  openRich,
  realLease,
  sliceJob,
  sliceOfBank,
  sumOfAll,
} from "./hot-bank.ts";

const WORTH = 2_000;
const ALL = { available: WORTH * JOB_PRICE, held: 0 };

/** Lets every lease run out, and lets the slices notice. */
async function lapse(bank: Bank, count: number): Promise<void> {
  vi.setSystemTime(Date.now() + LIMITS.sliceLeaseMs + 5_000);
  for (let slice = 1; slice <= count; slice++) await runDurableObjectAlarm(sliceOfBank(bank, slice).stub);
}

const isDrained = (bank: Bank) =>
  runInDurableObject(bank.stub, (_object, { storage }) =>
    storage.sql
      .exec<{ drained: number }>("SELECT drained FROM slices")
      .toArray()
      .every(({ drained }) => drained === 1),
  );

it("lends equal parts to slices, which hold and settle in chains of their own", async () => {
  const bank = await openRich(WORTH);
  const count = await heat(bank);
  expect(count).toBeGreaterThanOrEqual(2);
  expect(await balance(bank)).toEqual(ALL);
  const shares = await Promise.all(
    Array.from({ length: count }, (_, index) => sliceOfBank(bank, index + 1).rpc.report()),
  );
  const half = (WORTH * JOB_PRICE) / 2;
  // Earned credits pay first: those of the jobs that made the account hot were not free.
  const parts = [half - HEAT * JOB_PRICE, half].map((free) => Math.floor(free / (count + 1)));
  for (const { lots } of shares) {
    expect(lots.map(({ id, available }) => [id, available])).toEqual([
      ["earned", parts[0]],
      ["paid", parts[1]],
    ]);
  }

  const { job, answer } = await holdAt(bank, 1);
  expect(answer).toMatchObject({ type: "held", unbacked: true, remaining: (WORTH - HEAT - 1) * JOB_PRICE });
  expect(await balance(bank)).toEqual({ available: (WORTH - 1) * JOB_PRICE, held: JOB_PRICE });
  const posted = await sliceOfBank(bank, 1).rpc.post(factsOf(job));
  if (posted.type !== "posted") throw new Error("not posted");
  expect(JSON.parse(posted.body)).toMatchObject({ slice: 1, seq: 2, charge: { nano_usd: JOB_PRICE } });
  expect(await balance(bank)).toEqual({ available: (WORTH - 1) * JOB_PRICE, held: 0 });
  expect(await sumOfAll(bank)).toBe((WORTH - 1) * JOB_PRICE);
  expect((await entriesOf(sliceOfBank(bank, 1))).map(({ type }) => type)).toEqual(["slice", "spent"]);
  // The account's own chain says what left it, and no other account is named.
  expect((await entries(bank)).filter(({ type }) => type === "slice")).toHaveLength(count);
});

it("takes everything back when the leases run out, and asks nobody any more", async () => {
  const bank = await openRich(WORTH);
  const count = await heat(bank);
  const { job } = await holdAt(bank, 2);
  await lapse(bank, count);
  expect((await holdAt(bank, 1)).answer).toEqual({ type: "elsewhere" });
  expect(await isDrained(bank)).toBe(false);
  // What a job that outlived its lease gives back comes home too.
  await sliceOfBank(bank, 2).rpc.post(factsOf(job, { prompt: 0, completion: 500 }));
  await runDurableObjectAlarm(sliceOfBank(bank, 2).stub);
  expect(await isDrained(bank)).toBe(true);
  const left = (WORTH - 0.5) * JOB_PRICE;
  expect(await balance(bank)).toEqual({ available: left, held: 0 });
  expect(await sumOfAll(bank)).toBe(left);
  const own = await runInDurableObject(bank.stub, (_object, { storage }) =>
    storage.sql.exec("SELECT 1 FROM outbox").toArray(),
  );
  expect(own).toEqual([]);
});

it("holds exactly what the account has, wherever and however parallel it is asked", async () => {
  const worth = HEAT + 250;
  const bank = await openRich(worth);
  const count = await heat(bank);
  const answers = await Promise.all(
    Array.from({ length: 1_000 }, (_, index) => holdAnywhere(bank, index % (count + 1))),
  );
  const types = answers.map(({ answer }) => answer.type);
  expect(types.filter((type) => type === "held")).toHaveLength(worth);
  expect(types.filter((type) => type === "soft_stop")).toHaveLength(1_000 - worth);
  expect(await balance(bank)).toEqual({ available: 0, held: worth * JOB_PRICE });
}, 60_000);

it("calls in what is lent before it refuses a job or a transfer", async () => {
  const bank = await openRich(WORTH);
  const other = await openBank({ name: "other" });
  await heat(bank);
  const all = { completion: 1_000 * (WORTH - 1), expiresAt: Date.now() + 600_000 };
  const request = holdOf(bank, { ...all, job: sliceJob(0) });
  expect(await bank.rpc.estimate(request)).toMatchObject({ type: "estimated", stop: null });
  expect(codeOf(await bank.rpc.hold(request))).toBe("held");
  await bank.rpc.void(request.job, "test");
  vi.setSystemTime(Date.now() + LIMITS.sliceRenewMs + 1_000);
  await heat(bank);
  const command = { id: "t", from: bank.account, to: other.account, millicredits: ALL.available as never, memo: "" };
  expect(await bank.rpc.send(bank.credentials, command)).toMatchObject({ type: "sent", delivered: true });
  expect([await balance(bank), await balance(other)]).toEqual([{ available: 0, held: 0 }, ALL]);
});

it("answers a revocation once no slice lets the key in", async () => {
  const bank = await openRich(WORTH);
  const key = { id: idOf("app") as unknown as KeyId, name: "app", secretHash: hashText("app") };
  await bank.rpc.createKey(bank.credentials, key);
  await heat(bank);
  const credentials = { secretHash: key.secretHash };
  expect((await holdAt(bank, 1, { credentials })).answer.type).toBe("held");
  expect(await bank.rpc.revokeKey(bank.credentials, key.id)).toMatchObject({ ok: true });
  expect((await holdAt(bank, 1, { credentials })).answer.type).toBe("elsewhere");
  // The account goes on, and so may its slices, without that key.
  vi.setSystemTime(Date.now() + LIMITS.sliceRenewMs + 1_000);
  await heat(bank);
  expect((await holdAt(bank, 1, { credentials })).answer.type).toBe("elsewhere");
  expect((await holdAt(bank, 1)).answer.type).toBe("held");
});

it("keeps its leases when a key is added, and when a change of keys is refused", async () => {
  const bank = await openRich(WORTH);
  await heat(bank);
  const hint = await hintOf(bank);
  const key = { id: idOf("weak") as unknown as KeyId, name: "weak", secretHash: hashText("weak") };
  const made = await bank.rpc.createKey(bank.credentials, { ...key, scopes: ["inference"] });
  expect(made).toMatchObject({ ok: true });
  expect(await bank.rpc.updateKey({ secretHash: key.secretHash }, key.id, { name: "strong" })).toMatchObject({
    ok: false,
  });
  expect(await bank.rpc.revokeKey({ secretHash: hashText("nobody's") }, key.id)).toMatchObject({ ok: false });
  expect(await hintOf(bank)).toEqual(hint);
  expect((await holdAt(bank, 1)).answer.type).toBe("held");
  // A slice that does not know the key yet leaves its jobs to the account.
  expect((await holdAt(bank, 1, { credentials: { secretHash: key.secretHash } })).answer.type).toBe("elsewhere");
});

it("does not answer a revocation while a slice that cannot be reached may still let the key in", async () => {
  const bank = await openRich(WORTH);
  const key = { id: idOf("app") as unknown as KeyId, name: "app", secretHash: hashText("app") };
  await bank.rpc.createKey(bank.credentials, key);
  await heat(bank);
  const recall = vi.spyOn(AccountSlice.prototype, "recall").mockRejectedValue(new Error("away"));
  let answered = false;
  const revoked = bank.rpc.revokeKey(bank.credentials, key.id).then((answer) => {
    answered = true;
    return answer;
  });
  await vi.waitFor(() => expect(recall).toHaveBeenCalled(), BUSY);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(answered).toBe(false);
  vi.setSystemTime(Date.now() + LIMITS.sliceLeaseMs + 5_000);
  expect(await revoked).toMatchObject({ ok: true });
  expect((await holdAt(bank, 1, { credentials: { secretHash: key.secretHash } })).answer.type).toBe("elsewhere");
});

it("never lets a lease live that comes after its recall, and loses nothing of what it brings", async () => {
  const bank = await openRich(WORTH);
  const late: [AccountSlice, Lease][] = [];
  const spy = vi.spyOn(AccountSlice.prototype, "lease").mockImplementation(function (this: AccountSlice, lease) {
    late.push([this, lease]);
    return Promise.reject(new Error("held up"));
  });
  const requests = Array.from({ length: HEAT }, () => holdOf(bank, { job: sliceJob(0) }));
  await Promise.all(requests.map((request) => bank.rpc.hold(request)));
  await vi.waitFor(() => expect(late.length).toBeGreaterThanOrEqual(2), BUSY);
  await Promise.all(requests.map(({ job }) => bank.rpc.void(job, "test")));
  const key = { id: idOf("k") as unknown as KeyId, name: "k", secretHash: hashText("k") };
  await bank.rpc.createKey(bank.credentials, key);
  await bank.rpc.revokeKey(bank.credentials, key.id);
  spy.mockRestore();
  for (const [, lease] of late) {
    await runInDurableObject(sliceOfBank(bank, lease.move?.slice ?? 1).stub, (object) =>
      realLease.call(object as unknown as AccountSlice, lease),
    );
    expect((await holdAt(bank, lease.move?.slice ?? 1)).answer.type).toBe("elsewhere");
  }
  vi.setSystemTime(Date.now() + LIMITS.accountAlarmMs);
  await runDurableObjectAlarm(bank.stub);
  for (const [, lease] of late) await runDurableObjectAlarm(sliceOfBank(bank, lease.move?.slice ?? 1).stub);
  expect(await balance(bank)).toEqual(ALL);
  expect(await onTheWay(bank)).toBe(0);
});

it.each([
  ["before it is carried out", false],
  ["after it, with its answer lost", true],
])("keeps every unit when the call of a lease breaks %s", async (_, isCarriedOut) => {
  const bank = await openRich(WORTH);
  const spy = vi.spyOn(AccountSlice.prototype, "lease").mockImplementation(async function (this: AccountSlice, lease) {
    if (isCarriedOut) await realLease.call(this, lease);
    throw new Error("lost");
  });
  const requests = Array.from({ length: HEAT }, () => holdOf(bank, { job: sliceJob(0) }));
  await Promise.all(requests.map((request) => bank.rpc.hold(request)));
  await Promise.all(requests.map(({ job }) => bank.rpc.void(job, "test")));
  await vi.waitFor(() => expect(spy).toHaveBeenCalledTimes(2), BUSY);
  spy.mockRestore();
  await evictDurableObject(bank.stub);
  vi.setSystemTime(Date.now() + LIMITS.accountAlarmMs);
  await runDurableObjectAlarm(bank.stub);
  expect(await sumOfAll(bank)).toBe(ALL.available);
  for (const slice of [1, 2]) await runDurableObjectAlarm(sliceOfBank(bank, slice).stub);
  expect(await balance(bank)).toEqual(ALL);
  expect(await onTheWay(bank)).toBe(0);
});

it("begins nothing after a slice's restart, ends what was open, and gives the rest back", async () => {
  const bank = await openRich(WORTH);
  const count = await heat(bank);
  const { job, answer } = await holdAt(bank, 1);
  expect(answer.type).toBe("held");
  await evictDurableObject(sliceOfBank(bank, 1).stub);
  expect((await holdAt(bank, 1)).answer.type).toBe("elsewhere");
  expect(await bank.rpc.job(bank.credentials, job, ["read"])).toMatchObject({ ok: true, value: { type: "open" } });
  expect(await sliceOfBank(bank, 1).rpc.post(factsOf(job))).toMatchObject({ type: "posted" });
  expect(await bank.rpc.job(bank.credentials, job, ["read"])).toMatchObject({ ok: true, value: { type: "posted" } });
  await lapse(bank, count);
  expect(await balance(bank)).toEqual({ available: (WORTH - 1) * JOB_PRICE, held: 0 });
  expect(await isDrained(bank)).toBe(true);
});

it("forgets no slice when the account itself restarts", async () => {
  const bank = await openRich(WORTH);
  const count = await heat(bank);
  const { job } = await holdAt(bank, 1);
  await evictDurableObject(bank.stub);
  expect(await balance(bank)).toEqual({ available: (WORTH - 1) * JOB_PRICE, held: JOB_PRICE });
  await sliceOfBank(bank, 1).rpc.void(job, "test");
  await lapse(bank, count);
  expect(await balance(bank)).toEqual(ALL);
  expect(await heat(bank)).toBeGreaterThanOrEqual(2);
});

it("leaves to the account what is the account's: keys with bounds, other lanes, calls with a key, what pays first", async () => {
  const bank = await openRich(WORTH);
  const bound = { id: idOf("bound") as unknown as KeyId, name: "bound", secretHash: hashText("bound") };
  await bank.rpc.createKey(bank.credentials, { ...bound, budget: { nanoUsd: 1e9 as never, reset: "daily" } });
  await heat(bank);
  const elsewhere = async (changes: Parameters<typeof holdAt>[2]) => (await holdAt(bank, 1, changes)).answer.type;
  expect(await elsewhere({ credentials: { secretHash: bound.secretHash } })).toBe("elsewhere");
  expect(await elsewhere({ credentials: { secretHash: hashText("nobody's") } })).toBe("elsewhere");
  expect(await elsewhere({ lane: "dedicated" })).toBe("elsewhere");
  expect(await elsewhere({ keyed: "call" })).toBe("elsewhere");
  expect(await elsewhere({ completion: 1_000 * WORTH })).toBe("elsewhere");
  expect(await elsewhere({ lane: null })).toBe("held");

  const gifted = await openRich(WORTH, "gifted");
  await gifted.rpc.credit(creditOf({ id: "gift", amount: 2 * HEAT * JOB_PRICE }));
  await expect(heat(gifted, { timeout: 500 })).rejects.toThrow("no slice");
});

it("lends an allotment's holder what only named jobs may spend", async () => {
  const bank = await openRich(WORTH);
  const allotment = creditOf({ id: "day", kind: "allotment", backing: "usdc", amount: JOB_PRICE, concurrency: 1 });
  await bank.rpc.credit({ ...allotment, expiresAt: Date.now() + 3_600_000 });
  await heat(bank);
  expect((await holdAt(bank, 1, { lane: null })).answer.type).toBe("elsewhere");
  expect((await holdAt(bank, 1, { allowPaid: false })).answer.type).toBe("elsewhere");
  expect((await holdAt(bank, 1, { lane: "public", allowPaid: true })).answer.type).toBe("held");
});

it("takes a slice's receipt back into the account", async () => {
  const bank = await openRich(WORTH);
  const count = await heat(bank);
  const { job } = await holdAt(bank, 1);
  const slice = sliceOfBank(bank, 1);
  await slice.rpc.post(factsOf(job));
  await lapse(bank, count);
  expect(await balance(bank)).toEqual({ available: (WORTH - 1) * JOB_PRICE, held: 0 });
  const command = { job, reason: "wrong", by: ["ann", "ben"] };
  const reversed = await slice.rpc.reverse(command);
  expect(reversed).toMatchObject({ type: "reversed" });
  expect(await slice.rpc.reverse(command)).toEqual(reversed);
  vi.setSystemTime(Date.now() + 5_000);
  await runDurableObjectAlarm(slice.stub);
  expect(await balance(bank)).toEqual(ALL);
  expect(await sumOfAll(bank)).toBe(ALL.available);
  const lots = await bank.rpc.balance(bank.credentials);
  expect(lots).toMatchObject({ value: { lots: [{ id: "paid" }, { id: "earned" }] } });
});

it("expires what comes back too late, in the account's own books", async () => {
  const bank = await openRich(WORTH);
  const expiresAt = Date.now() + LIMITS.sliceLeaseMs + 30_000;
  await bank.rpc.credit(creditOf({ id: "short", kind: "earned", amount: 3 * HEAT * JOB_PRICE, expiresAt }));
  const count = await heat(bank);
  const report = await sliceOfBank(bank, 1).rpc.report();
  expect(report.lots.map(({ id }) => id)).toContain("short");
  vi.setSystemTime(expiresAt + 1);
  await lapse(bank, count);
  expect(await balance(bank)).toEqual(ALL);
  const types = (await entries(bank)).map(({ type }) => type);
  expect(types.filter((type) => type === "expiry").length).toBeGreaterThanOrEqual(1);
  for (let slice = 1; slice <= count; slice++) {
    expect((await entriesOf(sliceOfBank(bank, slice))).map(({ type }) => type)).not.toContain("expiry");
  }
});

it("renews leases while it is busy, with as many slices as its pace asks for, and not when it is idle", async () => {
  const bank = await openRich(WORTH);
  expect(await heat(bank)).toBe(2);
  const first = await hintOf(bank);
  // Somewhat more than twice what makes an account hot, until the leases are renewed.
  await runInDurableObject(sliceOfBank(bank, 1).stub, async (object) => {
    const slice = object as unknown as AccountSlice;
    for (let i = 0; i < (HEAT * 2.1 * LIMITS.sliceRenewMs) / 1_000; i++) {
      const request = holdOf(bank, { job: sliceJob(1) });
      expect(await slice.hold(request)).toMatchObject({ type: "held" });
      await slice.void(request.job, "test");
    }
  });
  vi.setSystemTime(Date.now() + LIMITS.sliceRenewMs);
  const second = await vi.waitFor(async () => {
    const hint = await hintOf(bank);
    expect(hint?.until).toBeGreaterThan(first?.until ?? 0);
    return hint;
  }, BUSY);
  expect(second?.count).toBe(3);
  vi.setSystemTime(Date.now() + LIMITS.sliceRenewMs);
  await hintOf(bank);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect((await hintOf(bank))?.until).toBe(second?.until);
  expect(await balance(bank)).toEqual(ALL);
}, 60_000);
