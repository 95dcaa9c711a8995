/** The headers that a job's answer carries (interfaces.md §1). */

import { QUOTA_WINDOW_MS, type Quota } from "../../core/account/quota.ts";
import type { JobId } from "../../core/ids.ts";
import { DAY_MS } from "../../core/time.ts";
import { formatCredits } from "../../core/units.ts";
import type { HeldTerms } from "../../protocol/internal/account.ts";
import type { Grant } from "../../protocol/internal/job.ts";

/** When credits refresh next: 00:00 UTC, RFC 3339. */
export function refreshAt(now: number): string {
  return new Date((Math.floor(now / DAY_MS) + 1) * DAY_MS).toISOString().replace(".000Z", "Z");
}

/** What is known once the hold stands. */
export function heldHeaders(job: JobId, hold: HeldTerms, now: number): Record<string, string> {
  return {
    "x-job-id": job,
    "x-credits-held": formatCredits(hold.held),
    "x-credits-remaining": formatCredits(hold.remaining),
    "x-credits-refresh": refreshAt(now),
  };
}

/**
 * What is known once a daemon has the job. A client must not repeat it by itself then: OpenAI's SDK would, on an error
 * that its own answer has already reported.
 */
export function dispatchedHeaders(queuedAt: number, grant: Grant): Record<string, string> {
  return { "x-queue-ms": String(Math.max(0, grant.dispatchedAt - queuedAt)), "x-should-retry": "false" };
}

/** What is left of the key's quota (draft-ietf-httpapi-ratelimit-headers): jobs in the window, and seconds to its end. */
export function quotaHeaders(quota: Quota | null): Record<string, string> {
  if (quota === null) return {};
  return {
    "ratelimit-policy": `"key";q=${quota.limit};w=${QUOTA_WINDOW_MS / 1_000}`,
    ratelimit: `"key";r=${quota.remaining};t=${quota.resetSeconds}`,
  };
}
