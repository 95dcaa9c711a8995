/**
 * Appending to the log: a segment to R2, then one D1 batch (docs/decisions/0001-append-without-a-marker.md).
 *
 * The segment's PRIMARY KEY is the log's size as it was read, and sizes only ever grow by whole segments: whoever read a
 * size that is no longer true meets the key of the segment that was appended since, and the batch fails as a whole. So
 * indexes are dense and nothing is counted twice, without a lock and without a marker row.
 */

import type { AuctionRecord } from "../core/auction/record.ts";
import type { JobId } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import type { ReceiptBody } from "../core/receipt/body.ts";
import { failedCheckOf } from "../core/receipt/checks.ts";
import { sumFunding } from "../core/receipt/funding.ts";
import { rollUp } from "../core/receipt/rollup.ts";
import { windowOf } from "../core/windows.ts";
import { claimLate, type NewFailedCheck, openChecks, type Subject } from "../db/checks.ts";
import { type Failure, failureOf } from "../db/failure.ts";
import { appendSegment, keyText, type ReceiptRow, readLog, type SegmentReceipt, type WindowSums } from "../db/log.ts";
import type { SignedReceipt } from "../protocol/receipt.ts";
import { auctionLine, makeSegment, putSegment, segmentLine } from "./segments.ts";

/** A checked receipt on its way into the log. */
export interface Entry {
  readonly receipt: SignedReceipt;
  readonly body: ReceiptBody;
  /** The record of the auction that it comes from, where it brings one. */
  readonly auction?: AuctionRecord;
}

/** What was refused, and why. */
export interface Poison {
  readonly item: unknown;
  readonly reason: string;
}

export interface Appended {
  readonly appended: number;
  readonly duplicates: number;
  readonly poison: readonly Poison[];
}

export interface AppendedReceipts extends Appended {
  /** Whether failed checks may have something to do now, because of these receipts or anyway. */
  readonly checksDue: boolean;
}

/** Where the log is kept, and how long its receipts wait before they can be settled. */
export interface Log {
  readonly DB: D1Database;
  readonly SEGMENTS: R2Bucket;
  readonly settlementDelayMs: number;
}

/**
 * Appends entries of different keys in their order and leaves out those that the log has. Entries that do not fit the
 * tables come back as poison. Throws on anything else; then at worst some of the entries were appended, each of them
 * whole, and the same call again appends the rest.
 */
export async function append(entries: readonly Entry[], log: Log, now: number): Promise<AppendedReceipts> {
  if (entries.length === 0) return { appended: 0, duplicates: 0, poison: [], checksDue: false };
  const bodies = entries.map(({ body }) => body);
  const subjects = subjectsOf(bodies);
  const isFailure = checksOf(bodies).length > 0;
  for (let attempt = 0; attempt < LIMITS.appendAttempts; attempt++) {
    const { size, existing, concern } = await readLog(log.DB, bodies, subjects, now);
    const checksDue = isFailure || concern.late || concern.due;
    const { fresh, duplicates, poison } = sift(entries, existing);
    if (fresh.length === 0) return { appended: 0, duplicates, poison, checksDue };
    const result = await write(fresh, { size, late: concern.late }, log, now);
    if (result === "written") return { appended: fresh.length, duplicates, poison, checksDue };
    if (result === "unfit") {
      const rest = await appendApart(fresh, log, now);
      return { ...rest, duplicates: duplicates + rest.duplicates, poison: [...poison, ...rest.poison], checksDue };
    }
  }
  throw new Error(`other appenders were faster ${LIMITS.appendAttempts} times`);
}

/** Appends halves by themselves, down to single entries: the one that does not fit is found, its neighbours get in. */
async function appendApart(entries: readonly Entry[], log: Log, now: number): Promise<AppendedReceipts> {
  const [only] = entries;
  if (only !== undefined && entries.length === 1) {
    return {
      appended: 0,
      duplicates: 0,
      poison: [{ item: only.receipt, reason: "a value does not fit the log's tables" }],
      checksDue: false,
    };
  }
  const middle = entries.length >> 1;
  const first = await append(entries.slice(0, middle), log, now);
  const second = await append(entries.slice(middle), log, now);
  return {
    appended: first.appended + second.appended,
    duplicates: first.duplicates + second.duplicates,
    poison: [...first.poison, ...second.poison],
    checksDue: first.checksDue || second.checksDue,
  };
}

