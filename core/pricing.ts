/** What an inference costs (economics.md §2). Pure integer arithmetic; a price rounds up once, at the end. */

import type { Parameters } from "./parameters.ts";
import { ceilDiv, ceilDivBig, type NanoUsd } from "./units.ts";

/**
 * A price per token as a rational: nanoUSD = (completion · c + prompt · p) / per. The formula, a catalog entry's own
 * rates and an ask all have this shape, so one function prices them all and a receipt can show it.
 */
export interface Rate {
  readonly completion: number;
  readonly prompt: number;
  readonly per: number;
}

/** What a provider's electricity costs, as fixed in a job's terms. */
export interface ElectricityFloor {
  readonly watts: number;
  readonly nano_usd_per_kwh: number;
  /** Thousandths of a token per second while generating. */
  readonly decode_millitokens_per_second: number;
  /** Thousandths of a token per second while reading the prompt. */
  readonly prefill_millitokens_per_second: number;
}

/** What a job was agreed to cost, fixed at dispatch and kept in its receipt. */
export interface Terms {
  readonly rate: Rate;
  /** Charged instead where it is higher; null where the lane's price is the rate alone. */
  readonly floor: ElectricityFloor | null;
}

/** Tokens that are billed. */
export interface Tokens {
  readonly prompt: number;
  readonly completion: number;
}

export const QUANTIZATION_TENTHS = { q4: 10, q8: 15, fp16: 20 } as const;
export type Quantization = keyof typeof QUANTIZATION_TENTHS;

/** price = tokens/1000 · (billions · 0.1) · quantization / 10,000 USD, with the prompt's weight (economics.md §2). */
export function formulaRate(
  model: { parametersInMillions: number; quantization: Quantization },
  parameters: Parameters,
): Rate {
  const { promptWeightNumerator: n, promptWeightDenominator: d } = parameters;
  const scale = model.parametersInMillions * QUANTIZATION_TENTHS[model.quantization];
  return { completion: d * scale, prompt: n * scale, per: 1_000 * d };
}

/** A catalog entry's own rates, in nanoUSD per 1,000 tokens. */
export function catalogRate(nanoUsdPer1kCompletion: number, nanoUsdPer1kPrompt: number): Rate {
  return { completion: nanoUsdPer1kCompletion, prompt: nanoUsdPer1kPrompt, per: 1_000 };
}

/** A rate times a number of basis points, e.g. 15,000 for 1.5 times; exact, as the divisor carries the rest. */
export function scaledRate({ completion, prompt, per }: Rate, basisPoints: number): Rate {
  return { completion: completion * basisPoints, prompt: prompt * basisPoints, per: per * 10_000 };
}

/** ceil((completion · c + prompt · p) / per) nanoUSD. */
export function priceAtRate(rate: Rate, tokens: Tokens): NanoUsd {
  const exact = rate.completion * tokens.completion + rate.prompt * tokens.prompt;
  if (exact <= Number.MAX_SAFE_INTEGER) return ceilDiv(exact, rate.per) as NanoUsd;
  return ceilDivBig(
    BigInt(rate.completion) * BigInt(tokens.completion) + BigInt(rate.prompt) * BigInt(tokens.prompt),
    BigInt(rate.per),
  ) as NanoUsd;
}

/**
 * ceil( (c / decode + p / prefill) · watts / 3,600,000 · usdPerKWh · 1.2 ) in nanoUSD. With speeds in thousandths of a
 * token per second the seconds are 1000 · (c · prefill + p · decode) / (decode · prefill).
 */
export function electricityFloor(floor: ElectricityFloor, tokens: Tokens): NanoUsd {
  const decode = BigInt(floor.decode_millitokens_per_second);
  const prefill = BigInt(floor.prefill_millitokens_per_second);
  const millitokens = 1_000n * (BigInt(tokens.completion) * prefill + BigInt(tokens.prompt) * decode);
  const numerator = millitokens * BigInt(floor.watts) * BigInt(floor.nano_usd_per_kwh) * 12n;
  return ceilDivBig(numerator, decode * prefill * 3_600_000n * 10n) as NanoUsd;
}

/**
 * Whether a floor is at or under a rate for every mix of prompt and completion tokens: for each kind of token by itself. A
 * comparison of one mix would let another one, which is known only at the end, cost more than its hold, or less than power.
 */
export function isFloorWithin(
  floor: Omit<ElectricityFloor, "prefill_millitokens_per_second"> & {
    /** Null leaves prompts out. */
    readonly prefill_millitokens_per_second: number | null;
  },
  rate: Rate,
): boolean {
  const power = 12_000n * BigInt(floor.watts) * BigInt(floor.nano_usd_per_kwh) * BigInt(rate.per);
  const within = (perToken: number, speed: number): boolean =>
    power <= BigInt(perToken) * BigInt(speed) * 3_600_000n * 10n;
  const { decode_millitokens_per_second: decode, prefill_millitokens_per_second: prefill } = floor;
  return within(rate.completion, decode) && (prefill === null || within(rate.prompt, prefill));
}

/** The price of a job: max(rate, floor). */
export function priceOf(terms: Terms, tokens: Tokens): NanoUsd {
  const price = priceAtRate(terms.rate, tokens);
  if (terms.floor === null) return price;
  const floor = electricityFloor(terms.floor, tokens);
  return floor > price ? floor : price;
}

/** The rate per 1,000 completion tokens in nanoUSD, rounded up: how asks and receipts state a price. */
export function perThousand(rate: Rate): NanoUsd {
  return priceAtRate(rate, { prompt: 0, completion: 1_000 });
}

/** The floor per 1,000 completion tokens in nanoUSD, rounded up. */
export function floorPerThousand(floor: ElectricityFloor): NanoUsd {
  return electricityFloor(floor, { prompt: 0, completion: 1_000 });
}

/**
 * The most completion tokens that `budget` nanoUSD pay for beside `prompt` tokens at a rate; 0 when the prompt alone
 * costs more. The inverse of {@link priceAtRate}: the price of the result never exceeds the budget.
 */
export function affordableCompletion(rate: Rate, prompt: number, budget: NanoUsd): number {
  const left = BigInt(budget) * BigInt(rate.per) - BigInt(rate.prompt) * BigInt(prompt);
  if (left < 0n) return 0;
  if (rate.completion === 0) return Number.MAX_SAFE_INTEGER;
  const tokens = left / BigInt(rate.completion);
  return tokens > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(tokens);
}

/** What a provider and the relay say of a job's tokens. */
export interface CountedUsage {
  /** As the daemon claims. */
  readonly claimed: Tokens;
  /** Σ of the frames' counts; a frame without payload counts 0. */
  readonly framed: number;
  /** Bytes of payload that were relayed. */
  readonly relayedBytes: number;
  /** The completion tokens that the request may have, over all choices. */
  readonly completionCap: number;
  /** The gateway's bound on the prompt. */
  readonly promptBound: number;
  /** The catalog's bytes that a completion token has at least, in hundredths. */
  readonly minBytesPerTokenHundredths: number;
}

/** The tokens that are billed: the least of what is said, framed, and possible (economics.md §2). */
export function billedTokens(usage: CountedUsage): Tokens {
  const possible = Math.ceil((usage.relayedBytes * 100) / usage.minBytesPerTokenHundredths);
  return {
    prompt: Math.min(usage.claimed.prompt, usage.promptBound),
    completion: Math.min(usage.claimed.completion, usage.framed, possible, usage.completionCap),
  };
}
