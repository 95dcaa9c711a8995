import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import { BILLED_A_DAY } from "../../../bench/allotment/midnight.ts";
import { epochOf, epochStart, resetDelay } from "../../../core/allotment/epochs.ts";
import { madeRow, stake } from "../epochs/support.ts";
import { deliver } from "../log/support.ts";
import { inside, openBank } from "./bank.ts";

it("costs what is stated to begin a day of an account that uses nothing", async () => {
  const today = epochOf(Date.UTC(2029, 0, 1));
  vi.useFakeTimers({ toFake: ["Date"], now: epochStart(today) + 3_600_000 });
  for (const epoch of [today, today + 1]) {
    await stake(epoch, { bank: 2_000 });
    await madeRow(epoch);
  }
  const bank = await openBank();
  const alarm = () => inside(bank, ({ storage }) => storage.getAlarm());
  const billed = { objectRows: 0, alarmsSet: 0, alarmsRung: 0, messages: 0 };
  const RECEIPTS = {
    send: async (message: unknown) => {
      billed.messages += 1;
      await deliver([message]);
    },
  } as unknown as Queue;
  await runInDurableObject(bank.stub, (object) => Object.assign(object, { env: { ...env, RECEIPTS } }));
  await bank.rpc.balance(bank.credentials);
  /** Rings what is due until the next alarm is that of a midnight. */
  const ringUntil = async (wakes: number): Promise<void> => {
    for (let rung = 0; rung < 9 && (await alarm()) !== wakes; rung++) {
      vi.setSystemTime((await alarm()) ?? 0);
      billed.alarmsRung += 1;
      await runDurableObjectAlarm(bank.stub);
    }
  };
  await ringUntil(epochStart(today + 1) + resetDelay(bank.account));

  Object.assign(billed, { objectRows: 0, alarmsSet: 0, alarmsRung: 0, messages: 0 });
  await inside(bank, ({ storage }) => {
    const exec = storage.sql.exec.bind(storage.sql);
    vi.spyOn(Object.getPrototypeOf(storage.sql) as SqlStorage, "exec").mockImplementation((query, ...bindings) => {
      const cursor = exec(query, ...(bindings as unknown[]));
      billed.objectRows += cursor.rowsWritten;
      return cursor;
    });
    const setAlarm = storage.setAlarm.bind(storage);
    vi.spyOn(Object.getPrototypeOf(storage) as DurableObjectStorage, "setAlarm").mockImplementation((time) => {
      billed.alarmsSet += 1;
      return setAlarm(time);
    });
  });
  // The day before has reached the journal long since, though nobody but its owner's look began it.
  const before = await env.DB.prepare("SELECT count(*) AS n FROM journal").first<number>("n");
  expect(before).toBe(1);
  vi.setSystemTime(epochStart(today + 1) + resetDelay(bank.account));
  billed.alarmsRung += 1;
  await runDurableObjectAlarm(bank.stub);
  await ringUntil(epochStart(today + 2) + resetDelay(bank.account));
  vi.restoreAllMocks();
  const after = await env.DB.prepare("SELECT count(*) AS n FROM journal").first<number>("n");
  expect({ ...billed, journalRows: (after ?? 0) - (before ?? 0) }).toEqual(BILLED_A_DAY);
  expect(await alarm()).toBe(epochStart(today + 2) + resetDelay(bank.account));
});
