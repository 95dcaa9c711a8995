/** The secrets of newcomers' draws in D1, and what was published of them. */

import type { D1Database } from "@cloudflare/workers-types";
import { and, asc, eq, gte, isNull, lt } from "drizzle-orm";
import { open } from "./client.ts";
import { auctionDraws } from "./schema.ts";

export type DrawRow = typeof auctionDraws.$inferSelect;

/** The rows from a day on, in order of day. */
export async function drawsFrom(db: D1Database, day: number): Promise<DrawRow[]> {
  return open(db).select().from(auctionDraws).where(gte(auctionDraws.day, day)).orderBy(asc(auctionDraws.day)).all();
}

export async function drawOf(db: D1Database, day: number): Promise<DrawRow | null> {
  return (await open(db).select().from(auctionDraws).where(eq(auctionDraws.day, day)).get()) ?? null;
}

/** The days before one whose secrets are not revealed. */
export async function unrevealedBefore(db: D1Database, day: number): Promise<DrawRow[]> {
  return open(db)
    .select()
    .from(auctionDraws)
    .where(and(lt(auctionDraws.day, day), isNull(auctionDraws.secret)))
    .all();
}

/** Publishes a commitment. One that is there stays as it is. */
export async function commitDraws(db: D1Database, row: Omit<DrawRow, "secret">): Promise<void> {
  await open(db)
    .insert(auctionDraws)
    .values({ ...row, secret: null })
    .onConflictDoNothing()
    .run();
}

export async function revealDraws(db: D1Database, day: number, secret: string): Promise<void> {
  await open(db)
    .update(auctionDraws)
    .set({ secret })
    .where(and(eq(auctionDraws.day, day), isNull(auctionDraws.secret)))
    .run();
}
