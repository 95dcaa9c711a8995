/** How a stream ends: what each way means for its receipt and for what its consumer sees (economics.md §6). */

import { type ErrorCode, type Refusal, refuse } from "../../core/errors.ts";
import { HOLD_END_MARGIN_MS } from "../../core/limits.ts";
import type { Outcome } from "../../core/outcome.ts";
import type { Parameters } from "../../core/parameters.ts";
import type { Tokens } from "../../core/pricing.ts";
import type { ClaimCheck } from "../../core/receipt/checks.ts";
import type { Ending } from "../../core/routing/ending.ts";
import type { Done } from "../../protocol/daemon/messages.ts";
import type { RelayJob } from "../../protocol/internal/job.ts";

/** Why a running stream is being cut: its consumer has gone, or takes nothing, or it met a bound of time or of memory. */
export type Cut = "consumer" | "stalled" | "bound";

/** What a failure says about the request rather than about the daemon. */
export const CAUSED_BY_REQUEST: Readonly<Record<string, Refusal>> = {
  context_length_exceeded: refuse("context_length_exceeded", { param: "messages" }),
  unsupported_parameter: refuse("unsupported_parameter"),
  invalid_request: refuse("invalid_request", { detail: "The engine could not use the request." }),
};

/** The error that a consumer sees for a receipt that stands for no whole answer; undefined for a good one. */
export function failureOf(outcome: Outcome, firstTokenAt: number | null): ErrorCode | undefined {
  if (outcome === "failed") return "stream_interrupted";
  if (outcome === "unverified") return "verification_failed";
  if (outcome === "expired") return "job_expired";
  return outcome === "timed_out" && firstTokenAt === null ? "first_token_timeout" : undefined;
}

export function outcomeOf(cut: Cut | null): Outcome {
  if (cut === null) return "completed";
  return cut === "bound" ? "timed_out" : "cancelled";
}

/** What a settled job was for its daemon's score, by the claim that came and what was billed of it. */
export function endingOf(
  outcome: Outcome,
  firstTokenAt: number | null,
  done: Done | null,
  failed: ClaimCheck | null,
  billed: Tokens,
): Ending {
  if (failed !== null) return "unverified";
  if (outcome === "failed" || outcome === "cancelled") return outcome;
  if (outcome === "timed_out") return firstTokenAt === null ? "timed_out" : "cut";
  if (outcome !== "completed") return "unjudged";
  return done !== null && done.usage.completion > billed.completion ? "overclaimed" : "completed";
}

/** Why each choice ended; what was cut, or ended by its deadline, ended by length. */
export function finishReasons(choices: number, done: Done | null, cut: Cut | null): string[] {
  return Array.from({ length: choices }, (_, choice) => {
    const reason = done?.finish_reasons?.[choice] ?? done?.finish_reason ?? "length";
    return cut === "bound" || reason === "cancelled" ? "length" : reason;
  });
}

/** 600 s ◆ from the first dispatch, or 30 s before the hold's end, whichever comes first (economics.md §6). */
export function deadlineOf(job: RelayJob, parameters: Parameters): number {
  return Math.min(job.firstDispatchedAt + parameters.firstTokenSlaMs, job.hold.expiresAt - HOLD_END_MARGIN_MS);
}
