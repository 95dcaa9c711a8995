/**
 * What a provider asks (economics.md §4): its electricity for 1,000 completion tokens, times its margin, times the demand of
 * the moment. Kept as an exact rational, so that an ask rounds up once, at its end.
 */

import type { DaemonId } from "../ids.ts";
import { WHOLE } from "../lanes.ts";
import type { Parameters } from "../parameters.ts";
import type { ElectricityFloor, Rate } from "../pricing.ts";
import { type BasisPoints, ceilDivBig, type NanoUsd } from "../units.ts";

/** nanoUSD for 1,000 completion tokens as a rational in lowest terms; prompt tokens weigh as the formula says. */
export interface Standing {
  readonly numerator: bigint;
  readonly denominator: bigint;
  /** The same as a double, off by less than 1e-15 of it: tells most of them apart at once. */
  readonly approximate: number;
}

/**
 * The least price for 1,000 completion tokens that pays a daemon's electricity whatever the mix of prompt and completion
 * turns out to be: watts · kWh price · 1.2 / 3,600,000 for the slower of 1,000 completion tokens and the prompt tokens that
 * weigh as much. With speeds in thousandths of a token per second that is watts · nanoUSD / (3 · speed).
 */
export function standingFloor(floor: ElectricityFloor, parameters: Parameters): Standing {
  const { promptWeightNumerator, promptWeightDenominator } = parameters;
  const [n, d] = [BigInt(promptWeightNumerator), BigInt(promptWeightDenominator)];
  const decode = BigInt(floor.decode_millitokens_per_second) * d;
  const prefill = BigInt(floor.prefill_millitokens_per_second) * n;
  // Where prompts weigh nothing their power is the provider's own.
  const slower = n === 0n || decode < prefill ? decode : prefill;
  return rational(BigInt(floor.watts) * BigInt(floor.nano_usd_per_kwh) * d, 3n * slower);
}

/** A floor times a margin: at least 1.1 ◆, or what the provider has set if that is more. */
export function standingAsk(floor: Standing, margin: BasisPoints | null, parameters: Parameters): Standing {
  const basisPoints = marginOf(margin, parameters);
  return rational(floor.numerator * BigInt(basisPoints), floor.denominator * BigInt(WHOLE));
}

/** The margin that counts: the provider's own where it is above the market's ◆. */
export function marginOf(margin: BasisPoints | null, { auctionMarginBasisPoints: least }: Parameters): BasisPoints {
  return Math.max(least, margin ?? 0) as BasisPoints;
}

/** What a standing price comes to at a factor of demand: nanoUSD for 1,000 completion tokens, rounded up once. */
export function askAt({ numerator, denominator }: Standing, demand: BasisPoints): NanoUsd {
  return ceilDivBig(numerator * BigInt(demand), denominator * BigInt(WHOLE)) as NanoUsd;
}

/** A standing price itself, in nanoUSD for 1,000 completion tokens, rounded up. */
export function roundedUp(standing: Standing): NanoUsd {
  return askAt(standing, WHOLE);
}

/** The rate of an ask: what a job is served and paid at. A prompt token weighs as in the formula ◆. */
export function askRate(ask: NanoUsd, { promptWeightNumerator: n, promptWeightDenominator: d }: Parameters): Rate {
  return { completion: ask * d, prompt: ask * n, per: 1_000 * d };
}

/** Negative where `a` is the lower one. Exact: doubles decide only where they are far enough apart. */
export function compareStanding(a: Standing, b: Standing): number {
  const apart = a.approximate - b.approximate;
  if (Math.abs(apart) > 1e-12 * b.approximate) return apart;
  if (isSameStanding(a, b)) return 0;
  const [left, right] = [a.numerator * b.denominator, b.numerator * a.denominator];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Whether two standing prices are equal: both are in lowest terms. */
export function isSameStanding(a: Standing, b: Standing): boolean {
  return a === b || (a.numerator === b.numerator && a.denominator === b.denominator);
}

/** What decides between daemons beside their prices. */
export interface Place {
  readonly daemon: DaemonId;
  readonly standing: Standing;
  /** In twentieths (quality.ts). */
  readonly quality: number;
  /** Jobs that it runs beside. */
  readonly running: number;
  /** When its last job ended, or when it came; milliseconds since 1970. */
  readonly idleSince: number;
}

/**
 * Of equal asks the higher quality goes first, then who has been idle longest (§4), whoever runs fewer jobs beside being the
 * more idle, then the lower id.
 */
export function compareTied(a: Place, b: Place): number {
  return b.quality - a.quality || compareIdle(a, b);
}

/** Who has less to do, and has had for longer, goes first; then the lower id. */
export function compareIdle(a: Place, b: Place): number {
  return a.running - b.running || a.idleSince - b.idleSince || (a.daemon < b.daemon ? -1 : a.daemon > b.daemon ? 1 : 0);
}

/** The order in which daemons are asked: the lowest standing price first, equal ones as {@link compareTied} says. */
export function comparePlaces(a: Place, b: Place): number {
  return compareStanding(a.standing, b.standing) || compareTied(a, b);
}

function rational(numerator: bigint, denominator: bigint): Standing {
  const divisor = greatestCommonDivisor(numerator, denominator);
  const [n, d] = [numerator / divisor, denominator / divisor];
  return { numerator: n, denominator: d, approximate: Number(n) / Number(d) };
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  return b === 0n ? a : greatestCommonDivisor(b, a % b);
}
