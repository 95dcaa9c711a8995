/**
 * The receipt log's index in D1. Only queues/receipts.ts appends; everybody may read. Many rows go in by one JSON
 * parameter with json_each, because a statement takes at most 100 parameters, and only `batch()` is atomic.
 */

import type { D1Database, D1PreparedStatement } from "@cloudflare/workers-types";
import { asc, desc, eq, getTableColumns, lte } from "drizzle-orm";
import type { JobId } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import type { Funding } from "../core/receipt/funding.ts";
import type { Rollup } from "../core/receipt/rollup.ts";
import { askConcern, type Concern, concernOf, type Subject } from "./checks.ts";
import { open } from "./client.ts";
import { receipts, segments } from "./schema.ts";

export type ReceiptRow = typeof receipts.$inferSelect;
export type SegmentRow = typeof segments.$inferSelect;

/** What names a receipt: the job, and 0 or the number of the reversal. */
export interface ReceiptKey {
  readonly job: JobId;
  readonly n: number;
}

/** A receipt's key as one text. */
export function keyText({ job, n }: { readonly job: string; readonly n: number }): string {
  return `${job}/${n}`;
}

/** A receipt's row without what follows from its segment, its place there and its window. */
export type SegmentReceipt = Omit<ReceiptRow, "log_index" | "segment" | "window">;

const COLUMNS = Object.keys(getTableColumns(receipts)).filter(
  (name) => !["log_index", "segment", "window"].includes(name),
) as (keyof SegmentReceipt)[];
const ROLLUP_KEY = ["window", "side", "payee", "lane", "backing"] as const;
const ROLLUP_SUMS = ["nano_usd", "millicredits", "receipts"] as const;

const quoted = (names: readonly string[]) => names.map((name) => `"${name}"`).join(", ");
const fromJson = (names: readonly string[]) => names.map((_, index) => `value->>${index}`).join(", ");

const SIZE = `SELECT first_index + "count" AS size FROM segments ORDER BY first_index DESC LIMIT 1`;
// CROSS JOIN keeps the order: a few given keys are looked up, the log is never scanned.
const EXISTING = `SELECT r.* FROM json_each(?1) AS k CROSS JOIN receipts AS r
  ON r.job = k.value->>0 AND r.n = k.value->>1`;
const INSERT_RECEIPTS = `INSERT INTO receipts (${quoted(COLUMNS)}, log_index, segment, "window")
  SELECT ${fromJson(COLUMNS)}, ?2 + key, ?3, ?4 FROM json_each(?1)`;
// "WHERE true" lets SQLite's parser tell the upsert's ON from a join's.
const ADD_ROLLUPS = `INSERT INTO rollups (${quoted([...ROLLUP_KEY, ...ROLLUP_SUMS])})
  SELECT ${fromJson([...ROLLUP_KEY, ...ROLLUP_SUMS])} FROM json_each(?1) WHERE true
  ON CONFLICT (${quoted(ROLLUP_KEY)}) DO UPDATE SET
  ${ROLLUP_SUMS.map((name) => `"${name}" = "${name}" + excluded."${name}"`).join(", ")}`;

const ADD_FUNDINGS = `INSERT INTO fundings ("window", kind, charged, fees)
  SELECT ?2, value->>0, value->>1, value->>2 FROM json_each(?1) WHERE true
  ON CONFLICT ("window", kind) DO UPDATE SET charged = charged + excluded.charged, fees = fees + excluded.fees`;

/** How many receipts the log has, which is also the next log index. */
export async function logSize(db: D1Database): Promise<number> {
  return (await db.prepare(SIZE).first<number>("size")) ?? 0;
}

/** The keys among `keys` whose receipts the log has, as {@link keyText}. */
export async function existingReceipts(db: D1Database, keys: readonly ReceiptKey[]): Promise<Set<string>> {
  const { results } = await findExisting(db, keys).all<ReceiptRow>();
  return new Set(results.map(keyText));
}

