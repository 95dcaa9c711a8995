/** Daemons that may come back: a deploy closes every socket, and what nobody can serve now may have somebody in seconds. */

import type { DaemonId } from "../ids.ts";
import { LIMITS } from "../limits.ts";
import { couldServe } from "./choose.ts";
import type { Daemon } from "./daemon.ts";
import type { WaitingJob } from "./waiting-job.ts";

export class Departures {
  /** When the pool had its first daemon, in this life of it. */
  #since: number | null = null;
  readonly #left = new Map<DaemonId, { readonly daemon: Daemon; readonly at: number }>();

  came(daemon: DaemonId, now: number): void {
    this.#since ??= now;
    this.#left.delete(daemon);
  }

  left(daemon: Daemon, now: number): void {
    this.#left.set(daemon.daemon, { daemon, at: now });
  }

  /**
   * Whether somebody who could serve a job may yet come: to a pool that has just begun anybody may, later one of those that
   * have left a moment ago, or that drain, as who is started anew does.
   */
  mayBring(job: WaitingJob, here: Iterable<Daemon>, now: number): boolean {
    const { settledPoolMs } = LIMITS;
    if (this.#since === null || now < this.#since + settledPoolMs) return true;
    for (const [id, { at }] of this.#left) if (now >= at + settledPoolMs) this.#left.delete(id);
    const left = [...this.#left.values()].map(({ daemon }) => daemon);
    return [...here, ...left].some((daemon) => couldServe({ ...daemon, draining: false }, job));
  }
}
