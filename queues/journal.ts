/**
 * Appending to the journal: entries that move money and are no receipts, in double entry (protocol/postings.ts). Each row goes
 * in once with its part of the totals, however often and in whatever order its message comes.
 */

import { LIMITS } from "../core/limits.ts";
import { failureOf } from "../db/failure.ts";
import { appendJournal, existingJournal, type JournalRow, journalKeyText } from "../db/journal.ts";
import { parseEntryBody } from "../protocol/entry.ts";
import { journalEntry } from "../protocol/internal/queue.ts";
import { postingsOf } from "../protocol/postings.ts";
import type { Appended, Poison } from "./append.ts";

/** The reason for an entry in whose place another one stands. */
const OTHER_ENTRY = "the journal has another entry of this account and number";

/** An item of a message with the row that it becomes. */
interface Line {
  readonly item: unknown;
  readonly row: JournalRow;
}

/** Appends what is new among some items. Those that are no entries, or do not fit, come back as poison. */
export async function appendEntries(items: readonly unknown[], db: D1Database): Promise<Appended> {
  const { lines, duplicates, poison } = readLines(items);
  const result = await append(lines, db);
  return {
    appended: result.appended,
    duplicates: duplicates + result.duplicates,
    poison: [...poison, ...result.poison],
  };
}

/** Reads items into lines of different keys. */
function readLines(items: readonly unknown[]): { lines: Line[]; duplicates: number; poison: Poison[] } {
  const lines = new Map<string, Line>();
  const poison: Poison[] = [];
  let duplicates = 0;
  for (const item of items) {
    const row = journalRowOf(item);
    if ("error" in row) {
      poison.push({ item, reason: row.error });
      continue;
    }
    const known = lines.get(journalKeyText(row));
    if (known === undefined) lines.set(journalKeyText(row), { item, row });
    else if (isSameRow(known.row, row)) duplicates += 1;
    else poison.push({ item, reason: OTHER_ENTRY });
  }
  return { lines: [...lines.values()], duplicates, poison };
}

/** The row of an entry, or what is wrong with it; a reason never repeats a value. */
export function journalRowOf(item: unknown): JournalRow | { readonly error: string } {
  const entry = journalEntry.safeParse(item);
  if (!entry.success) return { error: "malformed entry" };
  const { account, type, body: text } = entry.data;
  const body = parseEntryBody(type, text);
  if ("error" in body) return { error: "malformed body of an entry" };
  if (body.type === "spent") return { error: "a receipt is none of the journal's entries" };
  if ("reason" in body.plain) return { error: "the end of a hold moves nothing" };
  const row = {
    account,
    seq: body.plain.seq,
    type,
    at: body.plain.at,
    lots_usdc: 0,
    lots_none: 0,
    treasury: 0,
    pool: 0,
    issuance: 0,
    suspense: 0,
  };
  for (const { book, holder, backing, amount } of postingsOf(body, account)) {
    const column = book === "lots" ? (`lots_${backing}` as const) : (holder as "treasury");
    row[column] += amount;
  }
  return row;
}

async function append(lines: readonly Line[], db: D1Database): Promise<Appended> {
  if (lines.length === 0) return { appended: 0, duplicates: 0, poison: [] };
  for (let attempt = 0; attempt < LIMITS.appendAttempts; attempt++) {
    const existing = await existingJournal(
      db,
      lines.map(({ row }) => row),
    );
    const fresh = lines.filter(({ row }) => !existing.has(journalKeyText(row)));
    const poison = lines
      .filter(({ row }) => !isSameRow(existing.get(journalKeyText(row)) ?? row, row))
      .map(({ item }) => ({ item, reason: OTHER_ENTRY }));
    const duplicates = lines.length - fresh.length - poison.length;
    if (fresh.length === 0) return { appended: 0, duplicates, poison };
    try {
      await appendJournal(
        db,
        fresh.map(({ row }) => row),
      );
      return { appended: fresh.length, duplicates, poison };
    } catch (error) {
      // A row that is checked fits its table; whatever else this is, the whole batch comes again.
      if (failureOf(error) !== "taken") throw error;
    }
  }
  throw new Error(`other appenders were faster ${LIMITS.appendAttempts} times`);
}

/** Whether two rows say the same of an entry. */
export function isSameRow(one: JournalRow, other: JournalRow): boolean {
  return (Object.keys(one) as (keyof JournalRow)[]).every((name) => one[name] === other[name]);
}
