/**
 * The jobs of the public lane in a pool: who serves one is decided by auction, and one waits only while somebody's ask, busy
 * or not, is at or under its maximum (economics.md §4).
 */

import type { Load } from "../auction/demand.ts";
import type { Prices, PublicMarket, Won } from "../auction/market.ts";
import type { Refusal } from "../errors.ts";
import type { DaemonId } from "../ids.ts";
import { LANE_TABLE } from "../lanes.ts";
import { LIMITS } from "../limits.ts";
import type { BasisPoints } from "../units.ts";
import type { Daemon } from "./daemon.ts";
import type { FairQueue } from "./fair-queue.ts";
import type { Leases } from "./leases.ts";
import type { QueuedJob } from "./waiting-job.ts";

/** A job that nobody serves at its maximum any more. */
export interface TooDear {
  readonly job: QueuedJob;
  readonly refusal: Refusal;
}

/** Whether who serves a job is decided by what is asked for it. */
export function isAuctioned({ flow }: QueuedJob): boolean {
  return LANE_TABLE[flow.lane].price === "ask";
}

export class PublicLane {
  readonly #market: PublicMarket;
  readonly #queue: FairQueue<QueuedJob>;
  readonly #leases: Leases;
  /** Whether asks have come, gone or changed since waiting jobs were last held against their maximum, and at which demand. */
  #asksChanged = false;
  #judgedDemand = 0;
  #dispatchedDemand = 0;
  /** When a daemon has gone last. */
  #lostAt = Number.NEGATIVE_INFINITY;

  constructor(market: PublicMarket, queue: FairQueue<QueuedJob>, leases: Leases) {
    this.#market = market;
    this.#queue = queue;
    this.#leases = leases;
  }

  /** A daemon has come, or offers something else. */
  offered(daemon: Daemon): void {
    this.#market.set(daemon);
    this.#asksChanged = true;
  }

  /** A daemon has gone. */
  left(daemon: DaemonId, now: number): void {
    this.#market.drop(daemon);
    this.#asksChanged = true;
    this.#lostAt = now;
  }

  /** A daemon has begun or ended a job. */
  moved(daemon: Daemon): void {
    this.#market.set(daemon);
  }

  /**
   * Decides a job; null while nobody free may serve it at or under its maximum. `waiting` is 1 for one that is in the queue,
   * and 0 for one that runs already.
   */
  match(job: QueuedJob, now: number, waiting: 0 | 1): Won | null {
    return this.#market.auction(job, this.#loadBeside(waiting), now);
  }

  /** Why a job that has just come cannot be fulfilled; null where it may wait. */
  refusal(job: QueuedJob): Refusal | null {
    return this.#isRecovering(job.enqueuedAt) ? null : this.#market.refusal(job, this.#loadBeside(0));
  }

  /** Takes jobs into account again that were passed over where demand, and so every ask, has fallen since the last time. */
  unblockCheaper(): void {
    const demand = this.#market.demand(this.#loadBeside(0)) ?? 0;
    if (demand < this.#dispatchedDemand) this.#queue.unblock(isAuctioned);
    this.#dispatchedDemand = demand;
  }

  /**
   * The jobs that nobody serves at or under their maximum any more, as demand has risen or asks have gone; each is taken out.
   * What leaves lowers demand for the others, so the last that came goes first.
   */
  takeTooDear(now: number, takeOut: (job: QueuedJob) => void): TooDear[] {
    const demand = this.#market.demand(this.#loadBeside(0)) ?? 0;
    const isDearer = demand > this.#judgedDemand || this.#asksChanged;
    this.#judgedDemand = demand;
    if (!isDearer || this.#isRecovering(now)) return [];
    this.#asksChanged = false;
    const taken: TooDear[] = [];
    for (const { sample, jobs } of this.#queue.groups()) {
      if (!isAuctioned(sample) || this.#market.refusal(sample, this.#loadBeside(1)) === null) continue;
      const latest = [...jobs()].sort((a, b) => b.enqueuedAt - a.enqueuedAt || (a.job < b.job ? 1 : -1));
      for (const job of latest) {
        const refusal = this.#market.refusal(job, this.#loadBeside(1));
        if (refusal === null) break;
        takeOut(job);
        taken.push({ job, refusal });
      }
    }
    return taken;
  }

  /** When waiting jobs are next held against their maximum by time alone. */
  nextDue(now: number): number {
    const recovered = this.#lostAt + LIMITS.emptyPoolMs;
    return now < recovered && this.#queue.waitingIn("public") > 0 ? recovered : Number.POSITIVE_INFINITY;
  }

  /** What is asked now, and what a job that came now would find. */
  prices(): Prices & { readonly demand: BasisPoints | null; readonly load: Load } {
    const load = this.#loadBeside(0);
    return { ...this.#market.prices(load), demand: this.#market.demand(load), load };
  }

  /** Daemons that have just gone may be back in seconds, as when a deploy closes every socket: prices wait for them. */
  #isRecovering(now: number): boolean {
    return now < this.#lostAt + LIMITS.emptyPoolMs;
  }

  /** The lane's load beside so many of the jobs that wait in it: 1 for one that is being priced. */
  #loadBeside(own: 0 | 1): Load {
    const running = this.#leases.countIn("public");
    return { slots: this.#market.slots, running, queued: Math.max(0, this.#queue.waitingIn("public") - own) };
  }
}
