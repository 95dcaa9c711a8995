/** Summaries of what an account's jobs used and cost, added up from its ledger. */

import type { Outcome } from "../outcome.ts";
import { isCharged } from "../outcome.ts";
import type { ReceiptBody } from "../receipt/body.ts";
import { type Millicredits, type NanoUsd, sum } from "../units.ts";

/** What a summary may be split by. Days begin at 00:00 UTC. */
export const USAGE_BY = ["day", "model", "key", "member", "lane"] as const;
export type UsageBy = (typeof USAGE_BY)[number];

export interface Usage {
  /** Each job once: those below together. */
  readonly jobs: number;
  readonly completed: number;
  readonly cancelled: number;
  /** Failed, timed out, or with a claim that did not match; a job that timed out in the middle is charged. */
  readonly failed: number;
  /** Ended before a receipt: nobody served them, they were given up in the queue, or forgotten. */
  readonly unanswered: number;
  /** Tokens that were charged for. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly millicredits: Millicredits;
  readonly nanoUsd: NanoUsd;
}

export const NO_USAGE: Usage = {
  jobs: 0,
  completed: 0,
  cancelled: 0,
  failed: 0,
  unanswered: 0,
  promptTokens: 0,
  completionTokens: 0,
  millicredits: 0 as Millicredits,
  nanoUsd: 0 as NanoUsd,
};

/** A hold that was given back or ran out. */
export const UNANSWERED: Usage = { ...NO_USAGE, jobs: 1, unanswered: 1 };

/** Where a job of an outcome is counted. An expired one was counted when its hold ran out, and a reversal is no job. */
const COUNTED: Readonly<Record<Outcome, "completed" | "cancelled" | "failed" | null>> = {
  completed: "completed",
  cancelled: "cancelled",
  failed: "failed",
  timed_out: "failed",
  unverified: "failed",
  expired: null,
  reversed: null,
};

/** What one receipt adds. */
export function usageOf({ outcome, usage, charge }: Pick<ReceiptBody, "outcome" | "usage" | "charge">): Usage {
  const counted = COUNTED[outcome];
  const tokens = isCharged(outcome) ? usage : { prompt: 0, completion: 0 };
  return {
    ...NO_USAGE,
    ...(counted === null ? {} : { jobs: 1, [counted]: 1 }),
    promptTokens: tokens.prompt,
    completionTokens: tokens.completion,
    millicredits: charge.millicredits,
    nanoUsd: charge.nano_usd,
  };
}

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    jobs: a.jobs + b.jobs,
    completed: a.completed + b.completed,
    cancelled: a.cancelled + b.cancelled,
    failed: a.failed + b.failed,
    unanswered: a.unanswered + b.unanswered,
    promptTokens: sum([a.promptTokens, b.promptTokens]),
    completionTokens: sum([a.completionTokens, b.completionTokens]),
    millicredits: sum([a.millicredits, b.millicredits]),
    nanoUsd: sum([a.nanoUsd, b.nanoUsd]),
  };
}

/** Adds groups to groups of the same names. */
export function addGroups(into: Map<string, Usage>, groups: Iterable<readonly [string, Usage]>): void {
  for (const [group, usage] of groups) into.set(group, addUsage(into.get(group) ?? NO_USAGE, usage));
}
