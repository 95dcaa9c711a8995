/** Until when jobs may wait: for a slot, and for a daemon that could serve them at all. */

import { LIMITS } from "../limits.ts";
import { Agenda } from "./agenda.ts";
import type { WaitingJob } from "./waiting-job.ts";

export class WaitTimes {
  readonly #limits: Agenda<WaitingJob>;
  /** Jobs of which it is not known that anybody could serve them. */
  readonly #unsure: Agenda<WaitingJob>;
  /** Whoever came so long ago was asked about. */
  #askedUntil = Number.NEGATIVE_INFINITY;

  /** `waits` says whether a job is still waiting. */
  constructor(waits: (job: WaitingJob) => boolean) {
    this.#limits = new Agenda(waits);
    this.#unsure = new Agenda(waits);
  }

  add(job: WaitingJob): void {
    this.#limits.add(job, job.waitUntil);
    this.#unsure.add(job, job.enqueuedAt + LIMITS.emptyPoolMs);
  }

  /** Whether anybody could serve a job is to be asked again. */
  doubt(job: WaitingJob): void {
    const at = job.enqueuedAt + LIMITS.emptyPoolMs;
    if (at <= this.#askedUntil) this.#unsure.add(job, at);
  }

  /** The jobs that have waited for their lane's limit. */
  overdue(now: number): readonly WaitingJob[] {
    return this.#limits.look(now).due;
  }

  /** Takes the jobs that have waited for the time that a pool without daemons is given, and of which nothing is known. */
  takeUnsure(now: number): WaitingJob[] {
    this.#askedUntil = Math.max(this.#askedUntil, now);
    return this.#unsure.take(now);
  }

  /** When a job may have to be refused, at the earliest. */
  get nextDue(): number {
    return Math.min(this.#limits.next, this.#unsure.next);
  }
}
