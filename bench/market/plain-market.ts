/** A market with a queue that knows of no shares, and the first daemon that fits. */

import type { DaemonId, JobId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { couldServe } from "../../core/scheduler/choose.ts";
import type { Daemon, DaemonOffer } from "../../core/scheduler/daemon.ts";
import { needsOf } from "../../core/scheduler/needs.ts";
import { Supply } from "../../core/scheduler/supply.ts";
import { WaitTimes } from "../../core/scheduler/wait-times.ts";
import type { QueuedJob } from "../../core/scheduler/waiting-job.ts";
import type { Assignment, Ended, Market } from "./market.ts";
import { PlainQueue } from "./plain-queue.ts";

/** Contexts are all the same here, and nobody who asks provides. */
const VOCABULARY = { contexts: [], provides: () => false };

export class PlainMarket implements Market {
  readonly #supply = new Supply();
  readonly #queue: PlainQueue<QueuedJob>;
  readonly #times = new WaitTimes((job) => this.#queue.has(job));
  #fence = 0;

  constructor(kind: "fifo" | "round robin") {
    this.#queue = new PlainQueue(kind, (job) => needsOf(job, VOCABULARY));
  }

  get waiting(): number {
    return this.#queue.size;
  }

  get slots(): number {
    return this.#supply.slots;
  }

  get running(): number {
    return this.#supply.running;
  }

  register(daemon: DaemonOffer, now: number): void {
    const standing = {
      quality: 1,
      reliability: 1,
      tokensPerSecond: daemon.tokensPerSecond,
      newcomer: false,
      quarantined: false,
    };
    this.#supply.put(daemon, standing, new Set(), now);
    this.#queue.unblock();
  }

  unregister(daemon: DaemonId): void {
    this.#supply.remove(daemon);
  }

  enqueue(job: QueuedJob): boolean {
    if (this.#queue.size >= LIMITS.poolWaiting) return false;
    this.#queue.add(job);
    this.#times.add(job);
    return true;
  }

  dispatch(): Assignment[] {
    const assignments: Assignment[] = [];
    const { free } = this.#supply;
    while (free.length > 0) {
      const next = this.#queue.next((job) => free.find((daemon) => couldServe(daemon, job)) ?? null);
      if (next === null) break;
      assignments.push(this.#assign(next.job, next.match));
    }
    return assignments;
  }

  #assign(job: QueuedJob, daemon: Daemon): Assignment {
    this.#queue.remove(job.job);
    this.#supply.took(daemon, job.job);
    this.#fence += 1;
    return { job, daemon, fence: this.#fence };
  }

  ended({ job, daemon }: Assignment, _how: Ended, now: number): void {
    if (this.#supply.ended(daemon.daemon, job.job, now) !== null) this.#queue.unblock();
  }

  overdue(now: number): JobId[] {
    const overdue = this.#times.take(now, () => true).overdue.map(({ job }) => job);
    for (const job of overdue) this.#queue.remove(job);
    return overdue;
  }
}
