/** A job in a pool's queue. */

import type { AccountId, DaemonId, JobId } from "../ids.ts";
import type { Rate, Tokens } from "../pricing.ts";
import type { Flow } from "./fair-queue.ts";

export interface WaitingJob {
  readonly job: JobId;
  readonly account: AccountId;
  readonly flow: Flow;
  readonly rate: Rate;
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
