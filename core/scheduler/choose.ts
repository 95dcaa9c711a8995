/** Which daemon serves a job at a fixed price (economics.md §§3, 9). */

import { LANE_TABLE, WHOLE } from "../lanes.ts";
import type { Parameters } from "../parameters.ts";
import { isFloorWithin } from "../pricing.ts";
import type { Random } from "../random.ts";
import { chooseByWeight } from "../routing/choose-by-weight.ts";
import { type BasisPoints, mulDivFloor } from "../units.ts";
import type { Daemon } from "./daemon.ts";
import type { QueuedJob, WaitingJob } from "./waiting-job.ts";

/** What keeps a daemon from serving a job, whatever its load. */
export type Obstacle =
  | "own"
  | "not_own"
  | "not_member"
  | "draining"
  | "quarantined"
  | "failed_before"
  | "not_chosen"
  | "quantization"
  | "context"
  | "feature"
  | "usdc_only"
  | "floor";

/** Why a daemon is passed over for a job, or null when it could serve it once it has a free slot. */
export function obstacle(daemon: Daemon, job: WaitingJob): Obstacle | null {
  const isOwn = daemon.provider === job.account;
  if (isOwn !== (job.flow === null)) return isOwn ? "own" : "not_own";
  if (job.network !== null && !daemon.networks.includes(job.network)) return "not_member";
  if (daemon.draining) return "draining";
  if (daemon.standing.quarantined && !isOwn) return "quarantined";
  if (job.excluded.includes(daemon.daemon)) return "failed_before";
  const names = [daemon.daemon, daemon.provider] as string[];
  if (job.only !== null && !names.some((name) => job.only?.includes(name))) return "not_chosen";
  if (names.some((name) => job.ignore.includes(name))) return "not_chosen";
  if (job.quantizations !== null && !job.quantizations.includes(daemon.quantization)) return "quantization";
  if (daemon.context < job.context) return "context";
  if (!job.features.every(({ feature }) => daemon.features.includes(feature))) return "feature";
  // What an own device does for its account is free.
  if (job.flow === null) return null;
  if (job.unbacked && daemon.accepts === "usdc") return "usdc_only";
  // A provider never serves at a loss. What it asks in an auction is above its floor, and decided there (core/auction).
  if (LANE_TABLE[job.flow.lane].price !== "ask" && !paysItsPower(daemon, job)) return "floor";
  return null;
}

/**
 * Whether a job pays a daemon's electricity whatever its mix of tokens turns out to be. Where the price is fixed a catalog
 * may say that prompts cost nothing; their power is then the provider's, who knows it.
 */
function paysItsPower({ floor }: Daemon, { maxRate, flow }: QueuedJob): boolean {
  if (isFloorWithin(floor, maxRate)) return true;
  const free = maxRate.prompt === 0 && LANE_TABLE[flow.lane].price !== "effective";
  return free && isFloorWithin({ ...floor, prefill_millitokens_per_second: null }, maxRate);
}

/** Whether a daemon could serve a job once it has a free slot. */
export function couldServe(daemon: Daemon, job: WaitingJob): boolean {
  return obstacle(daemon, job) === null;
}

/** What a choice is made by, beside the job: the pool's, and chance. */
export interface Choosing {
  readonly parameters: Parameters;
  /** The pool's median of tokens a second. */
  readonly medianSpeed: number;
  readonly random: Random;
}

/**
 * Draws one of the free daemons that can serve a job, by weight: those that have the model in memory first. `all` are the
 * pool's, of whom a payee's part is reckoned.
 */
export function chooseDaemon(
  free: readonly Daemon[],
  all: Iterable<Daemon>,
  job: WaitingJob,
  { parameters, medianSpeed, random }: Choosing,
): Daemon | null {
  const capped = payeesAtCap(all, job, parameters.allotmentPayeeShareBasisPoints as BasisPoints);
  const isEligible = (daemon: Daemon): boolean => !capped.has(daemon.provider) && couldServe(daemon, job);
  const exploration = parameters.explorationBasisPoints / WHOLE;
  const isEffective = job.flow !== null && LANE_TABLE[job.flow.lane].price === "effective";
  return chooseByWeight(free, isEligible, medianSpeed, random, {
    exploration,
    ...(isEffective ? { factor: (daemon: Daemon) => cheapness(daemon, job) } : {}),
  });
}

/** catalog / effective price of a job's estimate: 1 where a daemon's power is within the catalog's rate. */
function cheapness({ floor }: Daemon, { rate, estimate }: WaitingJob): number {
  const catalog = (rate.completion * estimate.completion + rate.prompt * estimate.prompt) / rate.per;
  const seconds =
    (1_000 * estimate.completion) / floor.decode_millitokens_per_second +
    (1_000 * estimate.prompt) / floor.prefill_millitokens_per_second;
  const power = ((seconds * floor.watts) / 3_600_000) * floor.nano_usd_per_kwh * 1.2;
  return power > catalog ? catalog / power : 1;
}

/**
 * The providers that have earned their part of the allotment that pays for a job: one payee gets max(20 % ◆, 1 / eligible
 * payees) of it a day (economics.md §3).
 */
export function payeesAtCap(daemons: Iterable<Daemon>, job: WaitingJob, leastShare: BasisPoints): ReadonlySet<string> {
  const { allotment } = job;
  if (allotment === null || allotment.paid.length === 0) return new Set();
  const eligible = new Set([...daemons].filter((daemon) => couldServe(daemon, job)).map(({ provider }) => provider));
  const share = mulDivFloor(allotment.granted, leastShare, WHOLE);
  const cap = Math.max(share, Math.ceil(allotment.granted / Math.max(1, eligible.size)));
  return new Set(allotment.paid.filter(([, earned]) => earned >= cap).map(([payee]) => payee));
}
