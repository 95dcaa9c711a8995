/** Checks that a daemon's claim may fail, and what a receipt says of that (economics.md §6 and §9). */

import type { Outcome } from "../outcome.ts";

/** In the order in which a claim is held to them: the first that it fails is named. */
export const CLAIM_CHECKS = ["fence", "model", "digest", "signature"] as const;
export type ClaimCheck = (typeof CLAIM_CHECKS)[number];

/** The name of a failed check; `claim` where a receipt does not tell which one it was. */
export type CheckName = ClaimCheck | "claim";

/** What of a receipt says that its daemon failed a check. */
interface Told {
  readonly outcome: Outcome;
  readonly failed_check?: ClaimCheck;
}

/** The check that a receipt's daemon failed, or null. */
export function failedCheckOf({ outcome, failed_check: named }: Told): CheckName | null {
  return named ?? (outcome === "unverified" ? "claim" : null);
}

/** Who takes a receipt back whose daemon failed a check in another job. No operator's name has a colon. */
export function reversedBy(check: CheckName): string {
  return `${BY}${check}`;
}

const BY = "check:";

/** Whether a reversal is a failed check's and not of two operators. */
export function isByCheck(by: readonly string[]): boolean {
  return by.length === 1 && by.every((name) => name.startsWith(BY));
}

/** What the parties of such a receipt read. The other job is another consumer's, so it is not named. */
export function reversalReason(check: CheckName): string {
  return `the provider failed the ${check} check in a later job of this model`;
}
