/**
 * Deposits in D1, and the transactions that brought them. What a transaction brought is written at once or not at all; after
 * that each step is one statement that names the state it starts from, so none of them happens twice.
 */

import type { D1Database } from "@cloudflare/workers-types";
import { and, asc, desc, eq, inArray, isNull, lt, or, type SQL, sql } from "drizzle-orm";
import type { DepositReason } from "../core/deposits/judge.ts";
import type { AccountId } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import { open } from "./client.ts";
import { failureOf } from "./failure.ts";
import { deposits, treasuryTransactions } from "./schema.ts";

export type DepositRow = typeof deposits.$inferSelect;
export type TransactionRow = typeof treasuryTransactions.$inferSelect;
export type DepositState = DepositRow["state"];

/** Those of some transactions that were looked at. */
export async function takenSignatures(db: D1Database, signatures: readonly string[]): Promise<Set<string>> {
  const { signature } = treasuryTransactions;
  const rows = await open(db)
    .select({ signature })
    .from(treasuryTransactions)
    .where(sql`${signature} IN (SELECT value FROM json_each(${JSON.stringify(signatures)}))`)
    .all();
  return new Set(rows.map((row) => row.signature));
}

/**
 * Writes what was read of a transaction. False where another one was faster: with this transaction, or with the payment of
 * a package that a row of this one wants to be.
 */
export async function addTransaction(
  db: D1Database,
  transaction: TransactionRow,
  rows: readonly DepositRow[],
): Promise<boolean> {
  const d1 = open(db);
  try {
    await d1.batch([
      d1.insert(treasuryTransactions).values(transaction),
      ...rows.map((row) => d1.insert(deposits).values(row)),
    ]);
    return true;
  } catch (error) {
    if (failureOf(error) === "taken") return false;
    throw error;
  }
}

/** Whether a payment of an intent's has become its package. */
export async function isPackagePaid(db: D1Database, account: AccountId, intent: string): Promise<boolean> {
  const isIt = and(eq(deposits.account, account), eq(deposits.intent, intent), eq(deposits.kind, "package"));
  return (await open(db).select({ id: deposits.id }).from(deposits).where(isIt).get()) !== undefined;
}

/** Deposits that are due to be credited, oldest first. */
export async function dueDeposits(db: D1Database, limit: number): Promise<DepositRow[]> {
  const isDue = eq(deposits.state, "seen");
  return open(db).select().from(deposits).where(isDue).orderBy(asc(deposits.seen_at)).limit(limit).all();
}

/** A deposit by its id, or null. */
export async function getDeposit(db: D1Database, id: string): Promise<DepositRow | null> {
  return (await open(db).select().from(deposits).where(eq(deposits.id, id)).get()) ?? null;
}

/** Keeps the entry that credited a deposit. Nothing changes where it was kept before. */
export async function markCredited(db: D1Database, id: string, seq: number): Promise<void> {
  const isDue = and(eq(deposits.id, id), eq(deposits.state, "seen"));
  await open(db).update(deposits).set({ state: "credited", seq }).where(isDue);
}

/** Leaves a deposit that its account does not take to operators. */
export async function suspend(db: D1Database, id: string, reason: DepositReason): Promise<void> {
  const isDue = and(eq(deposits.id, id), eq(deposits.state, "seen"));
  await open(db).update(deposits).set({ state: "suspense", reason }).where(isDue);
}

/** The deposits that some intents of an account brought, oldest first. */
export async function depositsOfIntents(
  db: D1Database,
  account: AccountId,
  intents: readonly string[],
): Promise<DepositRow[]> {
  const isOne = sql`${deposits.intent} IN (SELECT value FROM json_each(${JSON.stringify(intents)}))`;
  const rows = open(db)
    .select()
    .from(deposits)
    .where(and(eq(deposits.account, account), isOne));
  return rows.orderBy(asc(deposits.seen_at), asc(deposits.instruction), asc(deposits.id)).all();
}

/** The latest deposits of an account that operators found an owner for. */
export async function depositsWithoutIntent(db: D1Database, account: AccountId): Promise<DepositRow[]> {
  const isOne = and(eq(deposits.account, account), isNull(deposits.intent));
  return open(db).select().from(deposits).where(isOne).orderBy(desc(deposits.seen_at)).limit(LIMITS.pageRows).all();
}

/** Deposits, newest first, those after `after` (the last one of the page before). */
export async function listDeposits(
  db: D1Database,
  { states, after, limit }: { states?: readonly DepositState[]; after?: { id: string; at: number }; limit: number },
): Promise<DepositRow[]> {
  const { id, seen_at } = deposits;
  const older: SQL | undefined = after && or(lt(seen_at, after.at), and(eq(seen_at, after.at), lt(id, after.id)));
  return open(db)
    .select()
    .from(deposits)
    .where(and(states && inArray(deposits.state, [...states]), older))
    .orderBy(desc(seen_at), desc(id))
    .limit(Math.min(limit, LIMITS.maxPageRows))
    .all();
}
