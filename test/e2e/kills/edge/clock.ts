/**
 * A clock that can be ahead of the machine's. It is set when the process starts and does not change while it runs; alarms
 * that an earlier process has set are brought forward by what the clock was moved since then.
 */

import { reach } from "./points.ts";

interface Storage {
  getAlarm(): Promise<number | null>;
  setAlarm(due: number | Date): Promise<void>;
  readonly sql: { exec(query: string): { one(): unknown } };
}
export interface ObjectContext {
  readonly id: { toString(): string };
  readonly storage: Storage;
  blockConcurrencyWhile(work: () => Promise<void>): Promise<void>;
  abort(reason: string): void;
}

let aheadMs = 0;
let movedMs = 0;
const brought = new Set<string>();

/** `ahead` is how far the clock is ahead, `moved` how much of that is new since the process before. Milliseconds. */
export function setClock(ahead: number, moved: number): void {
  const real = Date.now.bind(Date);
  Date.now = () => real() + ahead;
  aheadMs = ahead;
  movedMs = moved;
}

/**
 * Lets an object's alarms ring by this clock, with points after the calls. There is none before an alarm is set: it is stored
 * with whatever was written in the same turn, all or nothing.
 */
export function keepTime(owner: string, context: ObjectContext): void {
  const { id, storage } = context;
  const get = storage.getAlarm.bind(storage);
  const set = storage.setAlarm.bind(storage);
  storage.getAlarm = async () => {
    const due = await get();
    await reach(`${owner}: after getAlarm`);
    return due === null ? null : due + aheadMs;
  };
  storage.setAlarm = async (due) => {
    await set(Number(due) - aheadMs);
    await reach(`${owner}: after setAlarm`);
  };
  if (movedMs === 0 || brought.has(id.toString())) return;
  brought.add(id.toString());
  void context.blockConcurrencyWhile(async () => {
    const due = await get();
    if (due !== null) await set(due - movedMs);
  });
}
