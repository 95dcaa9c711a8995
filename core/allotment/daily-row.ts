/**
 * The day's rate of the allotment (economics.md §7). All of it is one function of what was measured, the row before and
 * the parameters, and everything that went into a row stands in it: whoever has the row before can compute it again.
 */

import type { Parameters } from "../parameters.ts";
import { type BasisPoints, type MicroUsdc, type NanoUsd, nanoUsd, type Peg, type StakeUnits } from "../units.ts";
import { closedDays } from "./epochs.ts";
import { type AllotmentRate, allotmentRate, RATE_SCALE } from "./rate.ts";

/** What the network earned on one closed day, net of reversals: below 0 where more was taken back. */
export interface DayRevenue {
  readonly day: number;
  readonly nanoUsd: NanoUsd;
}

/** What is measured for a row. */
export interface DailyInputs {
  readonly epoch: number;
  /** The network's shares of package and top-up parts, for each day of {@link closedDays}. */
  readonly revenues: readonly DayRevenue[];
  /** Free treasury, or null where nothing says what that is; then it counts as 0, for it is never assumed. */
  readonly treasury: MicroUsdc | null;
  /** What the last closed epoch (d − 2) issued, and what was spent of it. */
  readonly issued: NanoUsd;
  readonly spent: NanoUsd;
  /** The stakes at or above the minimum, or null where no snapshot came. */
  readonly stakes: { readonly units: StakeUnits; readonly accounts: number } | null;
}

/** What held a number of the row back or up. */
export type Bound =
  | "genesis_budget"
  | "revenue"
  | "treasury"
  | "activity_least"
  | "activity_most"
  | "fall"
  | "rise"
  | "recovery"
  | "obligation"
  | "no_stake";

/** One epoch's public row. Amounts in nanoUSD unless the name says otherwise; inputs first, then outputs. */
export interface DailyRow {
  readonly epoch: number;
  /** The first epoch that had a row. */
  readonly genesis: number;
  readonly previousEpoch: number | null;
  readonly previousAverage: NanoUsd;
  readonly previousRate: AllotmentRate;
  readonly revenues: readonly DayRevenue[];
  readonly treasury: MicroUsdc;
  readonly treasuryKnown: boolean;
  readonly issued: NanoUsd;
  readonly spent: NanoUsd;
  readonly stake: StakeUnits;
  readonly stakeKnown: boolean;
  readonly accounts: number;
  readonly revenueShare: BasisPoints;
  readonly treasuryShare: BasisPoints;
  readonly genesisBudget: NanoUsd;
  readonly minimumStake: number;
  readonly peg: Peg;
  /** R: the 7-day average of revenue. */
  readonly average: NanoUsd;
  /** R*: what the budget is a share of. */
  readonly base: NanoUsd;
  /** B and B_max. */
  readonly budget: NanoUsd;
  readonly budgetMost: NanoUsd;
  /** a */
  readonly activity: BasisPoints;
  /** r*: the rate before smoothing and bounds. */
  readonly target: AllotmentRate;
  /** r: the rate in force. */
  readonly rate: AllotmentRate;
  /** What all allotments of the epoch come to at most: floor(r · S), never above B_max. */
  readonly obligation: NanoUsd;
  readonly bounds: readonly Bound[];
}

/** Epochs in which the budget does not fall below the genesis budget. */
export const GENESIS_EPOCHS = 7;
/** An average over seven days gives each new one 2 / (7 + 1). */
const AVERAGE_DIVISOR = 4n;
const WHOLE = 10_000n;
const LEAST_ACTIVITY = 5_000n;
const MOST_ACTIVITY = 15_000n;
const NANO_USD_PER_MICRO_USDC = 1_000n;

/**
 * Makes the row of an epoch. `previous` is the last row that there is, of whichever earlier epoch. Everything rounds down.
 * Throws a RangeError where the days of revenue are not those that have closed since, or an amount leaves its bounds.
 */
export function dailyRow(inputs: DailyInputs, previous: DailyRow | null, parameters: Parameters): DailyRow {
  const { epoch, revenues, treasury, issued, spent, stakes } = inputs;
  const days = closedDays(epoch, previous?.epoch ?? null);
  if (previous !== null && previous.epoch >= epoch) throw new RangeError(`epoch ${epoch} comes before the last row`);
  if (days.length !== revenues.length || days.some((day, index) => revenues[index]?.day !== day)) {
    throw new RangeError(`epoch ${epoch} needs the revenue of the days ${days.join(", ")}`);
  }
  const given = {
    epoch,
    genesis: previous?.genesis ?? epoch,
    previousEpoch: previous?.epoch ?? null,
    previousAverage: previous?.average ?? (0 as NanoUsd),
    previousRate: previous?.rate ?? allotmentRate(0n),
    revenues,
    treasury: treasury ?? (0 as MicroUsdc),
    treasuryKnown: treasury !== null,
    issued,
    spent,
    stake: stakes?.units ?? (0n as StakeUnits),
    stakeKnown: stakes !== null,
    accounts: stakes?.accounts ?? 0,
    revenueShare: parameters.allotmentRevenueShareBasisPoints as BasisPoints,
    treasuryShare: parameters.allotmentTreasuryShareBasisPoints as BasisPoints,
    genesisBudget: parameters.genesisBudgetNanoUsd as NanoUsd,
    minimumStake: parameters.minimumStakeUnits,
    peg: { millicredits: parameters.pegMillicredits, nanoUsd: parameters.pegNanoUsd },
  };
  return { ...given, ...computed(given) };
}

