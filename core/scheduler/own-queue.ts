/**
 * Jobs that wait for daemons of their own account (economics.md §6): in no lane and charged to nobody. They take no slot
 * that others could have before the account's own job, and wait in the order in which they came.
 */

import { type Refusal, refuse } from "../errors.ts";
import type { AccountId, JobId } from "../ids.ts";
import { LIMITS } from "../limits.ts";
import type { OwnJob } from "./waiting-job.ts";

export class OwnQueue {
  readonly #jobs = new Map<JobId, OwnJob>();
  readonly #byAccount = new Map<AccountId, Set<OwnJob>>();

  get size(): number {
    return this.#jobs.size;
  }

  /** Adds a job behind the others, unless its account has enough of them here. */
  add(job: OwnJob): Refusal | null {
    const own = this.#byAccount.get(job.account) ?? new Set();
    if (own.size >= LIMITS.ownWaiting || this.size >= LIMITS.poolWaiting) return refuse("queue_full");
    this.#jobs.set(job.job, job);
    this.#byAccount.set(job.account, own.add(job));
    return null;
  }

  get(id: JobId): OwnJob | undefined {
    return this.#jobs.get(id);
  }

  remove(id: JobId): OwnJob | undefined {
    const job = this.#jobs.get(id);
    if (job === undefined) return undefined;
    this.#jobs.delete(id);
    const own = this.#byAccount.get(job.account);
    own?.delete(job);
    if (own?.size === 0) this.#byAccount.delete(job.account);
    return job;
  }

  /** The jobs that wait for an account's daemons, in their order. */
  of(account: AccountId): Iterable<OwnJob> {
    return this.#byAccount.get(account) ?? [];
  }

  all(): Iterable<OwnJob> {
    return this.#jobs.values();
  }

  /** The place of a job among its account's, from 1; null when it does not wait here. */
  position(id: JobId): number | null {
    const job = this.#jobs.get(id);
    return job === undefined ? null : [...this.of(job.account)].indexOf(job) + 1;
  }
}
