/**
 * Checks that daemons failed, and the receipts that they take back (economics.md §9). A receipt belongs to the first check
 * that its daemon failed in its model from its end on, and it is taken back where its window was not settled when that
 * check failed. {@link claim} is that rule, for receipts that were there and for ones that come late.
 */

import type { D1Database, D1PreparedStatement, D1Result } from "@cloudflare/workers-types";
import { type AccountId, type JobId, jobIdFloor } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import { firstUnsettledWindow, WINDOW_MS } from "../core/windows.ts";
import type { checkReversals, failedChecks } from "./schema.ts";

export type FailedCheckRow = typeof failedChecks.$inferSelect;
export type CheckReversalRow = typeof checkReversals.$inferSelect;

/** A check that failed, as the receipt of its job says. */
export type NewFailedCheck = Pick<FailedCheckRow, "job" | "name" | "daemon" | "model" | "provider" | "at">;

/** Receipts of one daemon and model, the first of which ended at `at`. */
export type Subject = Pick<FailedCheckRow, "daemon" | "model" | "at">;

const LOOKING = `EXISTS (SELECT 1 FROM failed_checks WHERE "cursor" < until)`;
const CONCERN = `SELECT EXISTS (SELECT 1 FROM json_each(?1) AS k CROSS JOIN failed_checks AS f
    ON f.daemon = k.value->>0 AND f.model = k.value->>1 AND f.at >= k.value->>2) AS late,
  ${LOOKING} OR EXISTS (SELECT 1 FROM check_reversals WHERE state = 'due' AND next_at <= ?2) AS due`;
// Receipts that can be in a window that is not settled were appended within its length and its delay: there, where the
// least job stands, the looking through begins.
const OPEN = `INSERT INTO failed_checks
    (job, name, daemon, model, provider, at, until, opened_at, unsettled_from, "cursor")
  SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, ?2, ?3,
    (SELECT coalesce(min(least_job), '') FROM segments WHERE first_index >
      coalesce((SELECT first_index FROM segments WHERE at < ?4 ORDER BY first_index DESC LIMIT 1), -1))
  FROM json_each(?1) WHERE true ON CONFLICT (job) DO NOTHING`;
const NEXT_SLICE = `SELECT begin, coalesce((SELECT job FROM receipts WHERE job >= begin AND job < until
    ORDER BY job, n LIMIT 1 OFFSET ?1), until) AS stop
  FROM (SELECT min("cursor") AS begin, max(until) AS until FROM failed_checks WHERE "cursor" < until)`;
const MOVE_ON = `UPDATE failed_checks SET "cursor" = ?2 WHERE "cursor" < until AND "cursor" >= ?1 AND "cursor" < ?2
  RETURNING job, "cursor" >= until AS looked`;

/** The statement that takes note of every receipt among `source` that a failed check takes back. */
function claim(source: string): string {
  return `INSERT INTO check_reversals (job, failed, consumer, nano_usd, millicredits, state, next_at)
    SELECT r.job, f.job, r.consumer, r.nano_usd, r.millicredits, 'due', ?1
    FROM ${source} CROSS JOIN failed_checks AS f ON f.job = (SELECT c.job FROM failed_checks AS c
      WHERE c.daemon = r.daemon AND c.model = r.model AND c.at >= r.at ORDER BY c.at, c.job LIMIT 1)
    WHERE r.n = 0 AND r.nano_usd > 0 AND r."window" >= f.unsettled_from
      AND NOT EXISTS (SELECT 1 FROM receipts AS taken WHERE taken.job = r.job AND taken.n > 0)
    ON CONFLICT (job) DO NOTHING`;
}

const CLAIM_JOBS = claim("json_each(?2) AS k CROSS JOIN receipts AS r ON r.job = k.value");
const CLAIM_SLICE = claim("(SELECT * FROM receipts WHERE job >= ?2 AND job < ?3) AS r");

/** Whether a failed check may take receipts back that come now, and whether there is something to do for one anyway. */
export interface Concern {
  readonly late: boolean;
  readonly due: boolean;
}

/** Asks for a {@link Concern}: a look into an index for each subject, and two into indexes that are empty. */
export function askConcern(db: D1Database, subjects: readonly Subject[], now: number): D1PreparedStatement {
  return db.prepare(CONCERN).bind(JSON.stringify(subjects.map(({ daemon, model, at }) => [daemon, model, at])), now);
}

/** What {@link askConcern} was answered. */
export function concernOf(result: D1Result | undefined): Concern {
  const [row] = (result?.results ?? []) as { late: number; due: number }[];
  return { late: row?.late === 1, due: row?.due === 1 };
}

/** Adds failed checks, in the batch that appends their receipts. */
export function openChecks(
  db: D1Database,
  checks: readonly NewFailedCheck[],
  settlementDelayMs: number,
  now: number,
): D1PreparedStatement {
  const { clockSkewMs } = LIMITS;
  const values = checks.map(({ job, name, daemon, model, provider, at }) => {
    // A job's id was made before it ended, by another clock.
    return [job, name, daemon, model, provider, at, jobIdFloor(at + clockSkewMs)];
  });
  const longAgo = now - WINDOW_MS - settlementDelayMs - clockSkewMs;
  return db.prepare(OPEN).bind(JSON.stringify(values), now, firstUnsettledWindow(now), longAgo);
}

