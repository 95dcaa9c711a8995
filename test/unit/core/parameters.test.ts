import { describe, expect, it } from "vitest";
import { GENESIS_PARAMETERS, PARAMETERS, type ParameterName, withParameters } from "../../../core/parameters.ts";

const rows = Object.entries(PARAMETERS);

describe("the parameters", () => {
  it.each(rows)("%s is a whole number within its bounds and names its rule", (_, { value, min, max, rule }) => {
    expect([value, min, max].every(Number.isSafeInteger)).toBe(true);
    expect(min <= value && value <= max && min < max).toBe(true);
    expect(rule).toMatch(/^§\d+$/);
  });

  it.each(rows)("%s can be moved to either bound and no further", (name, { min, max }) => {
    for (const value of [min, max]) expect(withParameters({ [name]: value })[name as ParameterName]).toBe(value);
    for (const value of [min - 1, max + 1]) expect(() => withParameters({ [name]: value })).toThrow(name);
  });

  it.each([0.5, "1", null, undefined, Number.NaN, 10n])("refuse the value %s", (value) => {
    expect(() => withParameters({ queueLimitMs: value })).toThrow(/queueLimitMs must be a whole number/);
  });

  it.each(["unheardOf", "toString", "__proto__"])("refuse the name %s", (name) => {
    expect(() => withParameters(JSON.parse(`{"${name}":1}`) as Record<string, unknown>)).toThrow(/unknown parameter/);
  });

  it("are those of genesis unless changed, and can't be written to", () => {
    expect(withParameters({})).toEqual(GENESIS_PARAMETERS);
    const changed = withParameters({ movesPerJob: 0 });
    expect(changed).toEqual({ ...GENESIS_PARAMETERS, movesPerJob: 0 });
    expect(Object.isFrozen(changed) && Object.isFrozen(GENESIS_PARAMETERS)).toBe(true);
  });

  it.each([
    ["promptWeightNumerator", 1],
    ["promptWeightDenominator", 4],
    ["laneWeightIncluded", 15],
    ["laneWeightDedicated", 30],
    ["laneWeightPublic", 50],
    ["laneWeightLeague", 5],
    ["includedCompletionTokens", 4_096],
    ["starterMillicredits", 1_200_000],
    ["minimumBalanceMillicredits", 5_000],
    ["classWeightPrivate", 70],
    ["classWeightOpen", 30],
    ["settlementDelayMs", 3_600_000],
  ] as const)("start with the rules' numbers: %s is %i", (name, value) => {
    expect(GENESIS_PARAMETERS[name]).toBe(value);
  });
});
