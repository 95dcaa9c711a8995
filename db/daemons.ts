/** Enrolled daemons in D1. */

import type { D1Database } from "@cloudflare/workers-types";
import { and, asc, eq, gt, sql } from "drizzle-orm";
import type { AccountId, DaemonId } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import type { Tier } from "../protocol/daemon/messages.ts";
import { open } from "./client.ts";
import { daemons } from "./schema.ts";

export interface DaemonRecord {
  readonly id: DaemonId;
  /** The account that provides it and earns its share. */
  readonly account: AccountId;
  readonly name: string;
  /** What its backed shares are paid in. */
  readonly payout: "usdc" | "credits";
  readonly tier: Tier;
  /** Milliseconds since 1970. */
  readonly created_at: number;
  /** When its account drained it, in milliseconds since 1970; null while it takes jobs. */
  readonly drained_at: number | null;
}

export type Enrolment =
  | { readonly type: "enrolled"; readonly daemon: DaemonRecord }
  /** Another account has enrolled this key. */
  | { readonly type: "conflict" };

/**
 * Enrols a daemon. The same call again changes nothing; one of the same account with another name, payout or tier changes
 * those and keeps the time of the first, and whether it is drained. The key must have been checked (`parseDaemonId`), as this stores what it gets.
 */
export async function enrolDaemon(db: D1Database, daemon: Omit<DaemonRecord, "drained_at">): Promise<Enrolment> {
  const { id, account, name, payout, tier, created_at } = daemon;
  // One statement, so that two accounts that enrol the same key at once cannot both succeed.
  const row = await open(db)
    .insert(daemons)
    .values({ id, account, name, payout, tier, created_at })
    .onConflictDoUpdate({
      target: daemons.id,
      set: { name, payout, tier },
      setWhere: eq(daemons.account, sql`excluded.account`),
    })
    .returning()
    .get();
  // Drizzle's type promises a row, but an update whose condition fails returns none.
  return (row as typeof row | undefined) === undefined
    ? { type: "conflict" }
    : { type: "enrolled", daemon: row as DaemonRecord };
}

/** An account's daemons in order of id, those after `after`; `limit` is at most a page. */
export async function listDaemons(
  db: D1Database,
  account: AccountId,
  { after = "", limit = LIMITS.pageRows }: { after?: string; limit?: number } = {},
): Promise<DaemonRecord[]> {
  const rows = await open(db)
    .select()
    .from(daemons)
    .where(and(eq(daemons.account, account), gt(daemons.id, after)))
    .orderBy(asc(daemons.id))
    .limit(Math.min(limit, LIMITS.maxPageRows))
    .all();
  return rows as DaemonRecord[];
}

/**
 * Drains an account's daemon, or resumes it, and gives it as it is then; null where the account has no such daemon. Draining
 * twice keeps the first time.
 */
export async function drainDaemon(
  db: D1Database,
  id: DaemonId,
  account: AccountId,
  change: { readonly drained: boolean; readonly now: number },
): Promise<DaemonRecord | null> {
  const drained_at = change.drained ? sql<number>`coalesce(${daemons.drained_at}, ${change.now})` : null;
  const isOwn = and(eq(daemons.id, id), eq(daemons.account, account));
  const [row] = await open(db).update(daemons).set({ drained_at }).where(isOwn).returning();
  return (row as DaemonRecord | undefined) ?? null;
}

/** A daemon by its id, whoever owns it, or null. */
export async function getDaemon(db: D1Database, id: DaemonId): Promise<DaemonRecord | null> {
  const row = await open(db).select().from(daemons).where(eq(daemons.id, id)).get();
  return (row as DaemonRecord | undefined) ?? null;
}
