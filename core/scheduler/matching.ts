/** Who serves a job: its account's own daemons, the lowest ask, or one that is drawn at a fixed price. */

import type { Won } from "../auction/market.ts";
import type { Parameters } from "../parameters.ts";
import type { Random } from "../random.ts";
import { chooseDaemon } from "./choose.ts";
import type { Daemon } from "./daemon.ts";
import type { PassedOver } from "./passed-over.ts";
import { isAuctioned, type PublicLane } from "./public-lane.ts";
import type { Supply } from "./supply.ts";
import type { OwnJob, QueuedJob, WaitingJob } from "./waiting-job.ts";

/** A daemon for a job, and the auction that decided it, where its price is an ask. */
export interface Match {
  readonly daemon: Daemon;
  readonly auction: Won | null;
}

export class Matching {
  readonly #parameters: Parameters;
  readonly #random: Random;
  readonly #supply: Supply;
  readonly #public: PublicLane;
  readonly #passedOver: PassedOver;

  constructor(parameters: Parameters, random: Random, supply: Supply, publicLane: PublicLane, passedOver: PassedOver) {
    this.#parameters = parameters;
    this.#random = random;
    this.#supply = supply;
    this.#public = publicLane;
    this.#passedOver = passedOver;
  }

  /** For a job that waits; null while nobody free can serve it. */
  next(job: QueuedJob, now: number): Match | null {
    const match = this.#queued(job, now, 1);
    this.#passedOver.sample(this.#supply.daemons.values(), job, match?.daemon ?? null, now);
    return match;
  }

  /** For a job that runs already, and is to have another daemon beside. */
  beside(job: WaitingJob, now: number): Match | null {
    return job.flow === null ? this.own(job) : this.#queued(job, now, 0);
  }

  /** For a job that its account's daemons alone may serve. */
  own(job: OwnJob): Match | null {
    const free = this.#supply.free.filter(({ provider }) => provider === job.account);
    return this.#drawn(free, [], job);
  }

  #queued(job: QueuedJob, now: number, waiting: 0 | 1): Match | null {
    const { free, daemons } = this.#supply;
    if (!isAuctioned(job)) return this.#drawn(free, daemons.values(), job);
    const auction = this.#public.match(job, now, waiting);
    return auction === null ? null : { daemon: auction.daemon, auction };
  }

  #drawn(free: readonly Daemon[], all: Iterable<Daemon>, job: WaitingJob): Match | null {
    const choosing = { parameters: this.#parameters, medianSpeed: this.#supply.medianSpeed, random: this.#random };
    const daemon = chooseDaemon(free, all, job, choosing);
    return daemon === null ? null : { daemon, auction: null };
  }
}
