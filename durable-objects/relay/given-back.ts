/** What a relay says of a granted job that it does not run. */

import { type ErrorCode, refuse } from "../../core/errors.ts";
import { effectOf } from "../../core/routing/ending.ts";
import type { RelayJob } from "../../protocol/internal/job.ts";
import type { JobReport } from "../../protocol/internal/pool.ts";
import { refusedJob } from "./answer.ts";

/** To the gateway. `move` says whether another daemon may be asked, `busy` that it is not counted as a move. */
export function refusal(code: ErrorCode, detail: string, move: boolean, busy = false): Response {
  return refusedJob({ refusal: refuse(code, { detail }), move, busy, resolved: false });
}

/** To the scheduler. The daemon was never given the job, so it has shown nothing. */
export function ended({ job, grant, lane }: RelayJob, result: "failed" | "busy"): JobReport {
  const effect = effectOf("unjudged", lane);
  return { type: "ended", job, fence: grant.fence, result, tokens: null, effect, speed: null };
}
