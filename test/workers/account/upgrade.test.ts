/**
 * Accounts that earlier versions of the code have left, opened with today's. The rows in old-rows/N.json were written by the
 * first version that had N migrations: credits, a receipt on either side of a snapshot, a void, a refusal, and open holds;
 * from the fourth on a key with a budget and its hold, from the fifth on a transfer on its way, from the sixth on a team.
 */

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, it, vi } from "vitest";
import { SCOPES } from "../../../core/account/scopes.ts";
import type { InviteId, JobId, KeyId } from "../../../core/ids.ts";
import { LIMITS } from "../../../core/limits.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import { ACCOUNT_MIGRATIONS } from "../../../durable-objects/account/schema.ts";
import { migrate } from "../../../durable-objects/shared/migrations.ts";
import type { Answer } from "../../../protocol/internal/account.ts";
import { idOf } from "../../support/receipts.ts";
import { type Bank, balance, bankOf, hold, holdOf, JOB_PRICE, openBank, post } from "./bank.ts";
import { verifyChain } from "./chain.ts";
import one from "./old-rows/1.json" with { type: "json" };
import two from "./old-rows/2.json" with { type: "json" };
import three from "./old-rows/3.json" with { type: "json" };
import four from "./old-rows/4.json" with { type: "json" };
import five from "./old-rows/5.json" with { type: "json" };
import six from "./old-rows/6.json" with { type: "json" };
import seven from "./old-rows/7.json" with { type: "json" };

type Row = Readonly<Record<string, SqlStorageValue>>;

interface OldRows {
  /** SHA-256 of its migrations, as JSON: what was applied once is never edited. */
  readonly schema: string;
  /** When they were written: holds are open for ten minutes. */
  readonly at: number;
  /** What the account of that time said, in millicredits. */
  readonly balance: { readonly available: number; readonly held: number };
  /** Open jobs of one price. */
  readonly holds: readonly JobId[];
  readonly spent: readonly JobId[];
  readonly tables: Readonly<Record<string, readonly Row[]>>;
}

const LEVELS = [one, two, three, four, five, six, seven].map((old, index) => ({
  level: index + 1,
  old: old as unknown as OldRows,
}));

const APP = { secretHash: hashText("secret of app") };
const MEMBER = { secretHash: hashText("secret of Ada") };
const TRANSFER = 30_000;
const SEND_AGAIN_MS = 60_000;

let sent: unknown[] = [];

beforeEach(() => {
  sent = [];
  vi.spyOn(Object.getPrototypeOf(env.RECEIPTS) as Queue, "send").mockImplementation((body) => {
    sent.push(body);
    return Promise.resolve({} as QueueSendResponse);
  });
});

/** The account as that version has left it, and then with today's code. */
async function reopen(level: number, { at, tables }: OldRows): Promise<Bank> {
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(at + SEND_AGAIN_MS);
  const bank = bankOf();
  await runInDurableObject(bank.stub, (_object, { storage }) => {
    migrate(storage, ACCOUNT_MIGRATIONS.slice(0, level));
    for (const [table, rows] of Object.entries(tables)) for (const row of rows) insert(storage, table, row);
    // Its alarm has rung: the log has all its receipts.
    insert(storage, "settings", { name: "log_checked", value: JSON.stringify({ seq: 6, missing: [] }) });
  });
  await evictDurableObject(bank.stub);
  return bank;
}

function insert({ sql }: DurableObjectStorage, table: string, row: Row): void {
  const names = Object.keys(row);
  const places = names.map(() => "?").join(", ");
  sql.exec(`INSERT INTO ${table} (${names.join(", ")}) VALUES (${places})`, ...Object.values(row));
}

function valueOf<T>(answer: Answer<T>): T {
  if (!answer.ok) throw new Error(JSON.stringify(answer.refusal));
  return answer.value;
}

it.each(LEVELS)("keeps the first $level migrations as they were applied", ({ level, old }) => {
  expect(hashText(JSON.stringify(ACCOUNT_MIGRATIONS.slice(0, level)))).toBe(old.schema);
});

