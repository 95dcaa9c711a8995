/** What the log refused, kept in D1 where an operator finds it. */

import type { D1Database } from "@cloudflare/workers-types";
import { and, count, desc, eq, isNull, lt, or, sql } from "drizzle-orm";
import { LIMITS } from "../core/limits.ts";
import { open } from "./client.ts";
import { deadLetters } from "./schema.ts";

export type DeadLetterRow = typeof deadLetters.$inferSelect;

export type NewDeadLetter = Omit<DeadLetterRow, "resolved_at">;

// What was resolved and is refused again is open again; what is open stays as it came first.
const ADD = `INSERT INTO dead_letters (id, at, reason, item) VALUES (?1, ?2, ?3, ?4)
  ON CONFLICT (id) DO UPDATE SET at = excluded.at, reason = excluded.reason, resolved_at = NULL
  WHERE resolved_at IS NOT NULL`;

/** Adds letters, all or none. One whose id is known opens that letter again, or changes nothing while it is open. */
export async function addDeadLetters(db: D1Database, letters: readonly NewDeadLetter[]): Promise<void> {
  if (letters.length === 0) return;
  // One statement for each letter: items are large, and a bound text may have at most 2 MB.
  const add = db.prepare(ADD);
  await db.batch(letters.map(({ id, at, reason, item }) => add.bind(id, at, reason, item)));
}

/** Letters that nobody has resolved, newest first, those after `after` (the last one of the page before). */
export async function listDeadLetters(
  db: D1Database,
  { after, limit = LIMITS.pageRows }: { after?: Pick<DeadLetterRow, "id" | "at">; limit?: number } = {},
): Promise<DeadLetterRow[]> {
  const { id, at, resolved_at } = deadLetters;
  const older = after && or(lt(at, after.at), and(eq(at, after.at), lt(id, after.id)));
  return open(db)
    .select()
    .from(deadLetters)
    .where(and(isNull(resolved_at), older))
    .orderBy(desc(at), desc(id))
    .limit(Math.min(limit, LIMITS.maxPageRows))
    .all();
}

/** How many letters nobody has resolved. */
export async function countDeadLetters(db: D1Database): Promise<number> {
  const row = await open(db).select({ open: count() }).from(deadLetters).where(isNull(deadLetters.resolved_at)).get();
  return row?.open ?? 0;
}

/** Marks a letter as resolved. One that was resolved before keeps its time; null when there is no letter of that id. */
export async function resolveDeadLetter(db: D1Database, id: string, at: number): Promise<DeadLetterRow | null> {
  const resolved_at = sql`coalesce(${deadLetters.resolved_at}, ${at})`;
  const [letter] = await open(db).update(deadLetters).set({ resolved_at }).where(eq(deadLetters.id, id)).returning();
  return letter ?? null;
}
