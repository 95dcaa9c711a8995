import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import {
  affordableCompletion,
  billedTokens,
  catalogRate,
  electricityFloor,
  floorPerThousand,
  formulaRate,
  perThousand,
  priceAtRate,
  priceOf,
  type Quantization,
} from "../../../core/pricing.ts";
import { splitCharge } from "../../../core/split.ts";
import { formatCredits, GENESIS_PEG, millicredits, nanoUsd, toMillicreditsCeil } from "../../../core/units.ts";

const thousand = { prompt: 0, completion: 1_000 };
const formula = (parametersInMillions: number, quantization: Quantization) =>
  formulaRate({ parametersInMillions, quantization }, GENESIS_PARAMETERS);
const power = (watts: number, usdPerKwh: number, tokensPerSecond: number) => ({
  watts,
  nano_usd_per_kwh: Math.round(usdPerKwh * 1e9),
  decode_millitokens_per_second: tokensPerSecond * 1_000,
  prefill_millitokens_per_second: tokensPerSecond * 1_000,
});

describe("golden examples (economics.md §2)", () => {
  it("1,000 tokens of 8B q4 cost 80,000 nanoUSD, 80 credits: 76,000 to the provider, 4,000 to the network", () => {
    const price = priceAtRate(formula(8_000, "q4"), thousand);
    expect(price).toBe(80_000);
    expect(formatCredits(toMillicreditsCeil(price, GENESIS_PEG))).toBe("80.000");
    const part = { kind: "topup", backing: "usdc", nano_usd: price, millicredits: millicredits(0) } as const;
    const lines = splitCharge("public", [part], { provider: "p", network: "n" });
    expect(lines.map(({ role, nano_usd }) => [role, nano_usd])).toEqual([
      ["provider", 76_000],
      ["network", 4_000],
    ]);
  });

  it.each([
    [1_000, 0.1],
    [8_000, 0.8],
    [32_000, 3.2],
    [70_000, 7],
  ])("a model of %i million parameters has complexity %d", (millions, complexity) => {
    // At q4 the price of 1,000 tokens is complexity / 10,000 USD, which is complexity · 100,000 nanoUSD.
    expect(priceAtRate(formula(millions, "q4"), thousand)).toBe(Math.round(complexity * 100_000));
  });

  it("1,000 tokens of 70B fp16 cost 1,400,000 nanoUSD", () => {
    expect(priceAtRate(formula(70_000, "fp16"), thousand)).toBe(1_400_000);
  });

  it("1,000 tokens of 8B q8 cost 120,000 nanoUSD", () => {
    expect(priceAtRate(formula(8_000, "q8"), thousand)).toBe(120_000);
  });

  it("38 W at 50 tok/s and $0.12/kWh make a floor of 30,400 nanoUSD, under the price of 80,000", () => {
    const floor = power(38, 0.12, 50);
    expect(electricityFloor(floor, thousand)).toBe(30_400);
    expect(floorPerThousand(floor)).toBe(30_400);
    expect(priceOf({ rate: formula(8_000, "q4"), floor }, thousand)).toBe(80_000);
  });

  it("at $0.40/kWh and 10 tok/s the floor is 506,667 nanoUSD, rounded up, and the price", () => {
    const floor = power(38, 0.4, 10);
    expect(electricityFloor(floor, thousand)).toBe(506_667);
    expect(priceOf({ rate: formula(8_000, "q4"), floor }, thousand)).toBe(506_667);
  });

  it("the starter balance is 15,000 tokens of 8B q4: 1,200 credits", () => {
    expect(priceAtRate(formula(8_000, "q4"), { prompt: 0, completion: 15_000 })).toBe(1_200_000);
    expect(GENESIS_PARAMETERS.starterMillicredits).toBe(1_200_000);
  });
});

describe("a price", () => {
  it("is the formula's: ceil((4c + p) · millions · tenths / 4,000)", () => {
    const tokens = fc.integer({ min: 0, max: 1_000_000 });
    fc.assert(
      fc.property(tokens, tokens, fc.integer({ min: 1, max: 2_000_000 }), (prompt, completion, millions) => {
        const numerator = (4n * BigInt(completion) + BigInt(prompt)) * BigInt(millions) * 15n;
        const exact = (numerator + 3_999n) / 4_000n;
        expect(BigInt(priceAtRate(formula(millions, "q8"), { prompt, completion }))).toBe(exact);
      }),
    );
  });

  it("rounds up once, at the end", () => {
    // A prompt token of a model of a million parameters costs 0.0025 nanoUSD.
    expect(priceAtRate(formula(1, "q4"), { prompt: 1, completion: 0 })).toBe(1);
    expect(priceAtRate(formula(1, "q4"), { prompt: 399, completion: 0 })).toBe(1);
    expect(priceAtRate(formula(1, "q4"), { prompt: 401, completion: 0 })).toBe(2);
    expect(priceAtRate(formula(1, "q4"), { prompt: 0, completion: 0 })).toBe(0);
  });

  it("never falls when tokens or rates rise", () => {
    const rate = fc.record({
      completion: fc.integer({ min: 0, max: 1e9 }),
      prompt: fc.integer({ min: 0, max: 1e9 }),
      per: fc.integer({ min: 1, max: 1e6 }),
    });
    const tokens = fc.record({ prompt: fc.nat(100_000), completion: fc.nat(100_000) });
    fc.assert(
      fc.property(rate, tokens, fc.nat(1_000), (each, used, more) => {
        const price = priceAtRate(each, used);
        expect(priceAtRate(each, { ...used, completion: used.completion + more })).toBeGreaterThanOrEqual(price);
        expect(priceAtRate(each, { ...used, prompt: used.prompt + more })).toBeGreaterThanOrEqual(price);
        expect(priceAtRate({ ...each, completion: each.completion + more }, used)).toBeGreaterThanOrEqual(price);
      }),
    );
  });

  it("of a catalog entry is its own", () => {
    expect(priceAtRate(catalogRate(90_000, 10_000), { prompt: 500, completion: 2_000 })).toBe(185_000);
    expect(perThousand(catalogRate(90_000, 10_000))).toBe(90_000);
  });

  it("that cannot be stored throws", () => {
    expect(() => priceAtRate(catalogRate(1e15, 0), { prompt: 0, completion: 1e12 })).toThrow(RangeError);
  });
});

