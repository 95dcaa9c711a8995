import { expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { type Bank, creditOf, factsOf, hold, holdOf, inside, openBank, post } from "./bank.ts";
import { watch } from "./watch-support.ts";

/** Counts the rows that an account writes while something is done with it, and the transactions: each writes together. */
async function written(bank: Bank, work: () => Promise<void>): Promise<{ rows: number; commits: number }> {
  const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
  let [rows, commits] = [0, 0];
  /** Statements outside of a transaction are one each. */
  const commit = (): void => {
    const written = cursors.splice(0).reduce((sum, cursor) => sum + cursor.rowsWritten, 0);
    rows += written;
    if (written > 0) commits += 1;
  };
  await inside(bank, ({ storage }) => {
    // The object and this test share one isolate, so they share its classes too.
    const original = storage.sql.exec.bind(storage.sql);
    const sql = Object.getPrototypeOf(storage.sql) as SqlStorage;
    vi.spyOn(sql, "exec").mockImplementation((query: string, ...bindings: unknown[]) => {
      const cursor = original(query, ...bindings);
      cursors.push(cursor);
      if (!inTransaction) commit();
      return cursor;
    });
    let inTransaction = false;
    const transactionSync = storage.transactionSync.bind(storage);
    vi.spyOn(Object.getPrototypeOf(storage) as DurableObjectStorage, "transactionSync").mockImplementation(
      (closure) => {
        inTransaction = true;
        const result = transactionSync(closure);
        inTransaction = false;
        commit();
        return result;
      },
    );
  });
  await work();
  vi.restoreAllMocks();
  return { rows, commits };
}

it("writes two rows in two commits for a job, and none for replays", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  await post(bank, (await hold(bank)).job);
  const request = holdOf(bank);
  const job = await written(bank, async () => {
    await bank.rpc.hold(request);
    await bank.rpc.post(factsOf(request.job));
  });
  expect(job).toEqual({ rows: 2, commits: 2 });
  const replays = await written(bank, async () => {
    await bank.rpc.hold(request);
    await bank.rpc.post(factsOf(request.job));
    await bank.rpc.void(request.job, "late");
  });
  expect(replays).toEqual({ rows: 0, commits: 0 });
});

it("writes not one row more for a job in a package's slot, nor for one beyond it", async () => {
  const bank = await openBank();
  await bank.rpc.credit(creditOf({ kind: "package", backing: "usdc", concurrency: 1 }));
  const first = holdOf(bank, { lane: null });
  for (const reserved of [true, false]) {
    const request = reserved ? first : holdOf(bank, { lane: null });
    const job = await written(bank, async () => {
      expect(await bank.rpc.hold(request)).toMatchObject({ lane: "dedicated", reserved });
      if (!reserved) await bank.rpc.post(factsOf(request.job));
    });
    expect(job).toEqual(reserved ? { rows: 1, commits: 1 } : { rows: 2, commits: 2 });
  }
  const posted = await written(bank, async () => {
    const result = await bank.rpc.post({ ...factsOf(first.job), lane: "dedicated", reserved: 1 });
    expect(result).toMatchObject({ type: "posted", body: expect.stringContaining('"reserved":1') });
  });
  expect(posted).toEqual({ rows: 1, commits: 1 });
});

it("writes not one row more while somebody watches", async () => {
  const bank = await openBank({ bonus: 1_000_000 });
  const watcher = await watch(bank);
  const request = holdOf(bank);
  const job = await written(bank, async () => {
    await bank.rpc.hold(request);
    await bank.rpc.post(factsOf(request.job));
    await watcher.until(() => watcher.entries.length === 1, "the receipt");
  });
  expect(job).toEqual({ rows: 2, commits: 2 });
});

it("writes one more row every 512 entries, for the snapshot", async () => {
  const bank = await openBank({ bonus: 1_000_000_000 });
  const jobs = LIMITS.snapshotEntries - 1;
  const all = await written(bank, async () => {
    const work = async () => await post(bank, (await hold(bank, { completion: 1 })).job);
    await Promise.all(Array.from({ length: jobs }, work));
  });
  expect(all.rows).toBe(2 * jobs + 1);
}, 60_000);
