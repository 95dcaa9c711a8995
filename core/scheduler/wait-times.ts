/** Until when jobs may wait: for a slot, and for a daemon that could serve them at all. */

import { LIMITS } from "../limits.ts";
import { Agenda } from "./agenda.ts";
import type { WaitingJob } from "./waiting-job.ts";

export class WaitTimes {
  readonly #waits: (job: WaitingJob) => boolean;
  /** Jobs by when it is asked whether anybody could serve them, and after that by their lanes' limits. */
  readonly #agenda: Agenda<WaitingJob>;
  /** Jobs of which that is to be asked again. */
  #doubted: WaitingJob[] = [];
  /** Whoever came so long ago was asked about. */
  #askedUntil = Number.NEGATIVE_INFINITY;

  /** `waits` says whether a job is still waiting. */
  constructor(waits: (job: WaitingJob) => boolean) {
    this.#waits = waits;
    this.#agenda = new Agenda(waits);
  }

  add(job: WaitingJob): void {
    this.#agenda.add(job, Math.min(askedAt(job), job.waitUntil));
  }

  /** Whether anybody could serve a job is to be asked again. */
  doubt(job: WaitingJob): void {
    if (askedAt(job) <= this.#askedUntil) this.#doubted.push(job);
  }

  /**
   * Takes out the jobs that have waited for their lane's limit, and those that nobody could serve after the time that a pool
   * without daemons is given.
   */
  take(now: number, couldBeServed: (job: WaitingJob) => boolean): { overdue: WaitingJob[]; unservable: WaitingJob[] } {
    const overdue: WaitingJob[] = [];
    const unservable: WaitingJob[] = [];
    for (const job of this.#agenda.take(now)) {
      if (job.waitUntil <= now) overdue.push(job);
      else if (couldBeServed(job)) this.#agenda.add(job, job.waitUntil);
      else unservable.push(job);
    }
    for (const job of this.#doubted) {
      if (this.#waits(job) && job.waitUntil > now && !couldBeServed(job)) unservable.push(job);
    }
    this.#doubted = [];
    this.#askedUntil = Math.max(this.#askedUntil, now);
    return { overdue, unservable };
  }

  /** When a job may have to be refused, at the earliest. */
  get nextDue(): number {
    return this.#agenda.next;
  }
}

function askedAt({ enqueuedAt }: WaitingJob): number {
  return enqueuedAt + LIMITS.emptyPoolMs;
}
