/** A job in a pool's queue. */

import type { AccountId, DaemonId, JobId, NetworkId } from "../ids.ts";
import type { Rate, Tokens } from "../pricing.ts";
import type { NanoUsd } from "../units.ts";
import type { Flow } from "./fair-queue.ts";

/** A job that waits in a lane. */
export interface QueuedJob extends Asked {
  readonly flow: Flow;
}

/** A job that waits for its account's own daemons: in no lane, and free (economics.md §6). */
export interface OwnJob extends Asked {
  readonly flow: null;
}

export type WaitingJob = QueuedJob | OwnJob;

interface Asked {
  readonly job: JobId;
  readonly account: AccountId;
  /** The private network whose daemons alone may serve it; null in the open lanes. */
  readonly network: NetworkId | null;
  /** It runs in a slot that its account's package has reserved, and so goes ahead of everything (economics.md §8). */
  readonly reserved: boolean;
  /** Since when it has that slot: since it was queued, unless it was given one that became free. */
  readonly slotSince?: number;
  /** The catalog's rate, and the highest that it may be served at. */
  readonly rate: Rate;
  readonly maxRate: Rate;
  /** The most that the request itself names, in nanoUSD for 1,000 completion tokens; null where it names nothing. */
  readonly maxPrice: NanoUsd | null;
  /** Today's allotment where one pays, and what payees have earned of it who are at their cap or near it. */
  readonly allotment: { readonly granted: NanoUsd; readonly paid: readonly (readonly [string, NanoUsd])[] } | null;
  readonly estimate: Tokens;
  readonly unbacked: boolean;
  /** Tokens of context that it needs at most. */
  readonly context: number;
  readonly features: readonly { readonly feature: string; readonly param: string }[];
  readonly quantizations: readonly string[] | null;
  readonly only: readonly string[] | null;
  readonly ignore: readonly string[];
  readonly excluded: readonly DaemonId[];
  readonly enqueuedAt: number;
  readonly waitUntil: number;
  readonly holdExpiresAt: number;
}
