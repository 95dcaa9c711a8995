/** An account that is busy enough to lend slices their parts, and what it and they have together. */

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import { type JobId, newJobId } from "../../../../core/ids.ts";
import { LIMITS } from "../../../../core/limits.ts";
import { AccountSlice } from "../../../../durable-objects/account-slice/index.ts";
import type { EntryRecord, HoldAnswer, HoldRequest } from "../../../../protocol/internal/account.ts";
import { sliceName } from "../../../../protocol/internal/names.ts";
import type { SliceHoldAnswer, SliceRpc } from "../../../../protocol/internal/slice.ts";
import { type Bank, creditOf, entries, holdOf, JOB_PRICE, openBank, sumOf } from "../bank.ts";

/** Jobs that make an account hot. */
export const HEAT = LIMITS.hotHoldsPerSecond;

/** What carries a lease out, whatever a test puts in its place. */
export const realLease = Reflect.get(AccountSlice.prototype, "lease");

/** How long leases may take on a busy machine. */
export const BUSY = { timeout: 10_000 };

export interface Slice {
  readonly number: number;
  readonly stub: DurableObjectStub;
  readonly rpc: SliceRpc;
}

/** Made anew for each use: what spoke to a lost object stays broken. */
export function sliceOfBank(bank: Bank, number: number): Slice {
  const stub = env.ACCOUNT_SLICE.getByName(sliceName(bank.account, number)) as unknown as DurableObjectStub;
  return { number, stub, rpc: stub as unknown as SliceRpc };
}

let jobs = 0;
/** Each has a name of its own: what slices of an earlier test are at must not reach it. */
let banks = 0;

export function sliceJob(slice: number): JobId {
  const random = new Uint8Array(10);
  new DataView(random.buffer).setUint32(6, ++jobs);
  return newJobId(Date.now(), random, slice);
}

/** Asks a slice to hold a job; `elsewhere` where it does not decide. */
export async function holdAt(
  bank: Bank,
  slice: number,
  changes: Partial<HoldRequest> = {},
): Promise<{ job: JobId; answer: SliceHoldAnswer }> {
  const job = sliceJob(slice);
  const request = holdOf(bank, { allowPaid: true, ...changes, job });
  return { job, answer: await sliceOfBank(bank, slice).rpc.hold(request) };
}

/** Asks as a gateway does: a slice first, and where that does not decide, the account. */
export async function holdAnywhere(bank: Bank, slice: number): Promise<{ job: JobId; answer: HoldAnswer }> {
  const first = slice === 0 ? null : await holdAt(bank, slice);
  if (first !== null && first.answer.type !== "elsewhere") return { job: first.job, answer: first.answer };
  const request = holdOf(bank, { job: sliceJob(0) });
  return { job: request.job, answer: await bank.rpc.hold(request) };
}

/** An account with paid and earned credits for so many jobs. Its clock stands still until a test moves it. */
export async function openRich(jobsWorth: number, name = `hot ${banks++}`): Promise<Bank> {
  vi.useFakeTimers({ toFake: ["Date"] });
  const bank = await openBank({ name });
  const amount = (jobsWorth * JOB_PRICE) / 2;
  await bank.rpc.credit(creditOf({ id: "paid", kind: "topup", backing: "usdc", amount }));
  await bank.rpc.credit(creditOf({ id: "earned", kind: "earned", backing: "none", amount }));
  return bank;
}

/** Begins as many jobs in a second as make it hot, ends them, and waits until slices may be asked. Gives how many. */
export async function heat(bank: Bank, within = BUSY): Promise<number> {
  const requests = Array.from({ length: HEAT }, () => holdOf(bank, { job: sliceJob(0) }));
  await Promise.all(requests.map((request) => bank.rpc.hold(request)));
  await Promise.all(requests.map(({ job }) => bank.rpc.void(job, "test")));
  return await vi.waitFor(async () => {
    const hint = await hintOf(bank);
    if (hint === undefined) throw new Error("no slice may be asked");
    return hint.count;
  }, within);
}

/** What the account says of its slices with a hold, which is given back. */
export async function hintOf(bank: Bank): Promise<HoldAnswer["slices"]> {
  const request = holdOf(bank, { job: sliceJob(0) });
  const answer = await bank.rpc.hold(request);
  await bank.rpc.void(request.job, "test");
  return answer.slices;
}

export async function entriesOf(slice: Slice): Promise<EntryRecord[]> {
  return await slice.rpc.entries(0, LIMITS.maxPageRows);
}

/** What all chains come to, each of which must hold: what the account has here and there. */
export async function sumOfAll(bank: Bank): Promise<number> {
  const own = await entries(bank);
  let sum = sumOf(own);
  for (const slice of slicesIn(own)) sum += sumOf(await entriesOf(sliceOfBank(bank, slice)));
  return sum;
}

/** The slices that an account's chain names. */
function slicesIn(own: readonly EntryRecord[]): Set<number> {
  const moved = own.filter(({ type }) => type === "slice");
  return new Set(moved.map(({ body }) => (JSON.parse(body) as { slice: number }).slice));
}

interface Row {
  readonly recipient: string;
  readonly id: string;
  readonly slice: number;
  readonly parts: readonly { readonly amount: number }[];
}

/** What is on its way between an account and its slices: owed, and not received yet. */
export async function onTheWay(bank: Bank): Promise<number> {
  const slices = [...slicesIn(await entries(bank))];
  const stubs = [bank.stub, ...slices.map((slice) => sliceOfBank(bank, slice).stub)];
  const rows = (await Promise.all(stubs.map(owedBy))).flat();
  let sum = 0;
  for (const { recipient, id, slice, parts } of rows) {
    const stub = recipient.includes("/") ? sliceOfBank(bank, slice).stub : bank.stub;
    if (!(await knows(stub, `move/${slice}/${id}`))) sum += parts.reduce((all, { amount }) => all + amount, 0);
  }
  return sum;
}

async function owedBy(stub: DurableObjectStub): Promise<Row[]> {
  return await runInDurableObject(stub, (_object, { storage }) => {
    if (!hasTable(storage, "outbox")) return [];
    const rows = storage.sql.exec<{ recipient: string; transfer: string }>("SELECT recipient, transfer FROM outbox");
    return rows
      .toArray()
      .map(({ recipient, transfer }) => ({ ...(JSON.parse(transfer) as Omit<Row, "recipient">), recipient }));
  });
}

/** Whether an object has carried a command out. */
async function knows(stub: DurableObjectStub, command: string): Promise<boolean> {
  return await runInDurableObject(stub, (_object, { storage }) => {
    if (!hasTable(storage, "commands")) return false;
    return storage.sql.exec("SELECT 1 FROM commands WHERE id = ?", command).toArray().length > 0;
  });
}

function hasTable({ sql }: DurableObjectStorage, name: string): boolean {
  return sql.exec("SELECT 1 FROM sqlite_master WHERE name = ?", name).toArray().length > 0;
}
