/** What a relay says of a granted job that it does not run. */

import { type ErrorCode, refuse } from "../../core/errors.ts";
import { RELAY_RESULT, type RelayJob, type RelayRefusal } from "../../protocol/internal/job.ts";
import type { JobReport } from "../../protocol/internal/pool.ts";

/** To the gateway. `move` says whether another daemon may be asked, `busy` that it is not counted as a move. */
export function refusal(code: ErrorCode, detail: string, move: boolean, busy = false): Response {
  const body: RelayRefusal = { refusal: refuse(code, { detail }), move, busy, resolved: false };
  return Response.json(body, { status: 409, headers: { [RELAY_RESULT]: "refused" } });
}

/** To the scheduler. */
export function ended(job: RelayJob, result: "failed" | "busy"): JobReport {
  return { type: "ended", job: job.job, fence: job.grant.fence, result, tokens: null };
}
