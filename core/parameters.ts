/**
 * The parameters of the market: every number marked ◆ in the rules that the code uses so far. Each is an integer in the
 * unit that its name ends with, and has hard bounds; an operator (later: governance) may change a value within them.
 */

import { DAY_MS } from "./time.ts";

interface ParameterRow {
  readonly value: number;
  readonly min: number;
  readonly max: number;
  /** Where the rules speak of it. */
  readonly rule: string;
}

const row = (value: number, min: number, max: number, rule: string): ParameterRow => ({ value, min, max, rule });

export const PARAMETERS = {
  pegMillicredits: row(1, 1, 1_000_000, "§1"),
  pegNanoUsd: row(1, 1, 1_000_000, "§1"),

  promptWeightNumerator: row(1, 0, 100, "§2"),
  promptWeightDenominator: row(4, 1, 100, "§2"),
  wattsCapBackbone: row(3_000, 1, 100_000, "§2"),
  wattsCapDesktop: row(1_500, 1, 100_000, "§2"),
  wattsCapTablet: row(60, 1, 100_000, "§2"),
  wattsCapPhone: row(15, 1, 100_000, "§2"),
  electricityCapNanoUsdPerKwh: row(600_000_000, 1, 10_000_000_000, "§2"),

  laneWeightIncluded: row(15, 1, 1_000, "§3"),
  laneWeightDedicated: row(30, 1, 1_000, "§3"),
  laneWeightPublic: row(50, 1, 1_000, "§3"),
  laneWeightLeague: row(5, 1, 1_000, "§3"),
  includedCompletionTokens: row(4_096, 1, 1_000_000, "§3"),
  allotmentPayeeShareBasisPoints: row(2_000, 1, 10_000, "§3"),
  dedicatedMaxRateBasisPoints: row(15_000, 10_000, 100_000, "§3"),

  auctionMarginBasisPoints: row(11_000, 10_000, 100_000, "§4"),
  demandFromBasisPoints: row(6_000, 0, 9_999, "§4"),
  demandFullBasisPoints: row(20_000, 10_000, 100_000, "§4"),
  demandMostBasisPoints: row(30_000, 10_000, 100_000, "§4"),
  newcomerJobs: row(50, 0, 1_000_000, "§4"),
  newcomerShareBasisPoints: row(500, 0, 5_000, "§4"),
  newcomerReachBasisPoints: row(12_500, 10_000, 100_000, "§4"),

  starterMillicredits: row(1_200_000, 0, 1_000_000_000, "§6"),
  starterExpiryMs: row(30 * DAY_MS, DAY_MS, 3_650 * DAY_MS, "§6"),
  starterHistoryMs: row(30 * DAY_MS, 0, 3_650 * DAY_MS, "§6"),
  starterDailyMillicredits: row(1_200_000_000, 0, 1_000_000_000_000, "§6"),
  declinesBasisPoints: row(1_000, 1, 10_000, "§6"),
  minimumBalanceMillicredits: row(5_000, 0, 1_000_000_000, "§6"),
  minimumCompletionTokens: row(256, 1, 1_000_000, "§6"),
  transferLeastMillicredits: row(1_000, 1, 1_000_000_000, "§6"),
  freeCancelMs: row(1_000, 0, 60_000, "§6"),
  movesPerJob: row(2, 0, 10, "§6"),
  firstTokenSlaMs: row(600_000, 1_000, 3_600_000, "§6"),

  allotmentRevenueShareBasisPoints: row(3_000, 100, 10_000, "§7"),
  allotmentTreasuryShareBasisPoints: row(200, 0, 5_000, "§7"),
  genesisBudgetNanoUsd: row(10_000_000_000, 0, 10_000_000_000_000, "§7"),
  minimumStakeUnits: row(1_000_000_000_000, 1, 9_000_000_000_000_000, "§7"),

  classWeightPrivate: row(70, 1, 1_000, "§8"),
  classWeightOpen: row(30, 1, 1_000, "§8"),
  queueLimitMs: row(60_000, 100, 600_000, "§8"),
  promptTokenUnits: row(1, 0, 100, "§8"),
  completionTokenUnits: row(2, 0, 100, "§8"),

  reliabilityHalfLifeJobs: row(200, 1, 100_000, "§9"),
  quarantineReliabilityBasisPoints: row(2_000, 0, 5_000, "§9"),
  explorationBasisPoints: row(500, 0, 10_000, "§9"),
  firstTokenDeadlineSmallMs: row(8_000, 100, 600_000, "§9"),
  firstTokenDeadlineLargeMs: row(18_000, 100, 600_000, "§9"),
  firstTokenDeadlinePer1kPromptMs: row(1_000, 0, 60_000, "§9"),
  firstTokenLargeModelMillions: row(15_000, 1, 10_000_000, "§9"),

  serviceLevelMs: row(2_000, 1, 600_000, "§10"),
  serviceLevelJobs: row(20, 1, 1_000_000, "§10"),

  settlementDelayMs: row(60 * 60_000, 0, 7 * DAY_MS, "§11"),
} as const satisfies Record<string, ParameterRow>;

export type ParameterName = keyof typeof PARAMETERS;
export type Parameters = Readonly<Record<ParameterName, number>>;

/** The values in force at genesis. */
export const GENESIS_PARAMETERS: Parameters = Object.freeze(
  Object.fromEntries(Object.entries(PARAMETERS).map(([name, { value }]) => [name, value])) as Record<
    ParameterName,
    number
  >,
);

/**
 * Parameters with some values changed. Throws a RangeError that names the parameter when one is unknown, not whole, or
 * out of its bounds.
 */
export function withParameters(changes: Readonly<Record<string, unknown>>): Parameters {
  const result: Record<ParameterName, number> = { ...GENESIS_PARAMETERS };
  for (const [name, value] of Object.entries(changes)) {
    if (!Object.hasOwn(PARAMETERS, name)) throw new RangeError(`unknown parameter ${name}`);
    const { min, max } = PARAMETERS[name as ParameterName];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
      throw new RangeError(`parameter ${name} must be a whole number from ${min} to ${max}`);
    }
    result[name as ParameterName] = value;
  }
  return Object.freeze(result);
}

/** Parameters from the JSON text of a setting; the genesis values where it is empty. Throws as {@link withParameters} does. */
export function parseParameters(changes: string | undefined): Parameters {
  if (changes === undefined || changes === "") return GENESIS_PARAMETERS;
  const value: unknown = JSON.parse(changes);
  if (typeof value !== "object" || value === null) throw new TypeError("parameters must be a JSON object");
  return withParameters(value as Record<string, unknown>);
}
