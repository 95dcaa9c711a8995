/**
 * Which daemon serves a job at a fixed price (economics.md §9): the better of two that are drawn by weight. A draw picks
 * places at random and accepts each with its weight for a probability, so that a choice among thousands looks at a few.
 */

import type { Random } from "../random.ts";
import { type Room, roomOf } from "../scheduler/daemon.ts";
import type { Standing } from "./standing.ts";

/** A daemon, as far as draws go by it. */
export type Weighed = Room & { readonly loaded: boolean; readonly standing: Standing };

export interface WeightOptions<D> {
  /** The part of all draws that is among newcomers, from 0 to 1. */
  readonly exploration: number;
  /** What a job multiplies a daemon's weight by, from above 0 to 1. */
  readonly factor?: (daemon: D) => number;
}

/** Misses after which a draw looks at all daemons once, as few of them seem to fit. */
const MISSES = 64;

/** reliability² · min(1, tokens a second / the pool's median) · (1 − load): above 0 for a daemon with a free slot. */
export function weightOf(daemon: Weighed, median: number): number {
  const { quality, tokensPerSecond } = daemon.standing;
  const speed = tokensPerSecond < median ? tokensPerSecond / median : 1;
  return quality * speed * (roomOf(daemon) / daemon.slots);
}

/**
 * Draws one of the daemons with a free slot that are eligible for a job; null where none is. Those that have the model in
 * memory go first. `median` is the pool's, in tokens a second.
 */
export function chooseByWeight<D extends Weighed>(
  free: readonly D[],
  isEligible: (daemon: D) => boolean,
  median: number,
  random: Random,
  { exploration, factor }: WeightOptions<D>,
): D | null {
  if (random() < exploration) {
    const isNew = (daemon: D): boolean => daemon.standing.newcomer && isEligible(daemon);
    const newcomer = draw(free, isNew, () => 1, random);
    if (newcomer !== null) return newcomer;
  }
  const weight = (daemon: D): number => weightOf(daemon, median) * (factor?.(daemon) ?? 1);
  const first = draw(free, isEligible, weight, random);
  if (first === null) return null;
  const second = draw(free, isEligible, weight, random) ?? first;
  return weight(second) > weight(first) ? second : first;
}

/** One daemon, each with a probability in proportion to its weight (0 to 1). */
function draw<D extends Weighed>(
  free: readonly D[],
  isEligible: (daemon: D) => boolean,
  weight: (daemon: D) => number,
  random: Random,
): D | null {
  for (let miss = 0; miss < MISSES; miss++) {
    const daemon = free[Math.floor(random() * free.length)];
    if (daemon?.loaded && random() < weight(daemon) && isEligible(daemon)) return daemon;
  }
  return drawOfAll(free, isEligible, weight, random);
}

/** The same in one pass over all: each one takes the place of those before it with its part of the weight so far. */
function drawOfAll<D extends Weighed>(
  free: readonly D[],
  isEligible: (daemon: D) => boolean,
  weight: (daemon: D) => number,
  random: Random,
): D | null {
  const loaded: Place<D> = { daemon: null, total: 0 };
  const others: Place<D> = { daemon: null, total: 0 };
  for (const daemon of free) {
    if (!isEligible(daemon)) continue;
    const place = daemon.loaded ? loaded : others;
    const own = weight(daemon);
    place.total += own;
    if (place.daemon === null || random() * place.total < own) place.daemon = daemon;
  }
  return loaded.daemon ?? others.daemon;
}

interface Place<D> {
  daemon: D | null;
  total: number;
}
