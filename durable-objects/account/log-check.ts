/**
 * The account's last resort for receipts that were posted but never reached the log, because relay and daemon both went
 * away (architecture.md, step 6): it asks D1 which of its receipts it has and sends the missing ones to the queue again.
 */

import { LIMITS } from "../../core/limits.ts";
import { emit, emitError } from "../shared/events.ts";
import { packReceipts, signReceipt } from "../shared/receipt-queue.ts";
import type { AccountStore, EntryRow } from "./store.ts";

const CHECKED = "log_checked";
/** A receipt that was sent again so often is one that the log refuses: it lies among the dead letters. */
const MOST_TIMES = 4;
/** A receipt this young may still be on its way through the queue. */
const YOUNG_MS = 60_000;

export interface LogCheckEnv {
  readonly DB: D1Database;
  readonly RECEIPTS: Queue;
  readonly NETWORK_SEED: string;
}

/** What is left to do: nothing, look again at the next alarm, or go on at once with entries that were not read yet. */
export type LogCheckResult = "done" | "pending" | "more";

/** A receipt that the log lacked, and how often it was sent again. */
interface Missing {
  readonly seq: number;
  readonly times: number;
}

/** Whether the log may lack some of an account's receipts. */
export function isConfirmed(store: AccountStore, lastSeq: number): boolean {
  return checkedSeq(store) >= lastSeq && missingOf(store).length === 0;
}

/** Sends a reversal to the log, which ignores what it has already. Where the queue is away the alarm sends it again. */
export async function sendReversal(env: LogCheckEnv, body: string): Promise<void> {
  const receipt = await signReceipt(env, body);
  for (const message of packReceipts([receipt])) {
    await env.RECEIPTS.send(message, { contentType: "json" }).catch((error: unknown) =>
      emitError("queue_send_failed", error, { receipts: 1 }),
    );
  }
}

/**
 * Asks the log for the receipts that it was not asked for yet and for the ones it lacked before, and sends again what it
 * lacks. One that the log never takes does not keep others from being looked after.
 */
export async function checkLog(
  store: AccountStore,
  env: LogCheckEnv,
  lastSeq: number,
  now: number,
): Promise<LogCheckResult> {
  const checked = checkedSeq(store);
  const earlier = missingOf(store);
  const entries = store.entries(checked + 1, LIMITS.reemitReceipts);
  const settled = entries.filter((entry) => entry.at <= now - YOUNG_MS);
  const times = new Map(earlier.map((missing) => [missing.seq, missing.times]));
  const asked = [...earlier.flatMap(({ seq }) => store.entries(seq, 1)), ...settled.filter(isReceipt)];
  const known = await inLog(env.DB, asked);
  const lacking = asked.filter((entry) => !known.has(keyOf(entry)));
  const again = lacking.filter((entry) => (times.get(entry.seq) ?? 0) < MOST_TIMES);
  const signed = await Promise.all(again.map((entry) => signReceipt(env, entry.body)));
  for (const message of packReceipts(signed)) await env.RECEIPTS.send(message, { contentType: "json" });
  for (const entry of lacking) if (!again.includes(entry)) emit("receipt_not_in_log", { seq: entry.seq });

  const missing = again.map(({ seq }) => ({ seq, times: (times.get(seq) ?? 0) + 1 }));
  const reached = settled.at(-1)?.seq ?? checked;
  if (reached !== checked || missing.length > 0 || earlier.length > 0) {
    store.set(CHECKED, JSON.stringify({ seq: reached, missing }));
  }
  // A busy account makes more entries between two alarms than one reading covers.
  if (settled.length === LIMITS.reemitReceipts) return "more";
  return reached < lastSeq || missing.length > 0 ? "pending" : "done";
}

interface Checked {
  readonly seq: number;
  readonly missing: readonly Missing[];
}

function stateOf(store: AccountStore): Checked {
  const text = store.setting(CHECKED);
  return text === null ? { seq: 0, missing: [] } : (JSON.parse(text) as Checked);
}

function checkedSeq(store: AccountStore): number {
  return stateOf(store).seq;
}

function missingOf(store: AccountStore): readonly Missing[] {
  return stateOf(store).missing;
}

function isReceipt(entry: EntryRow): boolean {
  return entry.event.type === "posted" || entry.event.type === "reversed";
}

function keyOf({ event }: EntryRow): string {
  return event.type === "posted" || event.type === "reversed" ? `${event.job}/${event.n}` : "";
}

async function inLog(db: D1Database, receipts: readonly EntryRow[]): Promise<Set<string>> {
  if (receipts.length === 0) return new Set();
  const pairs = receipts.map(({ event }) =>
    event.type === "posted" || event.type === "reversed" ? [event.job, event.n] : [],
  );
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
