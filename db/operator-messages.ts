/** Operators' messages to daemons in D1. Relays read those that count when a daemon connects (durable-objects/relay/admission.ts). */

import type { D1Database } from "@cloudflare/workers-types";
import { and, desc, eq, lt, or, sql } from "drizzle-orm";
import { LIMITS } from "../core/limits.ts";
import { open } from "./client.ts";
import { operatorMessages } from "./schema.ts";

export type OperatorMessageRow = typeof operatorMessages.$inferSelect;

/** Adds a message; false when its id is taken. */
export async function addOperatorMessage(db: D1Database, message: OperatorMessageRow): Promise<boolean> {
  const added = open(db).insert(operatorMessages).values(message).onConflictDoNothing();
  return (await added.returning({ id: operatorMessages.id })).length > 0;
}

/** A message by its id, or null. */
export async function getOperatorMessage(db: D1Database, id: string): Promise<OperatorMessageRow | null> {
  return (await open(db).select().from(operatorMessages).where(eq(operatorMessages.id, id)).get()) ?? null;
}

/** Messages newest first, those after `after` (the last one of the page before); `limit` is at most a page. */
export async function listOperatorMessages(
  db: D1Database,
  { after, limit }: { after?: { id: string; at: number }; limit: number },
): Promise<OperatorMessageRow[]> {
  const { id, sent_at } = operatorMessages;
  return open(db)
    .select()
    .from(operatorMessages)
    .where(after && or(lt(sent_at, after.at), and(eq(sent_at, after.at), lt(id, after.id))))
    .orderBy(desc(sent_at), desc(id))
    .limit(Math.min(limit, LIMITS.maxPageRows))
    .all();
}

/** Withdraws a message and gives it, or null where there is none. Withdrawing twice keeps the first time. */
export async function withdrawOperatorMessage(
  db: D1Database,
  id: string,
  now: number,
): Promise<OperatorMessageRow | null> {
  const withdrawn_at = sql<number>`coalesce(${operatorMessages.withdrawn_at}, ${now})`;
  const changed = open(db).update(operatorMessages).set({ withdrawn_at }).where(eq(operatorMessages.id, id));
  return (await changed.returning())[0] ?? null;
}