type Given = Omit<
  DailyRow,
  "average" | "base" | "budget" | "budgetMost" | "activity" | "target" | "rate" | "obligation" | "bounds"
>;

function computed(given: Given): Omit<DailyRow, keyof Given> {
  const bounds: Bound[] = [];
  const average = averageOf(given);
  const base = baseOf(given, average, bounds);
  const ofRevenue = (base * BigInt(given.revenueShare)) / WHOLE;
  const ofTreasury = (BigInt(given.treasury) * NANO_USD_PER_MICRO_USDC * BigInt(given.treasuryShare)) / WHOLE;
  bounds.push(ofTreasury < ofRevenue ? "treasury" : "revenue");
  const budget = least(ofRevenue, ofTreasury);
  const budgetMost = least((base * BigInt(given.revenueShare) * 3n) / (WHOLE * 2n), ofTreasury);
  const activity = activityOf(given, bounds);
  const { target, rate } = rateOf(given, { budget, budgetMost, activity }, bounds);
  return {
    average: amount(average),
    base: amount(base),
    budget: amount(budget),
    budgetMost: amount(budgetMost),
    activity: Number(activity) as BasisPoints,
    target,
    rate,
    obligation: amount((rate * given.stake) / RATE_SCALE),
    bounds,
  };
}

function averageOf({ previousAverage, revenues }: Given): bigint {
  return revenues.reduce(
    (average, { nanoUsd: revenue }) => floorDiv((AVERAGE_DIVISOR - 1n) * average + BigInt(revenue), AVERAGE_DIVISOR),
    BigInt(previousAverage),
  );
}

/** R*. An average below 0, after large reversals, is remembered in the row but budgets nothing. */
function baseOf({ epoch, genesis, genesisBudget, revenueShare }: Given, average: bigint, bounds: Bound[]): bigint {
  const own = average < 0n ? 0n : average;
  if (epoch - genesis >= GENESIS_EPOCHS) return own;
  const least = (BigInt(genesisBudget) * WHOLE) / BigInt(revenueShare);
  if (least <= own) return own;
  bounds.push("genesis_budget");
  return least;
}

/** a, in basis points: a half and what was spent of the last closed epoch's allotment, within a half and one and a half. */
function activityOf({ issued, spent }: Given, bounds: Bound[]): bigint {
  if (issued <= 0) return WHOLE;
  const activity = LEAST_ACTIVITY + floorDiv(BigInt(spent) * WHOLE, BigInt(issued));
  if (activity < LEAST_ACTIVITY) {
    bounds.push("activity_least");
    return LEAST_ACTIVITY;
  }
  if (activity <= MOST_ACTIVITY) return activity;
  bounds.push("activity_most");
  return MOST_ACTIVITY;
}

function rateOf(
  { stake, previousRate }: Given,
  { budget, budgetMost, activity }: { budget: bigint; budgetMost: bigint; activity: bigint },
  bounds: Bound[],
): { target: AllotmentRate; rate: AllotmentRate } {
  if (stake === 0n) {
    bounds.push("no_stake");
    return { target: allotmentRate(0n), rate: allotmentRate(0n) };
  }
  const target = (budget * activity * RATE_SCALE) / (WHOLE * stake);
  let rate = smoothed(target, previousRate, bounds);
  const most = (budgetMost * RATE_SCALE) / stake;
  if (rate > most) {
    bounds.push("obligation");
    rate = most;
  }
  return { target: allotmentRate(target), rate: allotmentRate(rate) };
}

/** Falls by a quarter a day at most, and rises by a quarter or to a tenth of its aim, whichever is more. */
function smoothed(target: bigint, previous: bigint, bounds: Bound[]): bigint {
  if (previous === 0n) return target;
  const floor = (previous * 3n) / 4n;
  const [step, tenth] = [(previous * 5n) / 4n, target / 10n];
  const ceiling = step > tenth ? step : tenth;
  if (target > ceiling) {
    bounds.push(tenth > step ? "recovery" : "rise");
    return ceiling;
  }
  if (target >= floor) return target;
  bounds.push("fall");
  return floor;
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

/** floor(a / b) for b > 0: bigint's own division rounds towards 0. */
function floorDiv(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b < 0n ? quotient - 1n : quotient;
}

function amount(value: bigint): NanoUsd {
  return nanoUsd(Number(value));
}
