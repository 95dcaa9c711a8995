/** What the lanes of a pool wait for, run, and were served of late in token units: the last ten minutes, minute by minute. */

import { LANES, type Lane } from "../lanes.ts";
import type { Leases } from "./leases.ts";

const MINUTE_MS = 60_000;
/** How far back it is looked, in minutes. */
export const SERVED_MINUTES = 10;

export interface LaneFigures {
  readonly lane: Lane;
  readonly waiting: number;
  readonly running: number;
  readonly units: number;
}

export class Served {
  /** By minute since 1970. */
  readonly #minutes = new Map<number, Map<Lane, number>>();

  add(lane: Lane, units: number, now: number): void {
    const minute = Math.floor(now / MINUTE_MS);
    let lanes = this.#minutes.get(minute);
    if (lanes === undefined) {
      for (const before of this.#minutes.keys()) if (before <= minute - SERVED_MINUTES) this.#minutes.delete(before);
      lanes = new Map();
      this.#minutes.set(minute, lanes);
    }
    lanes.set(lane, (lanes.get(lane) ?? 0) + units);
  }

  /** The units of a lane in the last ten minutes, the one that has begun among them. */
  of(lane: Lane, now: number): number {
    const minute = Math.floor(now / MINUTE_MS);
    let units = 0;
    for (const [at, lanes] of this.#minutes) if (at > minute - SERVED_MINUTES) units += lanes.get(lane) ?? 0;
    return units;
  }

  /** Every lane beside what waits and runs in it. */
  figures(queue: { waitingIn(lane: Lane): number }, leases: Leases, now: number): LaneFigures[] {
    return LANES.map((lane) => ({
      lane,
      waiting: queue.waitingIn(lane),
      running: leases.countIn(lane),
      units: this.of(lane, now),
    }));
  }
}
