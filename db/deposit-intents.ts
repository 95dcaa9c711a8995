/** Intents to pay, in D1. They never change but for when they were last looked at. */

import type { D1Database } from "@cloudflare/workers-types";
import { and, asc, count, desc, eq, gt, lt, or, type SQL, sql } from "drizzle-orm";
import type { AccountId } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import { open } from "./client.ts";
import { depositIntents } from "./schema.ts";

export type IntentRow = typeof depositIntents.$inferSelect;

/** Adds an intent; false when its account has one of this id. */
export async function addIntent(db: D1Database, intent: IntentRow): Promise<boolean> {
  const added = await open(db).insert(depositIntents).values(intent).onConflictDoNothing().returning();
  return added.length > 0;
}

/** An account's intent by its id, or null. */
export async function getIntent(db: D1Database, account: AccountId, id: string): Promise<IntentRow | null> {
  return (await open(db).select().from(depositIntents).where(isIntent({ account, id })).get()) ?? null;
}

/** An account's intents, newest first, those after `after` (the last one of the page before). */
export async function listIntents(
  db: D1Database,
  account: AccountId,
  { after, limit }: { after?: { id: string; at: number }; limit: number },
): Promise<IntentRow[]> {
  const { id, created_at } = depositIntents;
  const older: SQL | undefined = after && or(lt(created_at, after.at), and(eq(created_at, after.at), lt(id, after.id)));
  const own = eq(depositIntents.account, account);
  const rows = open(db).select().from(depositIntents).where(and(own, older));
  return rows.orderBy(desc(created_at), desc(id)).limit(Math.min(limit, LIMITS.maxPageRows)).all();
}

/** How many links of an account have not ended. */
export async function countOpenIntents(db: D1Database, account: AccountId, now: number): Promise<number> {
  const { expires_at, via } = depositIntents;
  const isOpen = and(eq(depositIntents.account, account), gt(expires_at, now), eq(via, "link"));
  return (await open(db).select({ open: count() }).from(depositIntents).where(isOpen).get())?.open ?? 0;
}

/** The intents whose references are among some keys. */
export async function intentsByReference(db: D1Database, keys: readonly string[]): Promise<IntentRow[]> {
  const isOne = sql`${depositIntents.reference} IN (SELECT value FROM json_each(${JSON.stringify(keys)}))`;
  return open(db).select().from(depositIntents).where(isOne).all();
}

/** Intents that may be paid by a link still, those first that were not looked at for longest. */
export async function dueIntents(db: D1Database, now: number, limit: number): Promise<IntentRow[]> {
  const { expires_at, via } = depositIntents;
  const mayBePaid = and(gt(expires_at, now - LIMITS.depositLateMs), eq(via, "link"));
  const rows = open(db).select().from(depositIntents).where(mayBePaid);
  return rows.orderBy(asc(depositIntents.checked_at)).limit(limit).all();
}

/** Takes an intent to be looked at; false where another one has taken it since it was read. */
export async function takeIntent(db: D1Database, intent: IntentRow, now: number): Promise<boolean> {
  const isSame = and(isIntent(intent), eq(depositIntents.checked_at, intent.checked_at));
  const taken = await open(db).update(depositIntents).set({ checked_at: now }).where(isSame).returning();
  return taken.length > 0;
}

function isIntent({ account, id }: Pick<IntentRow, "account" | "id">): SQL | undefined {
  return and(eq(depositIntents.account, account), eq(depositIntents.id, id));
}