/** Takes note of those among newly appended receipts that a check which failed before takes back, in their own batch. */
export function claimLate(db: D1Database, jobs: readonly JobId[], now: number): D1PreparedStatement {
  return db.prepare(CLAIM_JOBS).bind(now, JSON.stringify(jobs));
}

/**
 * Looks through the next receipts for all failed checks at once. Returns the checks that have seen all of theirs, and null
 * where there was nothing to look through.
 */
export async function lookThrough(db: D1Database, now: number): Promise<JobId[] | null> {
  const slice = await db.prepare(NEXT_SLICE).bind(LIMITS.checkLookRows).first<{ begin: string | null; stop: string }>();
  if (slice === null || slice.begin === null) return null;
  const { begin, stop } = slice;
  const [, moved] = await db.batch<{ job: JobId; looked: number }>([
    db.prepare(CLAIM_SLICE).bind(now, begin, stop),
    db.prepare(MOVE_ON).bind(begin, stop),
  ]);
  return (moved?.results ?? []).filter(({ looked }) => looked === 1).map(({ job }) => job);
}

/** A receipt to take back: why, and from whom, where its account is known. */
export interface DueReversal extends Pick<CheckReversalRow, "job" | "failed" | "consumer" | "tries"> {
  readonly name: FailedCheckRow["name"];
  readonly account: AccountId | null;
}

const DUE = `SELECT r.job, r.failed, r.consumer, r.tries, f.name, a.id AS account
  FROM check_reversals AS r CROSS JOIN failed_checks AS f ON f.job = r.failed
  LEFT JOIN accounts AS a ON a.pseudonym = r.consumer
  WHERE r.state = 'due' AND r.next_at <= ?1 ORDER BY r.next_at LIMIT ?2`;

/** Receipts whose turn it is, those first that have waited longest. */
export async function dueReversals(db: D1Database, now: number, limit: number): Promise<DueReversal[]> {
  return (await db.prepare(DUE).bind(now, limit).all<DueReversal>()).results;
}

/** What became of a try to take a receipt back. */
export type Tried = Pick<CheckReversalRow, "job" | "state" | "tries" | "next_at" | "seq" | "refusal">;

const KEEP = `UPDATE check_reversals SET state = t.value->>1, tries = t.value->>2, next_at = t.value->>3,
    seq = t.value->>4, refusal = t.value->>5
  FROM json_each(?1) AS t WHERE check_reversals.job = t.value->>0 AND check_reversals.state = 'due'`;

/** Keeps what became of tries. */
export async function keepTried(db: D1Database, tried: readonly Tried[]): Promise<void> {
  const values = tried.map(({ job, state, tries, next_at, seq, refusal }) => [
    job,
    state,
    tries,
    next_at,
    seq,
    refusal,
  ]);
  await db.prepare(KEEP).bind(JSON.stringify(values)).run();
}

const NEXT_AT = `SELECT ${LOOKING} AS looking,
  (SELECT min(next_at) FROM check_reversals WHERE state = 'due') AS next_at`;

/** When there is something to do again; null when everything is done. */
export async function nextCheckAt(db: D1Database, now: number): Promise<number | null> {
  const row = await db.prepare(NEXT_AT).first<{ looking: number; next_at: number | null }>();
  return row?.looking === 1 ? now : (row?.next_at ?? null);
}

/** A failed check with what it takes back: receipts by their states, and what the reversed ones had charged. */
export interface CheckSummary extends FailedCheckRow {
  readonly due: number;
  readonly reversed: number;
  readonly already_reversed: number;
  readonly refused: number;
  readonly reversed_nano_usd: number;
  readonly reversed_millicredits: number;
}

const counted = (state: CheckReversalRow["state"]): string =>
  `count(*) FILTER (WHERE r.state = '${state}') AS ${state}`;
const summed = (unit: string): string => `coalesce(sum(r.${unit}) FILTER (WHERE r.state = 'reversed'), 0)`;
const SUMMARIES = (which: string): string => `SELECT f.*, ${counted("due")}, ${counted("reversed")},
    ${counted("already_reversed")}, ${counted("refused")},
    ${summed("nano_usd")} AS reversed_nano_usd, ${summed("millicredits")} AS reversed_millicredits
  FROM (${which}) AS f LEFT JOIN check_reversals AS r ON r.failed = f.job GROUP BY f.job ORDER BY f.job DESC`;
const PAGE = SUMMARIES("SELECT * FROM failed_checks WHERE job < ?1 ORDER BY job DESC LIMIT ?2");
const SOME = SUMMARIES("SELECT * FROM failed_checks WHERE job IN (SELECT value FROM json_each(?1))");

/** Failed checks, by the times of their jobs, newest first; those before `before` where it is named. */
export async function listChecks(
  db: D1Database,
  { before = "~", limit }: { before?: string; limit: number },
): Promise<CheckSummary[]> {
  return (await db.prepare(PAGE).bind(before, Math.min(limit, LIMITS.maxPageRows)).all<CheckSummary>()).results;
}

/** Some failed checks. */
export async function checksOf(db: D1Database, jobs: readonly JobId[]): Promise<CheckSummary[]> {
  return (await db.prepare(SOME).bind(JSON.stringify(jobs)).all<CheckSummary>()).results;
}

/** How far a failed check has come: it looks for receipts, takes back those that it found, or is done. */
export function stateOfCheck({ cursor, until, due }: CheckSummary): "looking" | "reversing" | "done" {
  if (cursor < until) return "looking";
  return due > 0 ? "reversing" : "done";
}
