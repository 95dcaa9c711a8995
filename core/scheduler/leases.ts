/** The leases of a pool, with the times at which somebody has to look after them. */

import type { AccountId, DaemonId, JobId } from "../ids.ts";
import type { Lane } from "../lanes.ts";
import { LIMITS } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import { Agenda } from "./agenda.ts";
import type { Flow } from "./fair-queue.ts";

/** The grant of a job to a daemon. */
export interface Lease {
  readonly job: JobId;
  readonly fence: number;
  readonly daemon: DaemonId;
  /** Whose job it is. */
  readonly account: AccountId;
  /** Null on an own device. */
  readonly lane: Lane | null;
  /** Where it was charged; null for a lease that was adopted from a relay, and for one on an own device. */
  readonly flow: Flow | null;
  readonly units: number;
  /** Whether it is in a slot that its account's package has reserved. */
  readonly reserved: boolean;
  readonly leaseUntil: number;
  readonly expiresAt: number;
  /** The race that it is part of, by the fence with which that began; null while no other lease of the job is beside it. */
  race: number | null;
  /** Whether the relay has said that it runs. */
  taken: boolean;
}

type Adopted = Pick<Lease, "job" | "fence" | "daemon" | "account" | "lane" | "race">;

/** The lease of a job that a relay runs, as after a restart: where it was charged is not known any more. */
export function adoptedLease(running: Adopted, now: number, { firstTokenSlaMs }: Parameters): Lease {
  const expiresAt = now + firstTokenSlaMs * 2;
  return { ...running, flow: null, units: 0, reserved: false, leaseUntil: now, expiresAt, taken: true };
}

/** A job has one lease, or two while daemons race for it (docs/decisions/0059). */
export class Leases {
  readonly #leases = new Map<JobId, readonly Lease[]>();
  readonly #inLane = new Map<Lane | null, number>();
  readonly #untaken = new Agenda<Lease>((lease) => !lease.taken && this.#stands(lease));
  /** No hold of a lease that runs is over before this. */
  #expiresFrom = Number.POSITIVE_INFINITY;

  /** The leases of a job, oldest first. */
  at(job: JobId): readonly Lease[] {
    return this.#leases.get(job) ?? [];
  }

  get(job: JobId, fence: number): Lease | undefined {
    return this.at(job).find((lease) => lease.fence === fence);
  }

  /** How many leases there are of jobs of a lane. */
  countIn(lane: Lane): number {
    return this.#inLane.get(lane) ?? 0;
  }

  #count(lane: Lane | null, more: number): void {
    this.#inLane.set(lane, (this.#inLane.get(lane) ?? 0) + more);
  }

  add(lease: Lease): void {
    this.#count(lease.lane, 1);
    this.#leases.set(lease.job, [...this.at(lease.job), lease]);
    if (lease.taken) this.#expiresFrom = Math.min(this.#expiresFrom, lease.expiresAt);
    else this.#untaken.add(lease, lease.leaseUntil);
  }

  /** A relay says that it runs. */
  take(lease: Lease): void {
    if (lease.taken || !this.#stands(lease)) return;
    lease.taken = true;
    this.#expiresFrom = Math.min(this.#expiresFrom, lease.expiresAt);
  }

  #stands(lease: Lease): boolean {
    return this.at(lease.job).includes(lease);
  }

  remove(lease: Lease): void {
    this.#count(lease.lane, -1);
    const others = this.at(lease.job).filter((other) => other !== lease);
    if (others.length > 0) this.#leases.set(lease.job, others);
    else this.#leases.delete(lease.job);
  }

  of(daemon: DaemonId): Lease[] {
    return [...this.#leases.values()].flat().filter((lease) => lease.daemon === daemon);
  }

  /** The leases that nobody took up in time, and the ones whose hold is over. They stay until they are removed. */
  lapsed(now: number): Lease[] {
    return [...this.#untaken.look(now).due, ...this.#expired(now)];
  }

  /** Holds last so much longer than jobs that looking at all of those that run, now and then, costs less than their order. */
  #expired(now: number): Lease[] {
    if (now < this.#expiresFrom) return [];
    const running = [...this.#leases.values()].flat().filter(({ taken }) => taken);
    this.#expiresFrom = running.reduce((least, { expiresAt }) => Math.min(least, expiresAt), Number.POSITIVE_INFINITY);
    return running.filter(({ expiresAt }) => expiresAt <= now);
  }

  /**
   * When the next lease lapses that nobody has taken up; one that has lapsed is being looked into, and looked at again
   * after a moment. One that runs is not waited for: a timer that lasts as long as a job keeps the object awake for it.
   */
  nextDue(now: number): number {
    const { due, next } = this.#untaken.look(now);
    return due.length === 0 ? next : Math.min(next, now + LIMITS.leaseMs);
  }
}
