/** How reliable a daemon is, from how its jobs ended (economics.md §9). Pure: each step makes a new score. */

import { WHOLE } from "../lanes.ts";
import type { Parameters } from "../parameters.ts";
import type { Effect } from "./ending.ts";

export interface Score {
  /** Verified completions, and timeouts and failures: each weighs less by the half-life's part for every one after it. */
  readonly alpha: number;
  readonly beta: number;
  /** Jobs that it was given and those that it declined, which fade in the same way. */
  readonly offers: number;
  readonly declines: number;
  /** Verified completions in all its time, none of which fades. */
  readonly verified: number;
  /** Claims that named more tokens than were relayed. */
  readonly flagged: number;
}

export const NEW_SCORE: Score = { alpha: 0, beta: 0, offers: 0, declines: 0, verified: 0, flagged: 0 };

/** After a failed verification nothing good is left, and this much bad at least. */
const FAILED_BETA = 10;
/** What a daemon that comes out of quarantine begins with. */
const RELEASED = { alpha: 1, beta: 4 };
/** Of fewer offers nobody can say whether it declines a tenth of them. */
const TELLING_OFFERS = 10;

/** A daemon's score after a job that ended so. */
export function scored(before: Score, effect: Effect, parameters: Parameters): Score {
  const offered = countOffer(before, effect, parameters);
  switch (effect) {
    case "up":
      return { ...faded(offered, parameters, 1, 0), verified: before.verified + 1 };
    case "down":
      return faded(offered, parameters, 0, 1);
    case "failed_verification":
      return { ...offered, alpha: 0, beta: Math.max(before.beta, FAILED_BETA) };
    case "flagged":
      return { ...offered, flagged: before.flagged + 1 };
    default:
      return offered;
  }
}

function faded(score: Score, parameters: Parameters, good: number, bad: number): Score {
  const fade = fadeOf(parameters);
  return { ...score, alpha: score.alpha * fade + good, beta: score.beta * fade + bad };
}

function countOffer(score: Score, effect: Effect, parameters: Parameters): Score {
  const fade = fadeOf(parameters);
  const declined = effect === "declined" ? 1 : 0;
  return { ...score, offers: score.offers * fade + 1, declines: score.declines * fade + declined };
}

/** What one more job leaves of the weight of those before it: a half after a half-life of jobs. */
function fadeOf({ reliabilityHalfLifeJobs }: Parameters): number {
  return 0.5 ** (1 / reliabilityHalfLifeJobs);
}

/** The score of a daemon that has passed its probes. */
export function releasedScore(score: Score): Score {
  return { ...score, ...RELEASED };
}

/** reliability = (α + 2) / (α + β + 4): above 0, below 1, and 0.5 for a new daemon. */
export function reliabilityOf({ alpha, beta }: Score): number {
  return (alpha + 2) / (alpha + beta + 4);
}

/** Whether a daemon is too unreliable for jobs. */
export function isUnreliable(score: Score, { quarantineReliabilityBasisPoints: least }: Parameters): boolean {
  return reliabilityOf(score) * WHOLE < least;
}

/** The part of its offers that a daemon has declined of late. */
export function declinedPart({ offers, declines }: Score): number {
  return offers === 0 ? 0 : declines / offers;
}

/**
 * What a daemon's weight is multiplied by for its declines: 1 up to a tenth ◆ of its offers, and then as much less as there
 * are more of them. Never 0, so that it may show that it has changed.
 */
export function declineFactor({ offers, declines }: Score, { declinesBasisPoints }: Parameters): number {
  if (offers < TELLING_OFFERS || declines * WHOLE <= offers * declinesBasisPoints) return 1;
  return (offers * declinesBasisPoints) / (declines * WHOLE);
}
