/** Requests with known answers, which daemons are probed with (economics.md §9). */

import type { D1Database } from "@cloudflare/workers-types";
import { and, asc, count, eq } from "drizzle-orm";
import { LIMITS } from "../core/limits.ts";
import { open } from "./client.ts";
import { probes } from "./schema.ts";

export type ProbeRow = typeof probes.$inferSelect;

/** A model's known answers, oldest first. */
export async function listProbes(db: D1Database, model: string): Promise<ProbeRow[]> {
  return open(db)
    .select()
    .from(probes)
    .where(eq(probes.model, model))
    .orderBy(asc(probes.created_at), asc(probes.id))
    .all();
}

/**
 * Keeps a request's known answers; those that it had before give way. False where the model has as many requests already as
 * it may have.
 */
export async function putProbe(db: D1Database, probe: ProbeRow): Promise<boolean> {
  const drizzle = open(db);
  const others = await drizzle.select({ others: count() }).from(probes).where(eq(probes.model, probe.model)).get();
  const isKnown = (await drizzle.select().from(probes).where(key(probe.model, probe.id)).get()) !== undefined;
  if (!isKnown && (others?.others ?? 0) >= LIMITS.probesOfModel) return false;
  const { answers } = probe;
  await drizzle
    .insert(probes)
    .values(probe)
    .onConflictDoUpdate({ target: [probes.model, probes.id], set: { answers } })
    .run();
  return true;
}

/** Forgets a request. False where there was none. */
export async function removeProbe(db: D1Database, model: string, id: string): Promise<boolean> {
  const removed = await open(db).delete(probes).where(key(model, id)).returning({ id: probes.id }).all();
  return removed.length > 0;
}

function key(model: string, id: string) {
  return and(eq(probes.model, model), eq(probes.id, id));
}
