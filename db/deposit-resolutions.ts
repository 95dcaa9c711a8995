/**
 * Proposals of what becomes of a deposit in suspense, in D1. A deposit leaves suspense in the same batch in which one of its
 * proposals is approved, so of several proposals one is carried out.
 */

import type { D1Database } from "@cloudflare/workers-types";
import { and, desc, eq, exists, gt, lt, lte, ne, or, type SQL } from "drizzle-orm";
import { LIMITS } from "../core/limits.ts";
import { open } from "./client.ts";
import { depositResolutions, deposits } from "./schema.ts";

export type ResolutionRow = typeof depositResolutions.$inferSelect;

export type NewResolution = Pick<
  ResolutionRow,
  "id" | "deposit" | "action" | "account" | "reason" | "proposed_by" | "proposed_at"
>;

/** The states of rows, and `expired`: proposed, and left alone for too long. */
export type ResolutionState = ResolutionRow["state"] | "expired";

/** Adds a proposal; false when its id is taken. */
export async function addResolution(db: D1Database, proposal: NewResolution): Promise<boolean> {
  const row = { ...proposal, state: "proposed" as const };
  const added = await open(db).insert(depositResolutions).values(row).onConflictDoNothing().returning();
  return added.length > 0;
}

/** A proposal by its id, or null. */
export async function getResolution(db: D1Database, id: string): Promise<ResolutionRow | null> {
  return (await open(db).select().from(depositResolutions).where(eq(depositResolutions.id, id)).get()) ?? null;
}

/** Proposals as they are at `now`, newest first, those after `after` (the last one of the page before). */
export async function listResolutions(
  db: D1Database,
  now: number,
  { state, after, limit }: { state?: ResolutionState; after?: { id: string; at: number }; limit: number },
): Promise<ResolutionRow[]> {
  const { id, proposed_at } = depositResolutions;
  const older: SQL | undefined =
    after && or(lt(proposed_at, after.at), and(eq(proposed_at, after.at), lt(id, after.id)));
  const rows = open(db).select().from(depositResolutions);
  return rows
    .where(and(state && isIn(state, now), older))
    .orderBy(desc(proposed_at), desc(id))
    .limit(Math.min(limit, LIMITS.maxPageRows))
    .all();
}

/**
 * An operator agrees to a proposal that another one made, that is open, and whose deposit is in suspense. Null where it may
 * not be: its row and its deposit's tell why. From here on it is due, until {@link endResolution}.
 */
export async function approveResolution(
  db: D1Database,
  id: string,
  operator: string,
  now: number,
): Promise<ResolutionRow | null> {
  const d1 = open(db);
  const isOpen = and(
    eq(depositResolutions.id, id),
    isIn("proposed", now),
    ne(depositResolutions.proposed_by, operator),
  );
  const waits = d1
    .select()
    .from(deposits)
    .where(and(eq(deposits.id, depositResolutions.deposit), eq(deposits.state, "suspense")));
  const isItsDeposit = d1
    .select()
    .from(depositResolutions)
    .where(
      and(
        eq(depositResolutions.id, id),
        eq(depositResolutions.deposit, deposits.id),
        eq(depositResolutions.state, "approved"),
        eq(depositResolutions.approved_by, operator),
        eq(depositResolutions.approved_at, now),
      ),
    );
  const [approved] = await d1.batch([
    d1
      .update(depositResolutions)
      .set({ state: "approved", approved_by: operator, approved_at: now })
      .where(and(isOpen, exists(waits)))
      .returning(),
    d1
      .update(deposits)
      .set({ state: "resolving", resolution: id })
      .where(and(eq(deposits.state, "suspense"), exists(isItsDeposit))),
  ]);
  return approved[0] ?? null;
}

/** An operator, who may be the one who made it, takes an open proposal off the table. Null where it is not open. */
export async function declineResolution(
  db: D1Database,
  id: string,
  operator: string,
  now: number,
): Promise<ResolutionRow | null> {
  const declined = { state: "declined", declined_by: operator, declined_at: now } as const;
  const isOpen = and(eq(depositResolutions.id, id), isIn("proposed", now));
  return (await open(db).update(depositResolutions).set(declined).where(isOpen).returning())[0] ?? null;
}

/** What an approved proposal came to. */
export type ResolutionEnd =
  | { readonly type: "credited"; readonly seq: number }
  | { readonly type: "returned" | "kept" }
  | { readonly type: "refused"; readonly code: string };

/** Keeps how an approved proposal ended, in its row and its deposit's; a deposit that was refused is in suspense again. */
export async function endResolution(db: D1Database, resolution: ResolutionRow, end: ResolutionEnd): Promise<void> {
  const { id, account } = resolution;
  const d1 = open(db);
  const isDue = and(eq(depositResolutions.id, id), eq(depositResolutions.state, "approved"));
  const isItsDeposit = and(eq(deposits.resolution, id), eq(deposits.state, "resolving"));
  const ended =
    end.type === "refused" ? ({ state: "refused", outcome: end.code } as const) : ({ state: "done" } as const);
  await d1.batch([
    d1.update(depositResolutions).set(ended).where(isDue),
    d1.update(deposits).set(depositAfter(end, account)).where(isItsDeposit),
  ]);
}

function depositAfter(end: ResolutionEnd, account: ResolutionRow["account"]) {
  if (end.type === "refused") return { state: "suspense", resolution: null } as const;
  if (end.type !== "credited") return { state: end.type };
  return { state: "credited", seq: end.seq, account, reason: "operators" } as const;
}

/** The state of a proposal at a time. */
export function stateOfResolution({ state, proposed_at }: ResolutionRow, now: number): ResolutionState {
  return state === "proposed" && proposed_at + LIMITS.depositProposalMs <= now ? "expired" : state;
}

/** The same in SQL. */
function isIn(state: ResolutionState, now: number): SQL | undefined {
  const { state: column, proposed_at } = depositResolutions;
  const longAgo = now - LIMITS.depositProposalMs;
  if (state === "proposed") return and(eq(column, "proposed"), gt(proposed_at, longAgo));
  if (state === "expired") return and(eq(column, "proposed"), lte(proposed_at, longAgo));
  return eq(column, state);
}
