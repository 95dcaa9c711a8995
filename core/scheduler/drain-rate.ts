/**
 * How fast a pool drains: what one of its slots takes in a second while more jobs wait than there is room for. Time in
 * which every job finds a slot tells nothing, as then it is limited by who asks; it only makes what was measured older.
 */

import { LIMITS } from "../limits.ts";

/** What a pool dispatches in a second. */
export interface Drain {
  readonly jobs: number;
  /** Token units, by the jobs' estimates. */
  readonly units: number;
}

/** So many dispatches tell a rate well enough to refuse somebody for it: half of it is then not in doubt. */
const SOLID_JOBS = 8;

export class DrainRate {
  /** Sums over the time in which jobs waited, each share worth half after {@link LIMITS.drainHalfLifeMs}. */
  #jobs = 0;
  #units = 0;
  #slotMs = 0;
  #at = 0;
  /** The slots that were all taken since then; 0 where there was room. */
  #slots = 0;

  /** A job was given to a slot. */
  dispatched(units: number, now: number): void {
    this.#pass(now);
    if (this.#slots === 0) return;
    this.#jobs += 1;
    this.#units += units;
  }

  /** From now on jobs wait for `slots` slots that are taken; 0 where there is room for whoever comes. */
  waitFor(slots: number, now: number): void {
    this.#pass(now);
    this.#slots = slots;
  }

  /** The rate at which `slots` slots drain; null where nothing was measured. */
  of(slots: number, now: number): Drain | null {
    this.#pass(now);
    if (this.#jobs === 0 || this.#slotMs === 0 || slots === 0) return null;
    const perSecond = (1_000 * slots) / this.#slotMs;
    return { jobs: this.#jobs * perSecond, units: this.#units * perSecond };
  }

  /** Whether enough was measured of late to rely on it. */
  isSolid(now: number): boolean {
    this.#pass(now);
    return this.#jobs >= SOLID_JOBS;
  }

  /** Lets time pass: what was counted is worth less, and the slots that are taken have been so for longer. */
  #pass(now: number): void {
    const passed = now - this.#at;
    // Clocks of a restarted machine may step back.
    if (passed <= 0) return;
    const left = 2 ** (-passed / LIMITS.drainHalfLifeMs);
    this.#at = now;
    this.#jobs *= left;
    this.#units *= left;
    // The weight of each moment of the stretch is what it is worth at its end.
    this.#slotMs = this.#slotMs * left + (this.#slots * LIMITS.drainHalfLifeMs * (1 - left)) / Math.LN2;
    // What is worth a millionth of a job is forgotten, and no longer told as a rate.
    if (this.#jobs > 0 && this.#jobs < 1e-6) this.#jobs = this.#units = this.#slotMs = 0;
  }
}
