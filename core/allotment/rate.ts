/** What a stake gives at a day's rate (economics.md §§3, 7). */

import { type NanoUsd, nanoUsd, type StakeUnits } from "../units.ts";

declare const scaled: unique symbol;
/** nanoUSD for each stake unit and day, as a whole number of 1e-18. */
export type AllotmentRate = bigint & { readonly [scaled]: "AllotmentRate" };

export const RATE_SCALE = 10n ** 18n;

/** Brands a scaled rate, which is a whole number ≥ 0. */
export function allotmentRate(value: bigint): AllotmentRate {
  if (value < 0n) throw new RangeError(`a rate must not be negative, got ${value}`);
  return value as AllotmentRate;
}

/** The allotment of one account: floor(rate · stake), or nothing below the minimum stake. */
export function allotted(stake: StakeUnits, rate: AllotmentRate, minimumStake: number): NanoUsd {
  if (stake < BigInt(minimumStake)) return 0 as NanoUsd;
  return nanoUsd(Number((stake * rate) / RATE_SCALE));
}

/** Jobs that may run at once on an allotment: one for each whole minimum stake. */
export function stakeConcurrency(stake: StakeUnits, minimumStake: number): number {
  const whole = stake / BigInt(minimumStake);
  return whole > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(whole);
}
