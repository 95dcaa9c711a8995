/** Until when jobs may wait: for a slot, and for a daemon that could serve them at all. */

import { LIMITS } from "../limits.ts";
import { Heap } from "./heap.ts";
import type { WaitingJob } from "./waiting-job.ts";

const NEVER = Number.POSITIVE_INFINITY;

export class WaitTimes {
  readonly #limits = new Heap<WaitingJob>((a, b) => a.waitUntil < b.waitUntil);
  /** Jobs of which it is not known that anybody could serve them. */
  readonly #unsure = new Heap<WaitingJob>((a, b) => a.enqueuedAt < b.enqueuedAt);

  add(job: WaitingJob): void {
    this.#limits.add(job);
    this.#unsure.add(job);
  }

  remove(job: WaitingJob): void {
    this.#limits.remove(job);
    this.#unsure.remove(job);
  }

  /** Whether anybody could serve a job is to be asked again. */
  doubt(job: WaitingJob): void {
    this.#unsure.add(job);
  }

  /** Somebody could. */
  trust(job: WaitingJob): void {
    this.#unsure.remove(job);
  }

  /** The jobs that have waited for their lane's limit. */
  overdue(now: number): WaitingJob[] {
    return [...this.#limits.while(({ waitUntil }) => waitUntil <= now)];
  }

  /** The jobs that have waited for the time that a pool without daemons is given, and of which nothing is known. */
  unsure(now: number): WaitingJob[] {
    return [...this.#unsure.while(({ enqueuedAt }) => enqueuedAt + LIMITS.emptyPoolMs <= now)];
  }

  /** When a job may have to be refused, at the earliest. */
  get nextDue(): number {
    const unsure = this.#unsure.top;
    return Math.min(
      this.#limits.top?.waitUntil ?? NEVER,
      unsure === undefined ? NEVER : unsure.enqueuedAt + LIMITS.emptyPoolMs,
    );
  }
}
