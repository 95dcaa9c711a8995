/** Messages that wallets were asked to sign, in D1: each is given out once and taken once. */

import type { D1Database } from "@cloudflare/workers-types";
import { and, eq, gt, inArray, isNull, lte } from "drizzle-orm";
import { LIMITS } from "../core/limits.ts";
import { open } from "./client.ts";
import { challenges } from "./schema.ts";

export type Challenge = typeof challenges.$inferSelect;

/** Keeps a new challenge, and drops some that have expired: more than come, so that they never pile up. */
export async function addChallenge(db: D1Database, challenge: Omit<Challenge, "used_at">, now: number): Promise<void> {
  const d1 = open(db);
  const expired = d1
    .select({ id: challenges.id })
    .from(challenges)
    .where(lte(challenges.expires_at, now))
    .limit(LIMITS.challengesSwept);
  await d1.batch([
    d1.insert(challenges).values({ ...challenge, used_at: null }),
    d1.delete(challenges).where(inArray(challenges.id, expired)),
  ]);
}

/** A challenge by its id, used and expired ones too, or null. */
export async function getChallenge(db: D1Database, id: string): Promise<Challenge | null> {
  return (await open(db).select().from(challenges).where(eq(challenges.id, id)).get()) ?? null;
}

/** Uses an open challenge up. Of several calls at once one gets true. */
export async function takeChallenge(db: D1Database, id: string, now: number): Promise<boolean> {
  const isOpen = and(eq(challenges.id, id), isNull(challenges.used_at), gt(challenges.expires_at, now));
  const taken = await open(db).update(challenges).set({ used_at: now }).where(isOpen).returning({ id: challenges.id });
  return taken.length > 0;
}
