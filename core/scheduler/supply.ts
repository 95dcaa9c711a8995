/** The daemons of a pool: who is there, who has a free slot, and how many there are of both. */

import type { DaemonId, JobId } from "../ids.ts";
import { type Daemon, type DaemonOffer, roomOf } from "./daemon.ts";

export class Supply {
  readonly #daemons = new Map<DaemonId, Daemon>();
  /** Those with a free slot that take jobs, in no order, so that one can be drawn; each knows its place. */
  readonly #free: Daemon[] = [];
  readonly #places = new Map<DaemonId, number>();
  /** How many daemons an account has here. */
  readonly #providers = new Map<string, number>();
  #slots = 0;
  #running = 0;

  get daemons(): ReadonlyMap<DaemonId, Daemon> {
    return this.#daemons;
  }

  /** The daemons that can take a job now. */
  get free(): readonly Daemon[] {
    return this.#free;
  }

  /** Slots of the daemons that take jobs. */
  get slots(): number {
    return this.#slots;
  }

  /** Jobs that run on the daemons that are here. */
  get running(): number {
    return this.#running;
  }

  /** Accounts that provide here. */
  get providers(): ReadonlySet<string> {
    return new Set(this.#providers.keys());
  }

  /** The contexts that daemons have, ascending. */
  contexts(): number[] {
    return [...new Set([...this.#daemons.values()].map(({ context }) => context))].sort((a, b) => a - b);
  }

  /** Adds a daemon, or takes over what changed in its offer. */
  put(offer: DaemonOffer, running: ReadonlySet<JobId>, now: number): Daemon {
    const idleSince = this.#daemons.get(offer.daemon)?.idleSince ?? now;
    this.remove(offer.daemon);
    const daemon = { ...offer, running: new Set(running), idleSince };
    this.#daemons.set(daemon.daemon, daemon);
    this.#providers.set(daemon.provider, (this.#providers.get(daemon.provider) ?? 0) + 1);
    if (!daemon.draining) this.#slots += daemon.slots;
    this.#running += daemon.running.size;
    this.#place(daemon);
    return daemon;
  }

  remove(id: DaemonId): void {
    const daemon = this.#daemons.get(id);
    if (daemon === undefined) return;
    this.#daemons.delete(id);
    const left = (this.#providers.get(daemon.provider) ?? 1) - 1;
    if (left === 0) this.#providers.delete(daemon.provider);
    else this.#providers.set(daemon.provider, left);
    if (!daemon.draining) this.#slots -= daemon.slots;
    this.#running -= daemon.running.size;
    this.#displace(daemon);
  }

  /** A daemon has a job more. */
  took(daemon: Daemon, job: JobId): void {
    if (daemon.running.has(job)) return;
    daemon.running.add(job);
    this.#running += 1;
    this.#place(daemon);
  }

  /** A daemon has so many jobs for other pools. Gives the daemon if it is there. */
  serves(id: DaemonId, elsewhere: number): Daemon | null {
    const daemon = this.#daemons.get(id);
    if (daemon === undefined) return null;
    daemon.elsewhere = elsewhere;
    this.#place(daemon);
    return daemon;
  }

  /** A daemon has a job less. Gives the daemon if it is there and had the job. */
  ended(id: DaemonId, job: JobId, now: number): Daemon | null {
    const daemon = this.#daemons.get(id);
    if (daemon?.running.delete(job) !== true) return null;
    daemon.idleSince = now;
    this.#running -= 1;
    this.#place(daemon);
    return daemon;
  }

  #place(daemon: Daemon): void {
    const isFree = !daemon.draining && roomOf(daemon) > 0;
    if (!isFree) this.#displace(daemon);
    else if (!this.#places.has(daemon.daemon)) {
      this.#places.set(daemon.daemon, this.#free.length);
      this.#free.push(daemon);
    }
  }

  #displace({ daemon: id }: Daemon): void {
    const place = this.#places.get(id);
    if (place === undefined) return;
    this.#places.delete(id);
    const last = this.#free.pop();
    if (last === undefined || last.daemon === id) return;
    this.#free[place] = last;
    this.#places.set(last.daemon, place);
  }
}
