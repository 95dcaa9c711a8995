/** What waiting jobs can expect, by what goes before them and the rate at which their pool drains (economics.md §8). */

import { type Refusal, refuse } from "../errors.ts";
import type { JobId } from "../ids.ts";
import { LIMITS } from "../limits.ts";
import { couldServe } from "./choose.ts";
import { type Drain, DrainRate } from "./drain-rate.ts";
import type { FairQueue } from "./fair-queue.ts";
import type { Supply } from "./supply.ts";
import type { QueuedJob, WaitingJob } from "./waiting-job.ts";

/** An estimate of so many times a job's limit is taken for certain: the pool would have to become twice as fast. */
const HOPELESS_FACTOR = 2;

export class Outlook {
  readonly #queue: FairQueue<QueuedJob>;
  readonly #supply: Supply;
  readonly #rate = new DrainRate();

  constructor(queue: FairQueue<QueuedJob>, supply: Supply) {
    this.#queue = queue;
    this.#supply = supply;
  }

  /** A job of so many units was given to a slot. */
  dispatched(units: number, now: number): void {
    this.#rate.dispatched(units, now);
  }

  /** Everything was dispatched that could be: what waits now waits for a slot. */
  settled(now: number): void {
    // A few jobs that wait for a daemon of their own say nothing about the others.
    const isTaken = this.#queue.size > this.#supply.free.length;
    this.#rate.waitFor(isTaken ? this.#supply.slots : 0, now);
  }

  /** How long a waiting job will still wait, in milliseconds; null when it does not wait, or no pace is known. */
  etaMs(id: JobId, now: number): number | null {
    const ahead = this.#queue.ahead(id);
    return ahead === null ? null : this.#etaMs(ahead, now);
  }

  /**
   * The refusal of a job for which there is no room: a pool takes so many, and none that would wait far longer than it may
   * (docs/decisions/0065). Null when it may wait.
   */
  crowd(job: QueuedJob): Refusal | null {
    const now = job.enqueuedAt;
    const limitMs = job.waitUntil - now;
    const isHopeless = (eta: number | null): boolean => eta !== null && eta > HOPELESS_FACTOR * limitMs;
    const isFull = this.#queue.size >= LIMITS.poolWaiting;
    // Most queues are far from it: then what goes before this one need not be counted. A slot that is sold goes ahead anyway.
    const isLong = !job.reserved && isHopeless(this.#etaOfLast(now)) && this.#rate.isSolid(now);
    if (!isFull && (!isLong || this.#supply.free.some((daemon) => couldServe(daemon, job)))) return null;
    const eta = this.#etaOfNew(job, now);
    if (!isFull && !isHopeless(eta)) return null;
    return refuse("queue_full", { metadata: { waiting: this.#queue.size, eta_ms: eta, limit_ms: limitMs } });
  }

  /**
   * When a refused job is to be sent again, in whole seconds: when so much has been dispatched of what goes before it that
   * it would be served within its limit. Null for a refusal that time does not change.
   */
  retryAfterSeconds({ code }: Refusal, job: WaitingJob, now: number): number | null {
    const { retryAfterDefaultSeconds, retryAfterLeastSeconds, retryAfterMostSeconds } = LIMITS;
    if (code === "no_provider") return retryAfterDefaultSeconds;
    if (code !== "queue_full" && code !== "queue_timeout") return null;
    // Own daemons serve their account alone, so the pool's pace is not theirs.
    if (job.flow === null) return retryAfterDefaultSeconds;
    // Who has waited in vain may find all that wait before it; who found no room has a place that can be told.
    const eta = code === "queue_full" ? this.#etaOfNew(job, now) : this.#etaOfLast(now);
    if (eta === null) return retryAfterDefaultSeconds;
    const seconds = Math.ceil((eta - (job.waitUntil - job.enqueuedAt)) / 1_000);
    return Math.min(retryAfterMostSeconds, Math.max(retryAfterLeastSeconds, seconds));
  }

  /** How long a job would wait that comes now, at its fair place. */
  #etaOfNew(job: QueuedJob, now: number): number | null {
    this.#queue.add(job);
    const eta = this.etaMs(job.job, now);
    this.#queue.remove(job.job);
    return eta;
  }

  /** How long a job would wait behind all that wait now. */
  #etaOfLast(now: number): number | null {
    return this.#etaMs({ jobs: this.#queue.size, units: this.#queue.waitingUnits }, now);
  }

  /** Until what goes before a job has been dispatched, and then for the next slot that becomes free. */
  #etaMs(ahead: { readonly jobs: number; readonly units: number }, now: number): number | null {
    const drain: Drain | null = this.#rate.of(this.#supply.slots, now);
    if (drain === null) return null;
    const before = drain.units > 0 ? ahead.units / drain.units : ahead.jobs / drain.jobs;
    return Math.round(1_000 * (before + 1 / drain.jobs));
  }
}