describe("what a budget affords", () => {
  it("is the most completion tokens whose price fits: one more would not", () => {
    const rate = fc.record({
      completion: fc.integer({ min: 1, max: 1e9 }),
      prompt: fc.integer({ min: 0, max: 1e9 }),
      per: fc.integer({ min: 1, max: 1e6 }),
    });
    fc.assert(
      fc.property(rate, fc.nat(10_000), fc.nat(1e9), (each, prompt, budget) => {
        const completion = affordableCompletion(each, prompt, nanoUsd(budget));
        const promptAlone = priceAtRate(each, { prompt, completion: 0 });
        if (promptAlone > budget) {
          expect(completion).toBe(0);
          return;
        }
        expect(priceAtRate(each, { prompt, completion })).toBeLessThanOrEqual(budget);
        expect(priceAtRate(each, { prompt, completion: completion + 1 })).toBeGreaterThan(budget);
      }),
    );
  });

  it("is no bound where completion tokens are free", () => {
    expect(affordableCompletion(catalogRate(0, 5), 10, nanoUsd(1))).toBe(Number.MAX_SAFE_INTEGER);
  });
});

describe("the electricity floor", () => {
  it("is exact: ceil((c/decode + p/prefill) · watts/3,600,000 · nanoUSD/kWh · 1.2)", () => {
    const speed = fc.integer({ min: 1, max: 10_000_000 });
    const tokens = fc.record({ prompt: fc.nat(1_000_000), completion: fc.nat(1_000_000) });
    fc.assert(
      fc.property(
        tokens,
        speed,
        speed,
        fc.integer({ min: 1, max: 3_000 }),
        fc.nat(600_000_000),
        (used, decode, prefill, watts, nano) => {
          // Both sides of floor = numerator / denominator as whole numbers, without the code's cancelling.
          const numerator =
            (BigInt(used.completion) * 1_000n * BigInt(prefill) + BigInt(used.prompt) * 1_000n * BigInt(decode)) *
            BigInt(watts) *
            BigInt(nano) *
            12n;
          const denominator = BigInt(decode) * BigInt(prefill) * 3_600_000n * 10n;
          const exact = numerator / denominator + (numerator % denominator === 0n ? 0n : 1n);
          const floor = {
            watts,
            nano_usd_per_kwh: nano,
            decode_millitokens_per_second: decode,
            prefill_millitokens_per_second: prefill,
          };
          if (exact > 9_000_000_000_000_000n) {
            expect(() => electricityFloor(floor, used)).toThrow(RangeError);
            return;
          }
          expect(BigInt(electricityFloor(floor, used))).toBe(exact);
        },
      ),
    );
  });

  it("counts the prompt at the speed of reading it", () => {
    const floor = { ...power(100, 0.3, 50), prefill_millitokens_per_second: 500_000 };
    // 1,000 / 50 + 5,000 / 500 = 30 s of 100 W.
    expect(electricityFloor(floor, { prompt: 5_000, completion: 1_000 })).toBe((30 * 100 * 0.3e9 * 1.2) / 3.6e6);
  });
});

describe("billed tokens", () => {
  const usage = {
    claimed: { prompt: 50, completion: 20 },
    framed: 30,
    relayedBytes: 100,
    completionCap: 25,
    promptBound: 60,
    minBytesPerTokenHundredths: 200,
  };
  it.each([
    ["what the daemon claims", {}, { prompt: 50, completion: 20 }],
    ["the gateway's bound on the prompt", { promptBound: 40 }, { prompt: 40, completion: 20 }],
    ["what the request may have", { completionCap: 9 }, { prompt: 50, completion: 9 }],
    ["what its frames counted", { framed: 7 }, { prompt: 50, completion: 7 }],
    ["what the relayed bytes can hold, rounded up", { relayedBytes: 21 }, { prompt: 50, completion: 11 }],
    ["nothing when nothing was relayed", { relayedBytes: 0 }, { prompt: 50, completion: 0 }],
  ])("are at most %s", (_, change, tokens) => {
    expect(billedTokens({ ...usage, ...change })).toEqual(tokens);
  });
});
