/** What an account tells of its jobs and entries, its slices' included: each has a chain of its own. */

import { type JobId, sliceOf } from "../../core/ids.ts";
import type { EntryRecord, JobRecord } from "../../protocol/internal/account.ts";
import type { Books } from "./books.ts";
import { jobRecord } from "./reservations.ts";

/** What is known of a job, by whoever has its hold. */
export async function readJob({ ledger, slices }: Books, job: JobId): Promise<JobRecord> {
  const slice = sliceOf(job);
  if (slices.has(slice)) return await slices.stubOf(slice).job(job);
  ledger.sweep(Date.now());
  return jobRecord(ledger, ledger.store.holdOf(job));
}

/** A page of the account's own entries, or of one slice's. */
export async function readEntries(
  { ledger, slices }: Books,
  after: number,
  limit: number,
  slice: number,
): Promise<EntryRecord[]> {
  if (slice === 0) return ledger.store.page(after, limit);
  return slices.has(slice) ? await slices.stubOf(slice).entries(after, limit) : [];
}
