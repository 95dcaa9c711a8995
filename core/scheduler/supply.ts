/** The daemons of a pool: who is there, who has a free slot, and how many there are of both. */

import type { AccountId, DaemonId, JobId } from "../ids.ts";
import { Median } from "../routing/median.ts";
import type { Standing } from "../routing/standing.ts";
import { type Daemon, type DaemonOffer, roomOf } from "./daemon.ts";

export class Supply {
  readonly #daemons = new Map<DaemonId, Daemon>();
  /** Those with a free slot that take jobs, in no order, so that one can be drawn; each knows its place. */
  readonly #free: Daemon[] = [];
  readonly #places = new Map<DaemonId, number>();
  /** How many daemons an account has here, and how many have a context. */
  readonly #providers = new Map<AccountId, number>();
  readonly #contexts = new Map<number, number>();
  readonly #speeds = new Median();
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

  /** The median of the tokens a second of the daemons that take jobs. */
  get medianSpeed(): number {
    return this.#speeds.value;
  }

  /** Whether an account provides here. */
  provides(account: AccountId): boolean {
    return this.#providers.has(account);
  }

  /** The contexts that daemons have, ascending. */
  contexts(): number[] {
    return [...this.#contexts.keys()].sort((a, b) => a - b);
  }

  /** Adds a daemon, or takes over what changed in its offer. */
  put(offer: DaemonOffer, standing: Standing, running: ReadonlySet<JobId>, now: number): Daemon {
    const idleSince = this.#daemons.get(offer.daemon)?.idleSince ?? now;
    this.remove(offer.daemon);
    const daemon = { ...offer, standing, running: new Set(running), idleSince };
    this.#daemons.set(daemon.daemon, daemon);
    count(this.#providers, daemon.provider, 1);
    count(this.#contexts, daemon.context, 1);
    this.#running += daemon.running.size;
    this.#count(daemon);
    return daemon;
  }

  /** A daemon has shown something new of itself. */
  stands(daemon: Daemon, standing: Standing): void {
    this.#discount(daemon);
    daemon.standing = standing;
    this.#count(daemon);
  }

  remove(id: DaemonId): void {
    const daemon = this.#daemons.get(id);
    if (daemon === undefined) return;
    this.#daemons.delete(id);
    count(this.#providers, daemon.provider, -1);
    count(this.#contexts, daemon.context, -1);
    this.#running -= daemon.running.size;
    this.#discount(daemon);
    this.#displace(daemon);
  }

  #count(daemon: Daemon): void {
    this.#place(daemon);
    if (!takesJobs(daemon)) return;
    this.#slots += daemon.slots;
    this.#speeds.add(daemon.standing.tokensPerSecond);
  }

  #discount(daemon: Daemon): void {
    if (!takesJobs(daemon)) return;
    this.#slots -= daemon.slots;
    this.#speeds.remove(daemon.standing.tokensPerSecond);
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
    const isFree = takesJobs(daemon) && roomOf(daemon) > 0;
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

function takesJobs({ draining, standing }: Daemon): boolean {
  return !draining && !standing.quarantined;
}

/** Counts one more or one less of something; of what there is nothing, nothing is kept. */
function count<Key>(counts: Map<Key, number>, key: Key, change: number): void {
  const left = (counts.get(key) ?? 0) + change;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}
