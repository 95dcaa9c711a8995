/** What a gateway asks a pool for, as the pool takes it, and the pool's answers as a gateway takes them. */

import type { Refusal } from "../../core/errors.ts";
import { LANE_TABLE } from "../../core/lanes.ts";
import type { Flow } from "../../core/scheduler/fair-queue.ts";
import type { Dispatch } from "../../core/scheduler/pool.ts";
import type { WaitingJob } from "../../core/scheduler/waiting-job.ts";
import type { AcquireRequest, AcquireResponse, Slot } from "../../protocol/internal/job.ts";

/** The flow of the accounts that never paid. No account has this name. */
const UNPAID = "unpaid";

export function waitingJob(request: AcquireRequest, now: number): WaitingJob {
  const { job, account, network, rate, maxRate, maxPrice, estimate, unbacked, allotment, needs, excluded } = request;
  const { waitUntil, holdExpiresAt } = request;
  return {
    job,
    account,
    flow: flowOf(request),
    network,
    reserved: request.reserved,
    slotSince: request.queuedAt,
    rate,
    maxRate,
    maxPrice,
    estimate,
    unbacked,
    allotment,
    features: needs.features,
    quantizations: needs.quantizations,
    context: needs.context,
    only: needs.only,
    ignore: needs.ignore,
    excluded,
    enqueuedAt: now,
    waitUntil,
    holdExpiresAt,
  };
}

/** Where a job stands in the queue: accounts that never paid share one flow where a lane says so (economics.md §8). */
function flowOf({ account, lane, share: { weight, paying } }: AcquireRequest): Flow | null {
  if (lane === null) return null;
  const apart = paying || LANE_TABLE[lane].accounts !== "metered";
  return { lane, account: apart ? account : UNPAID, weight };
}

/** Since when a job has had a slot; nothing for one without, or whose request says who may serve it and so waits for those. */
export function slotOf({ reserved, slotSince, only, ignore }: WaitingJob): Slot {
  const isMeasured = reserved && only === null && ignore.length === 0;
  return isMeasured && slotSince !== undefined ? { slotSince } : {};
}

/** `pool` is the pool's name. */
export function grantOf({ job, daemon, lease, terms, auction }: Dispatch, pool: string, now: number): AcquireResponse {
  return {
    type: "granted",
    grant: {
      relay: daemon.relay,
      daemon: daemon.daemon,
      provider: daemon.provider,
      quantization: daemon.quantization,
      fence: lease.fence,
      terms,
      auction: {
        asks: auction?.asks ?? 0,
        winning_ask: auction?.winningAsk ?? null,
        second_ask: auction?.secondAsk ?? null,
      },
      record: auction?.record(pool) ?? null,
      dispatchedAt: now,
      ...slotOf(job),
      leaseUntil: lease.leaseUntil,
    },
  };
}

export function refusedWith(refusal: Refusal, retryAfterSeconds: number | null = null): AcquireResponse {
  return { type: "refused", refusal, retryAfterSeconds };
}
