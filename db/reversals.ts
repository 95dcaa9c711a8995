/**
 * Proposals of reversals in D1. Every step is one statement that names the state it may start from, so of two operators who
 * decide at once one is first, and the other finds what the first has decided.
 */

import type { D1Database } from "@cloudflare/workers-types";
import { and, desc, eq, gt, lt, lte, ne, or, type SQL, sql } from "drizzle-orm";
import { LIMITS } from "../core/limits.ts";
import { open } from "./client.ts";
import { reversals } from "./schema.ts";

export type ReversalRow = typeof reversals.$inferSelect;

/** What an operator proposes; the amounts are those of the receipt. */
export type NewReversal = Pick<
  ReversalRow,
  "id" | "account" | "job" | "reason" | "nano_usd" | "millicredits" | "proposed_by" | "proposed_at"
>;

/** The states of rows, and `expired`: proposed, and left alone for too long. */
export type ReversalState = ReversalRow["state"] | "expired";

/** Adds a proposal; false when its id is taken. */
export async function addReversal(db: D1Database, proposal: NewReversal): Promise<boolean> {
  const row = { ...proposal, state: "proposed" as const };
  const added = await open(db).insert(reversals).values(row).onConflictDoNothing().returning({ id: reversals.id });
  return added.length > 0;
}

/** A proposal by its id, or null. */
export async function getReversal(db: D1Database, id: string): Promise<ReversalRow | null> {
  return (await open(db).select().from(reversals).where(eq(reversals.id, id)).get()) ?? null;
}

/** Proposals as they are at `now`, newest first, those after `after` (the last one of the page before). */
export async function listReversals(
  db: D1Database,
  now: number,
  { state, after, limit }: { state?: ReversalState; after?: { id: string; at: number }; limit: number },
): Promise<ReversalRow[]> {
  const { id, proposed_at } = reversals;
  const older = after && or(lt(proposed_at, after.at), and(eq(proposed_at, after.at), lt(id, after.id)));
  return open(db)
    .select()
    .from(reversals)
    .where(and(state && isIn(state, now), older))
    .orderBy(desc(proposed_at), desc(id))
    .limit(Math.min(limit, LIMITS.maxPageRows))
    .all();
}

/**
 * An operator agrees to a proposal that another one made and that is open. Null where it may not be: its row tells why.
 * From here on the reversal is due, until {@link endReversal} says that its account has answered.
 */
export async function approveReversal(
  db: D1Database,
  id: string,
  operator: string,
  now: number,
): Promise<ReversalRow | null> {
  const approved = { state: "approved", approved_by: operator, approved_at: now } as const;
  const isOpen = and(eq(reversals.id, id), isIn("proposed", now), ne(reversals.proposed_by, operator));
  return first(await open(db).update(reversals).set(approved).where(isOpen).returning());
}

/** An operator, who may be the one who made it, takes an open proposal off the table. Null where it is not open. */
export async function declineReversal(
  db: D1Database,
  id: string,
  operator: string,
  now: number,
): Promise<ReversalRow | null> {
  const declined = { state: "declined", declined_by: operator, declined_at: now } as const;
  const isOpen = and(eq(reversals.id, id), isIn("proposed", now));
  return first(await open(db).update(reversals).set(declined).where(isOpen).returning());
}

/**
 * Keeps what the account said to an approved reversal. Null where that is known already. A receipt is taken back once, so of
 * several proposals that say the same by the same operators the first to end here is the one that was `reversed`.
 */
export async function endReversal(
  db: D1Database,
  id: string,
  end: { readonly state: "reversed" | "refused"; readonly seq: number | null; readonly outcome: string },
): Promise<ReversalRow | null> {
  const isDue = and(eq(reversals.id, id), eq(reversals.state, "approved"));
  const outcome =
    end.outcome === "reversed" ? sql<string>`iif(${wasReversed}, 'already_reversed', 'reversed')` : end.outcome;
  return first(
    await open(db)
      .update(reversals)
      .set({ ...end, outcome })
      .where(isDue)
      .returning(),
  );
}

/** Whether another proposal for the same receipt has ended in a reversal. */
const wasReversed = sql`EXISTS (
  SELECT 1 FROM ${reversals} AS other
  WHERE other.account = ${reversals.account} AND other.job = ${reversals.job} AND other.outcome = 'reversed')`;

/** The state of a proposal at a time. */
export function stateOf({ state, proposed_at }: ReversalRow, now: number): ReversalState {
  return state === "proposed" && proposed_at + LIMITS.reversalProposalMs <= now ? "expired" : state;
}

/** The same in SQL. */
function isIn(state: ReversalState, now: number): SQL | undefined {
  const { state: column, proposed_at } = reversals;
  const longAgo = now - LIMITS.reversalProposalMs;
  if (state === "proposed") return and(eq(column, "proposed"), gt(proposed_at, longAgo));
  if (state === "expired") return and(eq(column, "proposed"), lte(proposed_at, longAgo));
  return eq(column, state);
}

function first(rows: readonly ReversalRow[]): ReversalRow | null {
  return rows[0] ?? null;
}
