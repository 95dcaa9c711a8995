/**
 * One pool of daemons and the jobs that wait for it: who is next, and who serves it (economics.md §§3, 8, 9). Pure: time
 * and fences are arguments, nothing is awaited, so that the object, tests and a simulator run the same decisions.
 */

import { type Refusal, refuse } from "../errors.ts";
import type { AccountId, DaemonId, JobId } from "../ids.ts";
import { LANE_TABLE } from "../lanes.ts";
import { LIMITS } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import type { Terms, Tokens } from "../pricing.ts";
import type { BasisPoints } from "../units.ts";
import { chooseDaemon, couldServe, whyNobody } from "./choose.ts";
import type { Daemon, DaemonOffer } from "./daemon.ts";
import { FairQueue, type Flow } from "./fair-queue.ts";
import type { WaitingJob } from "./waiting-job.ts";

/** The grant of a job to a daemon. */
export interface Lease {
  readonly job: JobId;
  readonly fence: number;
  readonly daemon: DaemonId;
  /** Whose job it is. */
  readonly account: AccountId;
  /** Where it was charged; null for a lease that was adopted from a relay, and for one in a reserved slot. */
  readonly flow: Flow | null;
  readonly units: number;
  readonly leaseUntil: number;
  readonly expiresAt: number;
  /** Whether the relay has said that it runs. */
  taken: boolean;
}

/** A job that a relay says it runs. */
export interface RunningLease {
  readonly job: JobId;
  readonly fence: number;
  readonly daemon: DaemonId;
  readonly account: AccountId;
}

export interface Dispatch {
  readonly job: WaitingJob;
  readonly daemon: Daemon;
  readonly lease: Lease;
  readonly terms: Terms;
}

export interface Rejection {
  readonly job: WaitingJob;
  readonly refusal: Refusal;
}

export class Pool {
  readonly #parameters: Parameters;
  readonly #queue: FairQueue<WaitingJob>;
  readonly #daemons = new Map<DaemonId, Daemon>();
  readonly #leases = new Map<JobId, Lease>();
  /** The first fence of this life of the pool: fences only grow, so every lower one was granted in an earlier life. */
  #firstFence = Number.POSITIVE_INFINITY;
  /** When a waiting job may have to be refused, at the earliest; until then nobody looks. */
  #checkAt = Number.POSITIVE_INFINITY;

  constructor(parameters: Parameters) {
    this.#parameters = parameters;
    this.#queue = new FairQueue(parameters);
  }

  get waiting(): number {
    return this.#queue.size;
  }

  get daemons(): ReadonlyMap<DaemonId, Daemon> {
    return this.#daemons;
  }

  /** Adds a daemon, or takes over what changed in its offer. The jobs that it runs keep their slots. */
  register(offer: DaemonOffer, now: number): void {
    const idleSince = this.#daemons.get(offer.daemon)?.idleSince ?? now;
    const running = new Set(this.leasesOf(offer.daemon).map((lease) => lease.job));
    this.#daemons.set(offer.daemon, { ...offer, running, idleSince });
    this.#checkAt = 0;
  }

