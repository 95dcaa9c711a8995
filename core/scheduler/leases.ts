/** The leases of a pool, with the times at which somebody has to look after them. */

import type { AccountId, DaemonId, JobId } from "../ids.ts";
import { LIMITS } from "../limits.ts";
import type { Flow } from "./fair-queue.ts";
import { Heap } from "./heap.ts";

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
  /** Whether it is in a slot that its account's package has reserved. */
  readonly reserved: boolean;
  readonly leaseUntil: number;
  readonly expiresAt: number;
  /** Whether the relay has said that it runs. */
  taken: boolean;
}

export class Leases {
  readonly #leases = new Map<JobId, Lease>();
  readonly #untaken = new Heap<Lease>((a, b) => a.leaseUntil < b.leaseUntil);
  readonly #taken = new Heap<Lease>((a, b) => a.expiresAt < b.expiresAt);

  get(job: JobId): Lease | undefined {
    return this.#leases.get(job);
  }

  add(lease: Lease): void {
    this.#leases.set(lease.job, lease);
    (lease.taken ? this.#taken : this.#untaken).add(lease);
  }

  /** A relay says that it runs. */
  take(lease: Lease): void {
    if (lease.taken || !this.#untaken.remove(lease)) return;
    lease.taken = true;
    this.#taken.add(lease);
  }

  remove(job: JobId): Lease | undefined {
    const lease = this.#leases.get(job);
    if (lease === undefined) return undefined;
    this.#leases.delete(job);
    (lease.taken ? this.#taken : this.#untaken).remove(lease);
    return lease;
  }

  of(daemon: DaemonId): Lease[] {
    return [...this.#leases.values()].filter((lease) => lease.daemon === daemon);
  }

  /** The leases that nobody took up in time, and the ones whose hold is over. They stay until they are removed. */
  lapsed(now: number): Lease[] {
    const untaken = this.#untaken.while(({ leaseUntil }) => leaseUntil <= now);
    return [...untaken, ...this.#taken.while(({ expiresAt }) => expiresAt <= now)];
  }

  /**
   * When the next lease lapses that nobody has taken up; one that has lapsed is being looked into, and looked at again
   * after a moment. One that runs is not waited for: a timer that lasts as long as a job keeps the object awake for it.
   */
  nextDue(now: number): number {
    if (this.#untaken.size === 0) return Number.POSITIVE_INFINITY;
    const again = (this.#untaken.top as Lease).leaseUntil <= now ? now + LIMITS.leaseMs : Number.POSITIVE_INFINITY;
    const next = this.#untaken.firstWithout(({ leaseUntil }) => leaseUntil <= now);
    return Math.min(again, next?.leaseUntil ?? Number.POSITIVE_INFINITY);
  }
}
