/** How a job can end (interfaces.md §4), and what each ending means for money (economics.md §6). */

export const OUTCOMES = ["completed", "cancelled", "failed", "timed_out", "expired", "unverified", "reversed"] as const;
export type Outcome = (typeof OUTCOMES)[number];

const CHARGED: ReadonlySet<Outcome> = new Set(["completed", "cancelled", "timed_out"]);

/** Whether a job that ended so is charged the price of its tokens; every other one costs nothing. */
export function isCharged(outcome: Outcome): boolean {
  return CHARGED.has(outcome);
}