  /**
   * Removes a daemon, if it is still the named relay's. Its leases stay until its relay says how they ended: a daemon that
   * withdraws a model may still be serving it.
   */
  unregister(daemon: DaemonId, relay: string): void {
    if (this.#daemons.get(daemon)?.relay !== relay) return;
    this.#daemons.delete(daemon);
    this.#checkAt = 0;
  }

  leasesOf(daemon: DaemonId): Lease[] {
    return [...this.#leases.values()].filter((lease) => lease.daemon === daemon);
  }

  /** Puts a job in the queue, or refuses it when nobody could ever serve it. */
  enqueue(job: WaitingJob): Refusal | null {
    if (this.#queue.size >= LIMITS.poolWaiting) return refuse("queue_full");
    const missing = this.#missingFeature(job);
    if (missing !== null) return missing;
    this.#queue.remove(job.job);
    this.#queue.add(job);
    this.#checkAt = Math.min(this.#checkAt, job.waitUntil, job.enqueuedAt + LIMITS.emptyPoolMs);
    return null;
  }

  /** Takes a waiting job out. False when it did not wait. */
  withdraw(job: JobId): boolean {
    return this.#queue.remove(job) !== undefined;
  }

  /** Gives free slots to waiting jobs in fair order until one of both runs out. A job that nobody free can serve is passed over. */
  dispatch(now: number, nextFence: () => number): Dispatch[] {
    const dispatches: Dispatch[] = [];
    for (;;) {
      const next = this.#freeSlots() === 0 ? null : this.#nextMatch();
      if (next === null) return dispatches;
      dispatches.push(this.#grant(next.job, next.daemon, now, nextFence()));
    }
  }

  #nextMatch(): { job: WaitingJob; daemon: Daemon } | null {
    for (const job of this.#queue.inOrder()) {
      const daemon = chooseDaemon(
        this.#daemons.values(),
        job,
        this.#parameters.allotmentPayeeShareBasisPoints as BasisPoints,
      );
      if (daemon !== null) return { job, daemon };
    }
    return null;
  }

  #grant(job: WaitingJob, daemon: Daemon, now: number, fence: number): Dispatch {
    this.#queue.remove(job.job);
    this.#endLease(job.job, null, now);
    this.#firstFence = Math.min(this.#firstFence, fence);
    const units = this.#units(job.estimate);
    if (!job.reserved) this.#queue.charge(job.flow, units);
    const lease: Lease = {
      job: job.job,
      fence,
      daemon: daemon.daemon,
      account: job.account,
      flow: job.reserved ? null : job.flow,
      units,
      leaseUntil: now + LIMITS.leaseMs,
      expiresAt: job.holdExpiresAt,
      taken: false,
    };
    this.#leases.set(job.job, lease);
    daemon.running.add(job.job);
    // Where the price is fixed, a daemon whose floor is above it was not asked.
    const floor = LANE_TABLE[job.flow.lane].price === "effective" ? daemon.floor : null;
    return { job, daemon, lease, terms: { rate: job.rate, floor } };
  }

  /** A relay says that a job runs. Adopts leases that this pool does not know, as after a restart. */
  running({ job, fence, daemon, account }: RunningLease, now: number): void {
    const lease = this.#leases.get(job);
    if (lease !== undefined) {
      if (lease.fence === fence) lease.taken = true;
      return;
    }
    // Granted by this pool and ended since: a report that comes twice, or late, must not take the slot again.
    if (fence >= this.#firstFence) return;
    const known = this.#daemons.get(daemon);
    if (known === undefined) return;
    known.running.add(job);
    const expiresAt = now + this.#parameters.firstTokenSlaMs * 2;
    this.#leases.set(job, {
      job,
      fence,
      daemon,
      account,
      flow: null,
      units: 0,
      leaseUntil: now,
      expiresAt,
      taken: true,
    });
  }

  /** A relay says that a job ended: its slot is free, and the estimate gives way to what was used. */
  ended(job: JobId, fence: number, tokens: Tokens | null, now: number): void {
    if (this.#leases.get(job)?.fence === fence) this.#endLease(job, tokens, now);
  }

  #endLease(job: JobId, tokens: Tokens | null, now: number): void {
    const lease = this.#leases.get(job);
    if (lease === undefined) return;
    this.#leases.delete(job);
    const daemon = this.#daemons.get(lease.daemon);
    if (daemon?.running.delete(job)) daemon.idleSince = now;
    if (lease.flow !== null) this.#queue.correct(lease.flow, (tokens === null ? 0 : this.#units(tokens)) - lease.units);
  }

  lease(job: JobId): Lease | undefined {
    return this.#leases.get(job);
  }

  /** The leases that nobody took up in time, and the ones whose hold is over. They stay until `ended` is called. */
  lapsed(now: number): Lease[] {
    return [...this.#leases.values()].filter((lease) => (lease.taken ? lease.expiresAt : lease.leaseUntil) <= now);
  }

  /** Takes out the jobs that waited too long, or that nobody here could serve once the grace for an empty pool is over. */
  rejections(now: number): Rejection[] {
    if (now < this.#checkAt) return [];
    this.#checkAt = Number.POSITIVE_INFINITY;
    const rejections: Rejection[] = [];
    for (const job of this.#queue.inOrder()) {
      const hopelessAt = this.#anyoneCould(job) ? job.waitUntil : job.enqueuedAt + LIMITS.emptyPoolMs;
      const due = Math.min(job.waitUntil, hopelessAt);
      if (now < due) {
        this.#checkAt = Math.min(this.#checkAt, due);
        continue;
      }
      this.#queue.remove(job.job);
      const refusal = now < job.waitUntil ? whyNobody(this.#daemons.values(), job) : refuse("queue_timeout");
      rejections.push({ job, refusal });
    }
    return rejections;
  }

  #anyoneCould(job: WaitingJob): boolean {
    for (const daemon of this.#daemons.values()) if (couldServe(daemon, job)) return true;
    return false;
  }

  /**
   * When something has to be looked at: a job to refuse, a lease that nobody took up. Null while there is no such thing. A
   * lease that runs is not waited for: a timer that lasts as long as a job would keep the object awake for it. One that has
   * lapsed is being looked into, and looked at again only after a moment.
   */
  nextDue(now: number): number | null {
    let due = this.#queue.size === 0 ? Number.POSITIVE_INFINITY : this.#checkAt;
    for (const { taken, leaseUntil } of this.#leases.values()) {
      if (!taken) due = Math.min(due, leaseUntil > now ? leaseUntil : now + LIMITS.leaseMs);
    }
    return Number.isFinite(due) ? due : null;
  }

  /** The place of a waiting job in today's order, from 1; null when it does not wait. */
  position(id: JobId): number | null {
    if (this.#queue.get(id) === undefined) return null;
    let place = 0;
    for (const job of this.#queue.inOrder()) {
      place += 1;
      if (job.job === id) return place;
    }
    return null;
  }

  #freeSlots(): number {
    let free = 0;
    for (const daemon of this.#daemons.values()) free += Math.max(0, daemon.slots - daemon.running.size);
    return free;
  }

  #units(tokens: Tokens): number {
    const { promptTokenUnits, completionTokenUnits } = this.#parameters;
    return promptTokenUnits * tokens.prompt + completionTokenUnits * tokens.completion;
  }

  /** In a pool with daemons, a feature that none of them has can be refused at once. */
  #missingFeature(job: WaitingJob): Refusal | null {
    if (this.#daemons.size === 0) return null;
    for (const { feature, param } of job.features) {
      const known = [...this.#daemons.values()].some((daemon) => daemon.features.includes(feature));
      if (!known) return refuse("unsupported_parameter", { param });
    }
    return null;
  }
}
