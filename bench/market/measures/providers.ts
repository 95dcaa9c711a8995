/** How jobs fall on those who serve: the largest share of one owner, newcomers, and claims that fail. */

import { percentile } from "../../measure/statistics.ts";
import { KNOWN_JOBS, type SimulatedDaemon } from "../population.ts";

const STRETCHES = 4;

export interface Newcomers {
  readonly owners: number;
  readonly known: number;
  /** Seconds from the first registration to so many jobs that an owner is known, of those who came so far. */
  readonly p50: number;
  readonly p90: number;
}

interface Owner {
  jobs: number;
  units: number;
  readonly joinedAt: number;
  readonly isNewcomer: boolean;
  knownAt: number | null;
}

export class Providers {
  readonly #owners = new Map<string, Owner>();
  /** Of all jobs of each part of the time, those that daemons with false claims had. */
  readonly #falsely = Array.from({ length: STRETCHES }, () => ({ jobs: 0, falsely: 0 }));
  readonly #stretchMs: number;

  constructor(ms: number) {
    this.#stretchMs = ms / STRETCHES;
  }

  /** A daemon has come, for the first time or again. */
  joined({ offer, isNewcomer }: SimulatedDaemon, now: number): void {
    if (this.#owners.has(offer.provider)) return;
    this.#owners.set(offer.provider, { jobs: 0, units: 0, joinedAt: now, isNewcomer, knownAt: null });
  }

  /** A job was served well; `isMeasured` once the market is past its beginning. */
  served({ offer }: SimulatedDaemon, units: number, now: number, isMeasured: boolean): void {
    const owner = this.#owners.get(offer.provider);
    if (owner === undefined) return;
    owner.jobs += 1;
    if (owner.jobs === KNOWN_JOBS) owner.knownAt = now;
    if (isMeasured) owner.units += units;
  }

  dispatched({ isLying }: SimulatedDaemon, now: number): void {
    const stretch = this.#falsely[Math.min(STRETCHES - 1, Math.floor(now / this.#stretchMs))];
    if (stretch === undefined) return;
    stretch.jobs += 1;
    if (isLying) stretch.falsely += 1;
  }

  /** What the owner who served most has, beside an equal part. */
  get largest(): number {
    const units = [...this.#owners.values()].map((owner) => owner.units);
    const mean = units.reduce((sum, each) => sum + each, 0) / units.length;
    return units.reduce((most, each) => Math.max(most, each), 0) / mean;
  }

  get newcomers(): Newcomers {
    const all = [...this.#owners.values()].filter(({ isNewcomer }) => isNewcomer);
    const seconds = all.flatMap(({ joinedAt, knownAt }) => (knownAt === null ? [] : [(knownAt - joinedAt) / 1_000]));
    return {
      owners: all.length,
      known: seconds.length,
      p50: percentile(seconds, 0.5),
      p90: percentile(seconds, 0.9),
    };
  }

  /** The part of the jobs that went to daemons with false claims, in each quarter of the time. */
  get falsely(): number[] {
    return this.#falsely.map(({ jobs, falsely }) => falsely / Math.max(1, jobs));
  }
}