/** Parts entries into new ones and ones that the log has. A different receipt of the same key is poison. */
function sift(
  entries: readonly Entry[],
  existing: ReadonlyMap<string, ReceiptRow>,
): { fresh: Entry[]; duplicates: number; poison: Poison[] } {
  const fresh: Entry[] = [];
  const poison: Poison[] = [];
  for (const entry of entries) {
    const row = existing.get(keyText(entry.body));
    if (row === undefined) fresh.push(entry);
    else if (!isSame(row, slim(entry.body))) poison.push({ item: entry.receipt, reason: OTHER_RECEIPT });
  }
  return { fresh, duplicates: entries.length - fresh.length - poison.length, poison };
}

/** The reason for a receipt whose (job, n) another one has. */
export const OTHER_RECEIPT = "the log has another receipt of this job and number";

/** Writes one segment, or says why not: another appender was faster, or a value does not fit. Throws on anything else. */
async function write(
  entries: readonly Entry[],
  { size, late }: { readonly size: number; readonly late: boolean },
  log: Log,
  now: number,
): Promise<"written" | Exclude<Failure, "unknown">> {
  const { DB, SEGMENTS, settlementDelayMs } = log;
  const window = windowOf(now, settlementDelayMs);
  const sums = sumsOf(entries, window);
  if (sums === null) return "unfit";
  // Each receipt is followed by the record of its auction, where it comes from one.
  const lines = entries.map(({ receipt, auction }) => [
    segmentLine(receipt),
    ...(auction ? [auctionLine(auction)] : []),
  ]);
  const segment = await makeSegment(lines.flat());
  // First the bytes: a segment without rows is litter, rows without a segment would be a hole in the log.
  await putSegment(SEGMENTS, segment);
  let line = 0;
  const rows = entries.map(({ body }, index) => {
    const { offset, length } = segment.places[line] as (typeof segment.places)[number];
    line += lines[index]?.length ?? 0;
    return { ...slim(body), offset, length };
  });
  const { hash, bytes } = segment;
  const jobs = rows.map(({ job }) => job as JobId);
  // Text order is the order of time.
  const least_job = jobs.reduce((least, job) => (job < least ? job : least));
  const row = { first_index: size, count: entries.length, hash, bytes: bytes.length, at: now, least_job };
  const failed = checksOf(entries.map(({ body }) => body));
  const alongside = [
    ...(failed.length > 0 ? [openChecks(DB, failed, settlementDelayMs, now)] : []),
    // A check that failed meanwhile would have made the log longer: this segment's key would be taken.
    ...(late ? [claimLate(DB, jobs, now)] : []),
  ];
  try {
    await appendSegment(DB, row, rows, window, sums, alongside);
  } catch (error) {
    const failure = failureOf(error);
    if (failure === "unknown") throw error;
    return failure;
  }
  return "written";
}

/** The checks that some receipts say were failed. */
function checksOf(bodies: readonly ReceiptBody[]): NewFailedCheck[] {
  return bodies.flatMap((body) => {
    const name = failedCheckOf(body);
    const { job, daemon, model, provider, times } = body;
    return name === null ? [] : [{ job, name, daemon, model, provider, at: times.completed }];
  });
}

/** Each daemon and model among some receipts, with when the first of theirs ended. */
function subjectsOf(bodies: readonly ReceiptBody[]): Subject[] {
  const subjects = new Map<string, Subject>();
  for (const { daemon, model, times } of bodies) {
    const key = `${daemon} ${model}`;
    const before = subjects.get(key)?.at ?? Number.POSITIVE_INFINITY;
    if (times.completed < before) subjects.set(key, { daemon, model, at: times.completed });
  }
  return [...subjects.values()];
}

/** The sums of entries, or null where one of them is more than an amount may be. */
function sumsOf(entries: readonly Entry[], window: number): WindowSums | null {
  const bodies = entries.map(({ body }) => body);
  try {
    return { rollups: rollUp(bodies, window), fundings: sumFunding(bodies, window) };
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

type Slim = Omit<SegmentReceipt, "offset" | "length">;

/** What the log's index keeps of a body. */
function slim(body: ReceiptBody): Slim {
  const { job, n, outcome, lane, model, consumer, provider, daemon, times, charge, usage } = body;
  const { nano_usd, millicredits } = charge;
  const { prompt, completion } = usage;
  const at = times.completed;
  return { job, n, at, outcome, lane, model, consumer, provider, daemon, nano_usd, millicredits, prompt, completion };
}

function isSame(row: ReceiptRow, body: Slim): boolean {
  return (Object.keys(body) as (keyof Slim)[]).every((name) => row[name] === body[name]);
}
