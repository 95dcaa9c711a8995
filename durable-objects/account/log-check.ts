/**
 * How an account sees to it that D1 has its entries: it asks which of them it has and sends the missing ones to the queue.
 * For receipts this is the last resort, where relay and daemon both went away (architecture.md, step 6). The other entries
 * that move money take no other way to the journal, so that nobody waits for a queue.
 */

import type { AccountId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { emit, emitError } from "../shared/events.ts";
import { packEntries, packReceipts, signReceipt } from "../shared/receipt-queue.ts";
import { AccountStore, type EntryRow } from "./store.ts";

/** Under which an account's own id is kept: an object that an alarm woke is not told its name. */
const ACCOUNT = "account";
const CHECKED = "log_checked";
/** An entry that was sent again so often is one that D1 refuses: it lies among the dead letters. */
const MOST_TIMES = 4;
/** An entry this young may still be on its way through the queue. */
const YOUNG_MS = 60_000;

export interface LogCheckEnv {
  readonly DB: D1Database;
  readonly RECEIPTS: Queue;
  readonly NETWORK_SEED: string;
}

/** What is left to do: nothing, look again at the next alarm, or go on at once with entries that were not read yet. */
export type LogCheckResult = "done" | "pending" | "more";

/** An entry that D1 lacked, and how often it was sent again. */
interface Missing {
  readonly seq: number;
  readonly times: number;
  /** When it was sent last. */
  readonly at: number;
}

/** Keeps the account's id, once: the object's name, which it is told by callers and not by alarms. */
export function rememberAccount(store: AccountStore, name: string | undefined): void {
  if (name !== undefined && store.setting(ACCOUNT) === null) store.set(ACCOUNT, name);
}

/** The id that was kept, or null. */
export function accountIn(sql: SqlStorage): string | null {
  return new AccountStore(sql).setting(ACCOUNT);
}

/** Whether D1 is known to have all of an account's entries that it should have. */
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
 * Asks D1 for the entries that it was not asked for yet and for the ones it lacked before, and sends what it lacks. One
 * that it never takes does not keep others from being looked after.
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
  const account = store.setting(ACCOUNT);
  // Without a name the journal waits for the next caller: its entries must not pass for checked.
  const nameless = account === null ? entries.find(isJournaled) : undefined;
  const settled = entries.filter(({ at, seq }) => at <= now - YOUNG_MS && seq < (nameless?.seq ?? Infinity));
  const times = new Map(earlier.map((missing) => [missing.seq, missing.times]));
  const isAsked = (entry: EntryRow): boolean => isReceipt(entry) || isJournaled(entry);
  const due = earlier.filter(({ at }) => at <= now - YOUNG_MS);
  const asked = [...due.flatMap(({ seq }) => store.entries(seq, 1)), ...settled.filter(isAsked)];
  const known = await inD1(env.DB, account, asked);
  const lacking = asked.filter((entry) => !known.has(entry.seq));
  const again = lacking.filter((entry) => (times.get(entry.seq) ?? 0) < MOST_TIMES);
  const signed = await Promise.all(again.filter(isReceipt).map((entry) => signReceipt(env, entry.body)));
  const others = again.filter(isJournaled).map(({ type, body }) => ({ account: account as AccountId, type, body }));
  for (const message of [...packReceipts(signed), ...packEntries(others)]) {
    await env.RECEIPTS.send(message, { contentType: "json" });
  }
  for (const entry of lacking) if (!again.includes(entry)) emit("entry_not_in_log", { seq: entry.seq });

  const sent = again.map(({ seq }) => ({ seq, times: (times.get(seq) ?? 0) + 1, at: now }));
  const missing = [...earlier.filter((entry) => !due.includes(entry)), ...sent];
  const reached = settled.at(-1)?.seq ?? checked;
  if (reached !== checked || missing.length > 0 || earlier.length > 0) {
    store.set(CHECKED, JSON.stringify({ seq: reached, missing }));
  }
  // A busy account makes more entries between two alarms than one reading covers.
  if (settled.length === LIMITS.reemitReceipts) return "more";
  if (missing.length > 0) return "pending";
  return reached < lastSeq && nameless === undefined ? "pending" : "done";
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

/** Whether an entry moves money and is no receipt. */
function isJournaled({ event }: EntryRow): boolean {
  if (event.type === "extended") return event.parts.some(({ amount }) => amount > 0);
  return ["credited", "lot_expired", "sent", "received"].includes(event.type);
}

/** The numbers of those entries that D1 has: receipts in the log, the others in the journal. */
async function inD1(db: D1Database, account: string | null, entries: readonly EntryRow[]): Promise<Set<number>> {
  if (entries.length === 0) return new Set();
  const receipts = entries.flatMap(({ seq, event }) =>
    event.type === "posted" || event.type === "reversed" ? [[seq, event.job, event.n]] : [],
  );
  const others = entries.filter(isJournaled).map(({ seq }) => seq);
  const found = await db.batch<{ seq: number }>([
    db
      .prepare(
        `SELECT wanted.value ->> 0 AS seq
         FROM json_each(?) AS wanted
         CROSS JOIN receipts ON receipts.job = wanted.value ->> 1 AND receipts.n = wanted.value ->> 2`,
      )
      .bind(JSON.stringify(receipts)),
    db
      .prepare(
        `SELECT journal.seq AS seq
         FROM json_each(?2) AS wanted
         CROSS JOIN journal ON journal.account = ?1 AND journal.seq = wanted.value`,
      )
      .bind(account ?? "", JSON.stringify(others)),
  ]);
  return new Set(found.flatMap(({ results }) => results.map(({ seq }) => seq)));
}