it.each(LEVELS)("reads money, keys and members of an account with $level migrations", async ({ level, old }) => {
  const bank = await reopen(level, old);
  expect(await balance(bank)).toEqual(old.balance);
  expect(valueOf(await bank.rpc.check(APP, "inference"))).toBeNull();
  const keys = valueOf(await bank.rpc.keys(bank.credentials));
  const [first, app] = keys;
  expect(first).toMatchObject({ name: "first", scopes: SCOPES, budget: null, revokedAt: null });
  // Before there were scopes every key could do everything.
  expect(app).toMatchObject({ name: "app", scopes: level < 4 ? SCOPES : ["inference", "read"], member: first?.member });
  const held = level < 4 ? 0 : JOB_PRICE;
  expect(app).toMatchObject({ held, budget: level < 4 ? null : { nanoUsd: 200_000, reset: "never" } });
  const members = valueOf(await bank.rpc.team(bank.credentials));
  const owner = { id: first?.id, name: "first", role: "owner", held: old.balance.held, removedAt: null };
  expect(members[0]).toMatchObject(owner);
  expect(members.slice(1)).toMatchObject(level < 6 ? [] : [{ name: "Ada", role: "developer" }]);
  expect((await bank.rpc.check(MEMBER, "inference")).ok).toBe(level >= 6);
  const types = ["bonus", "topup", "spent", "void", "bonus", "spent", ...(level < 5 ? [] : ["transfer"])];
  expect(await verifyChain(bank)).toEqual(types);
});

it.each(LEVELS)("goes on with the jobs and the chain of an account with $level migrations", async ({ level, old }) => {
  const bank = await reopen(level, old);
  const [running = "" as JobId, ...others] = old.holds;
  // A gateway that asks again gets the same hold.
  expect(await bank.rpc.hold(holdOf(bank, { job: running }))).toMatchObject({ type: "held", price: JOB_PRICE });
  expect(await balance(bank)).toEqual(old.balance);
  await post(bank, running);
  for (const job of others) await bank.rpc.void(job, "declined");
  const { available } = old.balance;
  const released = available + others.length * JOB_PRICE;
  expect(await balance(bank)).toEqual({ available: released, held: 0 });
  // What was paid then is given back now, once.
  const [job = "" as JobId] = old.spent;
  for (let time = 0; time < 2; time++) await bank.rpc.reverse({ job, reason: "wrong", by: ["a", "b"] });
  await post(bank, (await hold(bank)).job, { prompt: 0, completion: 500 });
  expect(await balance(bank)).toEqual({ available: released + JOB_PRICE / 2, held: 0 });
  expect((await verifyChain(bank)).slice(-3)).toEqual(["void", "adjustment", "spent"].slice(others.length ? 0 : 1));
  await evictDurableObject(bank.stub);
  expect(await balance(bank)).toEqual({ available: released + JOB_PRICE / 2, held: 0 });
});

it.each(LEVELS)("gives an account with $level migrations what is new", async ({ level, old }) => {
  const bank = await reopen(level, old);
  const to = await openBank({ name: "to" });
  const command = { id: "t-2", from: bank.account, to: to.account, millicredits: TRANSFER as never, memo: "" };
  expect(await bank.rpc.send(bank.credentials, command)).toMatchObject({ type: "sent", delivered: true });
  vi.setSystemTime(old.at + LIMITS.accountAlarmMs);
  await runDurableObjectAlarm(bank.stub);
  expect((await balance(to)).available).toBe(level < 5 ? TRANSFER : 2 * TRANSFER);
  // The journal gets the credits of before there was one.
  const credits = ["bonus", "topup", "bonus"];
  const transfers = level < 5 ? ["transfer"] : ["transfer", "transfer"];
  const entries = (sent as { entries?: { type: string }[] }[]).flatMap(({ entries: some = [] }) => some);
  const journaled = entries.map(({ type }) => type).toSorted();
  expect(journaled).toEqual([...(level < 7 ? credits : []), ...transfers].toSorted());
  const terms = { secretHash: hashText("invite 2"), name: null, role: "viewer", expiresAt: null, uses: 1 } as const;
  valueOf(await bank.rpc.invite(bank.credentials, { id: idOf("invite 2") as unknown as InviteId, ...terms }));
  const key = { id: idOf("new") as unknown as KeyId, name: "new", secretHash: hashText("new") };
  const budget = { nanoUsd: JOB_PRICE as never, reset: "never" } as const;
  valueOf(await bank.rpc.createKey(bank.credentials, { ...key, budget }));
  await post(bank, (await hold(bank, { credentials: key })).job);
  expect(await bank.rpc.hold(holdOf(bank, { credentials: key }))).toMatchObject({ type: "refused" });
  await verifyChain(bank);
});
