/**
 * The reverse auction (economics.md §4): the lowest ask wins, and now and then a newcomer is drawn. Pure. What it looks at is
 * an order of daemons and not when their asks came, so the outcome never depends on that; and it stops at the first asks
 * that decide, so a pool of a thousand bidders costs what one of ten does.
 */

import type { JobId } from "../ids.ts";
import { WHOLE } from "../lanes.ts";
import { LIMITS } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import type { ElectricityFloor } from "../pricing.ts";
import { type BasisPoints, mulDivFloor, type NanoUsd } from "../units.ts";
import type { Draw } from "./draw.ts";
import { countBefore, itemAt } from "./sorted.ts";
import {
  askAt,
  compareIdle,
  comparePlaces,
  compareStanding,
  compareTied,
  isSameStanding,
  type Place,
  type Standing,
} from "./standing.ts";

/** A daemon with a standing ask. */
export interface Bidder extends Place {
  /** What its electricity comes to for 1,000 completion tokens, without a margin; and what that follows from. */
  readonly floor: Standing;
  readonly power: ElectricityFloor;
  /** The margin that counts (standing.ts). */
  readonly margin: BasisPoints;
  /** Whether its owner has few verified jobs. */
  readonly newcomer: boolean;
}

/** Daemons with standing asks, each in the order of {@link comparePlaces}. */
export interface Bids<B extends Bidder> {
  /** Those with a free slot, and of them the newcomers. */
  readonly free: readonly B[];
  readonly freeNewcomers: readonly B[];
}

export interface AuctionOf<B extends Bidder> {
  readonly winner: B;
  /** nanoUSD for 1,000 completion tokens: what the winner is paid. */
  readonly winningAsk: NanoUsd;
  /** The lowest ask of the others; null where nobody else could have served the job at once. */
  readonly secondAsk: NanoUsd | null;
  /** What was looked at, in order: the winner, the lowest asks, the second, and newcomers who could be drawn. */
  readonly considered: readonly B[];
  /** Null where no newcomer could be drawn. `among` are those who could, by id, where one was. */
  readonly draw: { readonly day: number; readonly drawn: boolean; readonly among: readonly B[] } | null;
}

export interface Question {
  readonly job: JobId;
  /** The most that the job pays: nanoUSD for 1,000 completion tokens. */
  readonly max: NanoUsd;
  readonly demand: BasisPoints;
}

/** Gives the draw of a job, on a day. */
export interface DrawSource {
  readonly day: number;
  of(job: JobId): Pick<Draw, "isDrawn" | "pick">;
}

/** Decides a job among the daemons with a free slot; null when none of them may serve it at or under its maximum. */
export function holdAuction<B extends Bidder>(
  { job, max, demand }: Question,
  { free, freeNewcomers }: Bids<B>,
  isEligible: (bidder: B) => boolean,
  draws: DrawSource,
  parameters: Parameters,
): AuctionOf<B> | null {
  const { best, lowest, second, tied } = lowestOf(free, isEligible, demand);
  if (best === null || lowest > max) return null;
  const reach = Math.min(max, mulDivFloor(lowest, parameters.newcomerReachBasisPoints, WHOLE)) as NanoUsd;
  const reaches = (bidder: B): boolean => askAt(bidder.standing, demand) <= reach;
  // Where nobody could be drawn, nothing is: most auctions need no hash.
  const newcomer = firstOf(freeNewcomers, isEligible, reaches);
  const drawn = newcomer === null ? null : drawOf(job, freeNewcomers, isEligible, reaches, demand, draws, parameters);
  const winner = drawn?.winner ?? best;
  const runnerUp = winner === best ? second : best;
  const considered = new Set([winner, best, second ?? best, newcomer ?? best, ...(drawn?.among ?? []), ...tied]);
  return {
    winner,
    winningAsk: askAt(winner.standing, demand),
    secondAsk: runnerUp === null ? null : askAt(runnerUp.standing, demand),
    considered: [...considered].slice(0, LIMITS.auctionAsks).sort(comparePlaces),
    draw: drawn === null ? null : { day: drawn.day, drawn: drawn.winner !== null, among: drawn.among },
  };
}

/** The lowest ask of the daemons that may serve a job, free or busy; null where there is none. */
export function lowestAsk<B extends Bidder>(
  bidders: readonly B[],
  isEligible: (bidder: B) => boolean,
  demand: BasisPoints,
): NanoUsd | null {
  const lowest = firstOf(bidders, isEligible, () => true);
  return lowest === null ? null : askAt(lowest.standing, demand);
}

