/**
 * The account's last resort for receipts that were posted but never reached the log, because relay and daemon both went
 * away (architecture.md, step 6): it asks D1 which of its receipts it has and sends the missing ones to the queue again.
 */

import { LIMITS } from "../../core/limits.ts";
import { packReceipts, signReceipt } from "../shared/receipt-queue.ts";
import type { AccountStore, EntryRow } from "./store.ts";

const CONFIRMED = "confirmed_seq";
/** A receipt this young may still be on its way through the queue. */
const YOUNG_MS = 60_000;

export interface LogCheckEnv {
  readonly DB: D1Database;
  readonly RECEIPTS: Queue;
  readonly NETWORK_SEED: string;
}

/** What is left to do: nothing, look again at the next alarm, or go on at once with entries that were not read yet. */
export type LogCheckResult = "done" | "pending" | "more";

/** Whether the log may lack some of an account's receipts. */
export function isConfirmed(store: AccountStore, lastSeq: number): boolean {
  return Number(store.setting(CONFIRMED) ?? 0) >= lastSeq;
}

/** Confirms receipts in order up to the first one that the log lacks; sends every missing one again. */
export async function checkLog(
  store: AccountStore,
  env: LogCheckEnv,
  lastSeq: number,
  now: number,
): Promise<LogCheckResult> {
  const before = Number(store.setting(CONFIRMED) ?? 0);
  const entries = store.entries(before + 1, LIMITS.reemitReceipts);
  const settled = entries.filter((entry) => entry.at <= now - YOUNG_MS);
  const receipts = settled.filter(isReceipt);
  const known = await inLog(env.DB, receipts);
  const missing = receipts.filter((entry) => !known.has(keyOf(entry)));
  const signed = await Promise.all(missing.map((entry) => signReceipt(env, entry.body)));
  for (const message of packReceipts(signed)) await env.RECEIPTS.send(message, { contentType: "json" });

  const firstMissing = missing[0]?.seq;
  const confirmed = firstMissing === undefined ? (settled.at(-1)?.seq ?? before) : firstMissing - 1;
  if (confirmed !== before) store.set(CONFIRMED, String(confirmed));
  if (confirmed >= lastSeq) return "done";
  // A busy account makes more entries between two alarms than one reading covers.
  return missing.length === 0 && settled.length === LIMITS.reemitReceipts ? "more" : "pending";
}

function isReceipt(entry: EntryRow): boolean {
  return entry.type === "spent";
}

function keyOf({ event }: EntryRow): string {
  return event.type === "posted" ? `${event.job}/${event.n}` : "";
}

async function inLog(db: D1Database, receipts: readonly EntryRow[]): Promise<Set<string>> {
  if (receipts.length === 0) return new Set();
  const pairs = receipts.map(({ event }) => (event.type === "posted" ? [event.job, event.n] : []));
  const { results } = await db
    .prepare(
      `SELECT receipts.job || '/' || receipts.n AS key
       FROM json_each(?) AS wanted
       CROSS JOIN receipts ON receipts.job = wanted.value ->> 0 AND receipts.n = wanted.value ->> 1`,
    )
    .bind(JSON.stringify(pairs))
    .all<{ key: string }>();
  return new Set(results.map((row) => row.key));
}
