/** How a job ended for the daemon that had it, and what that does to its score: the table of economics.md §6, last column. */

import type { Lane } from "../lanes.ts";

/** A row of the table, as the relay that had the job tells it. */
export type Ending =
  | "completed"
  /** By its consumer, before the first token or after it, and whatever came of the claim then. */
  | "cancelled"
  | "declined"
  /** The daemon says that the request itself cannot be served. */
  | "refused"
  /** It failed or went away before its first token, or after it. */
  | "failed_unstarted"
  | "failed"
  /** Another attempt beside it was faster. */
  | "outrun"
  /** No first token within the lane's SLA. */
  | "timed_out"
  /** Tokens flowed, but a bound of time or of memory came first. */
  | "cut"
  /** Its claim failed a check. */
  | "unverified"
  /** Its claim held, but named more tokens than were relayed. */
  | "overclaimed"
  /** The relay was lost, or the hold was over: nobody can say how it was. */
  | "unjudged";

export type Effect = "up" | "unchanged" | "declined" | "down" | "failed_verification" | "flagged";

const EFFECTS = {
  completed: "up",
  cancelled: "unchanged",
  declined: "declined",
  // As a decline in other words: the job is not served, and nobody can tell whose fault it is.
  refused: "declined",
  failed_unstarted: "down",
  failed: "down",
  outrun: "unchanged",
  timed_out: "down",
  cut: "unchanged",
  unverified: "failed_verification",
  overclaimed: "flagged",
  unjudged: "unchanged",
} as const satisfies Record<Ending, Effect>;

/**
 * What an ending does to the score. In `league` an answer that did not come in time is none; and what a daemon does for its own
 * account, in no lane, shows nothing.
 */
export function effectOf(ending: Ending, lane: Lane | null): Effect {
  if (lane === null) return "unchanged";
  return ending === "cut" && lane === "league" ? "down" : EFFECTS[ending];
}