/**
 * The most that a job pays which names no maximum: max(the formula's price, the lowest eligible floor · 1.1 ◆), in nanoUSD
 * for 1,000 completion tokens. `bidders` are all with a standing ask, busy ones too.
 */
export function defaultMaximum<B extends Bidder>(
  formula: NanoUsd,
  bidders: readonly B[],
  isEligible: (bidder: B) => boolean,
  { auctionMarginBasisPoints: margin }: Parameters,
): NanoUsd {
  const first = firstOf(bidders, isEligible, () => true);
  // No ask is below its floor · 1.1, so with one at or under the formula's price the lowest of those is too.
  if (first === null || askAt(first.standing, WHOLE) <= formula) return formula;
  let { floor } = first;
  for (const bidder of bidders) {
    if (compareStanding(bidder.floor, floor) < 0 && isEligible(bidder)) floor = bidder.floor;
  }
  return Math.max(formula, askAt(floor, margin as BasisPoints)) as NanoUsd;
}

function firstOf<B extends Bidder>(
  bidders: readonly B[],
  isEligible: (bidder: B) => boolean,
  reaches: (bidder: B) => boolean,
): B | null {
  for (const bidder of bidders) {
    if (isEligible(bidder)) return reaches(bidder) ? bidder : null;
  }
  return null;
}

interface Lowest<B> {
  readonly best: B | null;
  readonly lowest: NanoUsd;
  readonly second: B | null;
  /** Who asks the same as the best one, of those that were looked at. */
  readonly tied: readonly B[];
}

/**
 * The best of the lowest asks, and who comes next. Daemons with the same standing price follow each other, the best one
 * first; different standing prices may still round up to the same ask, and then the best of each is compared.
 */
function lowestOf<B extends Bidder>(
  free: readonly B[],
  isEligible: (bidder: B) => boolean,
  demand: BasisPoints,
): Lowest<B> {
  let best: B | null = null;
  let second: B | null = null;
  let lowest = 0 as NanoUsd;
  const tied: B[] = [];
  for (let start = 0; start < free.length; ) {
    const { standing } = itemAt(free, start);
    let ask: NanoUsd | null = null;
    if (best !== null) {
      ask = askAt(standing, demand);
      if (second !== null && ask > lowest) break;
    }
    let at = start;
    for (; at < free.length && isSameStanding(itemAt(free, at).standing, standing); at++) {
      const bidder = itemAt(free, at);
      if (!isEligible(bidder)) continue;
      ask ??= askAt(standing, demand);
      if (best === null) [best, lowest] = [bidder, ask];
      else {
        if (ask === lowest) tied.push(bidder);
        if (ask > lowest || compareTied(best, bidder) < 0) second ??= bidder;
        else [best, second] = [bidder, best];
        // Nobody later with this standing price is better than who is first.
        if (second !== null) break;
      }
    }
    start = countBefore(free, (bidder) => compareStanding(bidder.standing, standing) <= 0, at);
  }
  return { best, lowest, second, tied };
}

/** A draw where somebody could be drawn. Of very many newcomers the lowest asks take part, of equal ones who waits longest. */
function drawOf<B extends Bidder>(
  job: JobId,
  newcomers: readonly B[],
  isEligible: (bidder: B) => boolean,
  reaches: (bidder: B) => boolean,
  demand: BasisPoints,
  draws: DrawSource,
  { newcomerShareBasisPoints }: Parameters,
): { readonly day: number; readonly winner: B | null; readonly among: readonly B[] } {
  const draw = draws.of(job);
  if (!draw.isDrawn(newcomerShareBasisPoints as BasisPoints)) return { day: draws.day, winner: null, among: [] };
  const among: B[] = [];
  for (const bidder of newcomers) {
    if (!reaches(bidder)) break;
    if (isEligible(bidder)) among.push(bidder);
  }
  if (among.length > LIMITS.auctionNewcomers) {
    const asks = new Map(among.map((bidder) => [bidder, askAt(bidder.standing, demand)]));
    const ask = (bidder: B): number => asks.get(bidder) ?? 0;
    among.sort((a, b) => ask(a) - ask(b) || compareIdle(a, b));
    among.length = LIMITS.auctionNewcomers;
  }
  among.sort((a, b) => (a.daemon < b.daemon ? -1 : 1));
  return { day: draws.day, winner: itemAt(among, draw.pick(among.length)), among };
}
