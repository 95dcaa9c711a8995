/** Pools with explicit times: daemons and jobs in one line each. */

import { Draws, drawSecret } from "../../../core/auction/draw.ts";
import { PublicMarket } from "../../../core/auction/market.ts";
import type { AccountId, DaemonId, JobId } from "../../../core/ids.ts";
import type { Lane } from "../../../core/lanes.ts";
import { type Parameters, withParameters } from "../../../core/parameters.ts";
import { seeded } from "../../../core/random.ts";
import { Standings } from "../../../core/routing/standings.ts";
import type { DaemonOffer } from "../../../core/scheduler/daemon.ts";
import { Pool, type RunningLease } from "../../../core/scheduler/pool.ts";
import type { OwnJob, QueuedJob, WaitingJob } from "../../../core/scheduler/waiting-job.ts";
import { CALM_MARKET } from "../../calm-market.ts";

/** When the tests' pools begin. */
export const START = 1_000_000;

export type Offer = DaemonOffer;

export function daemon(name: string, changes: Partial<Offer> = {}): Offer {
  return {
    daemon: name as DaemonId,
    relay: "relay/0",
    provider: `owner of ${name}` as AccountId,
    quantization: "q4",
    slots: 1,
    sharedSlots: 1_000,
    elsewhere: 0,
    context: 4_096,
    features: ["tools"],
    tokensPerSecond: 50,
    // 0.12 USD/kWh at 38 W and 50 tokens/s: a floor of 30,400 nanoUSD for 1,000 tokens.
    floor: {
      watts: 38,
      nano_usd_per_kwh: 120_000_000,
      decode_millitokens_per_second: 50_000,
      prefill_millitokens_per_second: 500_000,
    },
    margin: null,
    accepts: "any",
    networks: [],
    loaded: true,
    draining: false,
    ...changes,
  };
}

type JobChanges = Partial<Omit<WaitingJob, "job" | "flow" | "account">> & {
  lane?: Lane;
  account?: string;
  weight?: number;
};

/** A job of 1,000 completion tokens at 80,000 nanoUSD that came at {@link START} and may wait for a minute. */
export function job(
  name: string,
  { lane = "public", account = "consumer", weight = 1, ...changes }: JobChanges = {},
): QueuedJob {
  const { rate = { completion: 80_000, prompt: 20_000, per: 1_000 } } = changes;
  return {
    job: name as JobId,
    account: account as AccountId,
    flow: { lane, account, weight },
    network: null,
    reserved: false,
    rate,
    maxRate: rate,
    maxPrice: null,
    allotment: null,
    estimate: { prompt: 0, completion: 1_000 },
    unbacked: true,
    context: 1_000,
    features: [],
    quantizations: null,
    only: null,
    ignore: [],
    excluded: [],
    enqueuedAt: START,
    waitUntil: START + 60_000,
    holdExpiresAt: START + 780_000,
    ...changes,
  };
}

/** A job for daemons of the account itself. */
export function ownJob(name: string, account: string, changes: JobChanges = {}): OwnJob {
  return { ...job(name, { account, ...changes }), flow: null };
}
/** Asks that do not depend on demand, for tests of everything else. */
export const CALM = withParameters(CALM_MARKET);

/** A pool in which nobody has served yet; its draws follow from a seed. */
export function newPool(seed = 1, parameters: Parameters = CALM): Pool {
  const random = seeded(seed);
  const root = new Uint8Array(32);
  const market = new PublicMarket(parameters, (day) => new Draws(drawSecret(root, day), day));
  return new Pool(parameters, new Standings(parameters, [], random), random, market);
}

export function poolOf(daemons: readonly Offer[] = [], seed = 1, parameters: Parameters = CALM): Pool {
  const pool = newPool(seed, parameters);
  for (const offer of daemons) pool.register(offer, START);
  return pool;
}

/** A source of fences, from 1. */
export function fences(): () => number {
  let fence = 0;
  return () => ++fence;
}

/** Serves jobs until nothing waits (or as many as `most`), and says in which order they went. */
export function order(pool: Pool, most = Number.POSITIVE_INFINITY): WaitingJob[] {
  const served: WaitingJob[] = [];
  const next = fences();
  while (served.length < most) {
    const dispatches = pool.dispatch(START, next);
    if (dispatches.length === 0) break;
    for (const { job, lease } of dispatches) {
      served.push(job);
      pool.ended(job.job, lease.fence, job.estimate, START);
    }
  }
  return served;
}

/** What a relay says of a job that daemon `a` runs. */
export function running(name: string, fence: number): RunningLease {
  const account = "consumer" as AccountId;
  return { job: name as JobId, fence, daemon: "a" as DaemonId, account, lane: "public", race: null };
}
