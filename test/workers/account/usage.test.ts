import { evictDurableObject } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import { NO_USAGE, type Usage, type UsageBy } from "../../../core/account/usage.ts";
import { type KeyId, keyedJobId } from "../../../core/ids.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import { DAY_MS } from "../../../core/time.ts";
import type { UsageQuery } from "../../../protocol/internal/account.ts";
import { idOf } from "../../support/receipts.ts";
import { type Bank, balance, count, entries, factsOf, hold, inside, openBank, post } from "./bank.ts";

let opened = 0;
/** An account that no other test uses: whatever still goes on in another one does not reach its sums. */
const openOwn = (): Promise<Bank> => openBank({ name: `usage ${opened++}`, bonus: 10_000_000 });

async function usage(bank: Bank, by: UsageBy, changes: Partial<UsageQuery> = {}): Promise<Record<string, Usage>> {
  const answer = await bank.rpc.usage(bank.credentials, { by, from: 0, to: null, cursor: null, ...changes });
  if (!answer.ok) throw new Error(JSON.stringify(answer.refusal));
  expect(answer.value.next).toBeNull();
  return Object.fromEntries(answer.value.groups);
}

/** So many jobs at 80 nanoUSD a completion token. */
const completed = (jobs: number, tokens = 1_000 * jobs) => ({
  ...NO_USAGE,
  jobs,
  completed: jobs,
  completionTokens: tokens,
  millicredits: tokens * 80,
  nanoUsd: tokens * 80,
});

it("counts every job once, by how it ended, and only what was charged", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openOwn();
  await post(bank, (await hold(bank)).job);
  await post(bank, (await hold(bank)).job, { prompt: 0, completion: 500 }, "cancelled");
  await post(bank, (await hold(bank)).job, { prompt: 0, completion: 250 }, "timed_out");
  for (const outcome of ["failed", "unverified"] as const) {
    await post(bank, (await hold(bank)).job, { prompt: 0, completion: 300 }, outcome);
  }
  await bank.rpc.void((await hold(bank)).job, "declined");
  // One that ran out, and whose receipt came after that.
  const late = await hold(bank);
  await hold(bank);
  vi.setSystemTime(late.expiresAt);
  await bank.rpc.post(factsOf(late.job));
  const before = await balance(bank);
  expect(await usage(bank, "lane")).toEqual({
    public: {
      ...NO_USAGE,
      jobs: 8,
      completed: 1,
      cancelled: 1,
      failed: 3,
      unanswered: 3,
      completionTokens: 1_750,
      millicredits: 140_000,
      nanoUsd: 140_000,
    },
  });
  expect(before).toEqual({ available: 10_000_000 - 140_000, held: 0 });
});

it("splits by key and model, also what was given back, without a row more for a job", async () => {
  const bank = await openOwn();
  const second = idOf("second") as unknown as KeyId;
  const credentials = { secretHash: hashText("second secret") };
  await bank.rpc.createKey(bank.credentials, { id: second, name: "ci", ...credentials });
  await post(bank, (await hold(bank)).job);
  await post(bank, (await hold(bank, { credentials })).job);
  await post(bank, (await hold(bank, { credentials })).job);
  await bank.rpc.void((await hold(bank, { credentials, model: "maker/tiny" })).job, "declined");
  const given = { ...NO_USAGE, jobs: 1, unanswered: 1 };
  const three = { ...completed(2), jobs: 3, unanswered: 1 };
  expect(await usage(bank, "key")).toEqual({ [idOf(`key of ${bank.name}`)]: completed(1), [second]: three });
  expect(await usage(bank, "model")).toEqual({ "maker/eight": completed(3), "maker/tiny": given });
  // A key that is gone has used what it has used, and an object that starts again knows it.
  await bank.rpc.revokeKey(bank.credentials, second);
  await evictDurableObject(bank.stub);
  const answer = await bank.rpc.usage(bank.credentials, { by: "key", from: 0, to: null, cursor: null });
  expect(answer).toMatchObject({ value: { names: expect.arrayContaining([[second, "ci"]]) as unknown } });
  const rows = await inside(bank, (state) => ["holds", "entries"].map((table) => count(state, table)));
  expect(rows).toEqual([4, 5]);
});

it("has each use of an Idempotency-Key on its own", async () => {
  const bank = await openOwn();
  const slot = new Uint8Array(10).fill(7);
  const job = keyedJobId(Date.now(), slot);
  await hold(bank, { job, keyed: "one", model: "maker/tiny" });
  await bank.rpc.void(job, "declined");
  await new Promise((resolve) => setTimeout(resolve, 5));
  const again = keyedJobId(Date.now(), slot);
  await hold(bank, { job: again, keyed: "two", model: "maker/eight" });
  await bank.rpc.void(again, "declined");
  const given = { ...NO_USAGE, jobs: 1, unanswered: 1 };
  expect(await usage(bank, "model")).toEqual({ "maker/tiny": given, "maker/eight": given });
});

it("splits by UTC day, and keeps to the moments that it is asked for", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const midnight = Math.ceil(Date.now() / DAY_MS) * DAY_MS;
  const dayOf = (time: number) => new Date(time).toISOString().slice(0, 10);
  const bank = await openOwn();
  for (const at of [midnight - 1, midnight, midnight + 1, midnight + DAY_MS]) {
    vi.setSystemTime(at);
    await post(bank, (await hold(bank)).job);
  }
  const [before, day, after] = [midnight - 1, midnight, midnight + DAY_MS].map(dayOf) as [string, string, string];
  const all = { [before]: completed(1), [day]: completed(2), [after]: completed(1) };
  expect(await usage(bank, "day")).toEqual(all);
  expect(await usage(bank, "day", { from: midnight })).toEqual({ [day]: completed(2), [after]: completed(1) });
  expect(await usage(bank, "day", { to: midnight + 1 })).toEqual({ [before]: completed(1), [day]: completed(1) });
  expect(await usage(bank, "day", { from: midnight + 1, to: midnight + 1 })).toEqual({});
  expect(await usage(bank, "day", { from: midnight + 2 * DAY_MS })).toEqual({});
});

it("reads a long ledger in stretches that come to the whole", async () => {
  const bank = await openOwn();
  await post(bank, (await hold(bank)).job);
  await copyLastEntry(bank, 2_500);
  const sums: Usage[] = [];
  let cursor: number | null = null;
  const cursors: (number | null)[] = [];
  do {
    const answer = await bank.rpc.usage(bank.credentials, { by: "key", from: 0, to: null, cursor });
    if (!answer.ok) throw new Error(JSON.stringify(answer.refusal));
    sums.push(...answer.value.groups.map(([, used]) => used));
    cursor = answer.value.next;
    cursors.push(cursor);
  } while (cursor !== null);
  expect(cursors).toEqual([1_001, 2_001, null]);
  expect(sums.map(({ jobs }) => jobs)).toEqual([999, 1_000, 502]);
  expect((await entries(bank)).length).toBe(2_502);
});

/** Appends copies of the last entry, as if the same job had been posted again and again: the chain is of no interest here. */
async function copyLastEntry(bank: Bank, copies: number): Promise<void> {
  await inside(bank, ({ storage }) => {
    storage.sql.exec(
      `WITH RECURSIVE more (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM more WHERE number < ?)
       INSERT INTO entries (seq, at, type, job, n, event, body)
       SELECT seq + number, at, type, job, n, json_set(event, '$.draws', json('[]')), body
       FROM entries, more WHERE seq = (SELECT MAX(seq) FROM entries) ORDER BY number`,
      copies,
    );
  });
  await evictDurableObject(bank.stub);
}
