/** The journal in D1 and its running totals. Only queues/journal.ts appends; many rows go in by one JSON parameter, as the log's. */

import type { D1Database } from "@cloudflare/workers-types";
import { epochOf } from "../core/allotment/epochs.ts";
import { LIMITS } from "../core/limits.ts";
import type { journal } from "./schema.ts";

export type JournalRow = typeof journal.$inferSelect;

/** What names an entry: its account and its place there. */
export type JournalKey = Pick<JournalRow, "account" | "seq">;

/** The columns of amounts, each with a total of its own: backed ones in nanoUSD, the others in millicredits. */
export const JOURNAL_SUMS = {
  lots_usdc: "usdc",
  treasury: "usdc",
  pool: "usdc",
  lots_none: "none",
  issuance: "none",
  suspense: "none",
} as const;
export type JournalSum = keyof typeof JOURNAL_SUMS;
const SUMS = Object.keys(JOURNAL_SUMS) as JournalSum[];
const COLUMNS = ["account", "seq", "type", "at", ...SUMS] as const;

const EXISTING = `SELECT j.* FROM json_each(?1) AS k CROSS JOIN journal AS j
  ON j.account = k.value->>0 AND j.seq = k.value->>1`;
const INSERT = `INSERT INTO journal (${COLUMNS.join(", ")})
  SELECT ${COLUMNS.map((_, index) => `value->>${index}`).join(", ")} FROM json_each(?1)`;
// "WHERE true" lets SQLite's parser tell the upsert's ON from a join's.
const ADD_TOTALS = `INSERT INTO journal_totals (name, amount, entries)
  SELECT value->>0, value->>1, value->>2 FROM json_each(?1) WHERE true
  ON CONFLICT (name) DO UPDATE SET amount = amount + excluded.amount, entries = entries + excluded.entries`;

/** The running total of the allotments that were taken up in an epoch. */
export function allotmentTotal(epoch: number): string {
  return `allotment/${epoch}`;
}

/** An entry's key as one text. */
export function journalKeyText({ account, seq }: JournalKey): string {
  return `${account}/${seq}`;
}

/** The rows among `keys` that the journal has, by {@link journalKeyText}. */
export async function existingJournal(db: D1Database, keys: readonly JournalKey[]): Promise<Map<string, JournalRow>> {
  const pairs = JSON.stringify(keys.map(({ account, seq }) => [account, seq]));
  const { results } = await db.prepare(EXISTING).bind(pairs).all<JournalRow>();
  return new Map(results.map((row) => [journalKeyText(row), row]));
}

/**
 * Appends rows and adds them to the totals, all or nothing. Throws what D1 throws: {@link failureOf} tells a racing appender
 * from a row that does not fit.
 */
export async function appendJournal(db: D1Database, rows: readonly JournalRow[]): Promise<void> {
  const statements = [];
  const { jsonRows } = LIMITS;
  for (let start = 0; start < rows.length; start += jsonRows) {
    const values = rows.slice(start, start + jsonRows).map((row) => COLUMNS.map((name) => row[name]));
    statements.push(db.prepare(INSERT).bind(JSON.stringify(values)));
    const totals = totalsOf(rows.slice(start, start + jsonRows));
    if (totals.length > 0) statements.push(db.prepare(ADD_TOTALS).bind(JSON.stringify(totals)));
  }
  await db.batch(statements);
}

/** What rows add to each total: its name, the amount as text, and of how many rows it is. */
function totalsOf(rows: readonly JournalRow[]): (readonly [string, string, number])[] {
  const totals = new Map<string, { amount: bigint; entries: number }>();
  const add = (name: string, amount: number): void => {
    const before = totals.get(name) ?? { amount: 0n, entries: 0 };
    // Through bigint, as many amounts that are exact each may not be together.
    totals.set(name, { amount: before.amount + BigInt(amount), entries: before.entries + 1 });
  };
  for (const row of rows) {
    for (const name of SUMS) if (row[name] !== 0) add(name, row[name]);
    // An allotment is taken up within its epoch, never later.
    if (row.type === "allotment") add(allotmentTotal(epochOf(row.at)), row.lots_usdc);
  }
  return [...totals].map(([name, { amount, entries }]) => [name, String(amount), entries]);
}
