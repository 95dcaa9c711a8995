/** What a pool is told and what it decides. */

import type { Won } from "../auction/market.ts";
import type { Refusal } from "../errors.ts";
import type { AccountId, DaemonId, JobId } from "../ids.ts";
import type { Lane } from "../lanes.ts";
import type { Terms } from "../pricing.ts";
import type { Effect } from "../routing/ending.ts";
import type { SpeedSample } from "../routing/speed.ts";
import type { Daemon } from "./daemon.ts";
import type { Lease } from "./leases.ts";
import type { WaitingJob } from "./waiting-job.ts";

/** A job that a relay says it runs. */
export interface RunningLease {
  readonly job: JobId;
  readonly fence: number;
  readonly daemon: DaemonId;
  readonly account: AccountId;
  /** Null on an own device. */
  readonly lane: Lane | null;
  /** The race that it runs in; null while it runs alone. */
  readonly race: number | null;
}

/** What a job showed of its daemon. */
export interface Shown {
  readonly effect: Effect;
  readonly speed: SpeedSample | null;
}

export interface Dispatch {
  readonly job: WaitingJob;
  readonly daemon: Daemon;
  readonly lease: Lease;
  readonly terms: Terms;
  /** How it was decided, where its price is an ask. */
  readonly auction: Won | null;
}

export interface Rejection {
  readonly job: WaitingJob;
  readonly refusal: Refusal;
}