/** The log's size, those of some receipts that it has already, and how failed checks concern them: all of one moment. */
export async function readLog(
  db: D1Database,
  keys: readonly ReceiptKey[],
  subjects: readonly Subject[],
  now: number,
): Promise<{ size: number; existing: Map<string, ReceiptRow>; concern: Concern }> {
  const [sizes, rows, checks] = await db.batch([
    db.prepare(SIZE),
    findExisting(db, keys),
    askConcern(db, subjects, now),
  ]);
  const [last] = (sizes?.results ?? []) as { size: number }[];
  const existing = ((rows?.results ?? []) as ReceiptRow[]).map((row) => [keyText(row), row] as const);
  return { size: last?.size ?? 0, existing: new Map(existing), concern: concernOf(checks) };
}

function findExisting(db: D1Database, keys: readonly ReceiptKey[]): D1PreparedStatement {
  return db.prepare(EXISTING).bind(JSON.stringify(keys.map(({ job, n }) => [job, n])));
}

/** What a segment adds to the sums of its window. */
export interface WindowSums {
  readonly rollups: readonly Rollup[];
  readonly fundings: readonly Funding[];
}

/**
 * Appends a segment with its receipts' rows, in its order, their sums, and what `alongside` writes, all or nothing. Throws what D1 throws:
 * {@link failureOf} tells a racing appender (the segment's first index or a receipt is taken) from a row that does not fit.
 */
export async function appendSegment(
  db: D1Database,
  segment: SegmentRow,
  rows: readonly SegmentReceipt[],
  window: number,
  { rollups, fundings }: WindowSums,
  alongside: readonly D1PreparedStatement[] = [],
): Promise<void> {
  const { first_index, count, hash, bytes, at, least_job } = segment;
  const statements = [
    db
      .prepare("INSERT INTO segments (first_index, count, hash, bytes, at, least_job) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
      .bind(first_index, count, hash, bytes, at, least_job),
  ];
  const { jsonRows } = LIMITS;
  for (let start = 0; start < rows.length; start += jsonRows) {
    const values = rows.slice(start, start + jsonRows).map((row) => COLUMNS.map((name) => row[name]));
    const first = first_index + start;
    statements.push(db.prepare(INSERT_RECEIPTS).bind(JSON.stringify(values), first, first_index, window));
  }
  for (let start = 0; start < rollups.length; start += jsonRows) {
    const values = rollups
      .slice(start, start + jsonRows)
      .map((rollup) => [...ROLLUP_KEY, ...ROLLUP_SUMS].map((name) => rollup[name]));
    statements.push(db.prepare(ADD_ROLLUPS).bind(JSON.stringify(values)));
  }
  if (fundings.length > 0) {
    const values = fundings.map(({ kind, charged, fees }) => [kind, charged, fees]);
    statements.push(db.prepare(ADD_FUNDINGS).bind(JSON.stringify(values), window));
  }
  await db.batch([...statements, ...alongside]);
}

/** A job's receipts in order of n, each with the name of the segment in R2 that holds it, and that segment's bytes. */
export async function receiptsOfJob(
  db: D1Database,
  job: JobId,
): Promise<(ReceiptRow & { readonly hash: string; readonly bytes: number })[]> {
  return open(db)
    .select({ ...getTableColumns(receipts), hash: segments.hash, bytes: segments.bytes })
    .from(receipts)
    .innerJoin(segments, eq(segments.first_index, receipts.segment))
    .where(eq(receipts.job, job))
    .orderBy(asc(receipts.n))
    .all();
}

/** The segment that holds a log index, or null when the log is shorter. */
export async function segmentOf(db: D1Database, index: number): Promise<SegmentRow | null> {
  const row = await open(db)
    .select()
    .from(segments)
    .where(lte(segments.first_index, index))
    .orderBy(desc(segments.first_index))
    .limit(1)
    .get();
  return row !== undefined && index < row.first_index + row.count ? row : null;
}
