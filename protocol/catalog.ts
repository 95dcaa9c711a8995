/** The model catalog: what can be asked for, what it costs, and how its tokens are bounded (economics.md §2). */

import { z } from "zod";
import { LANES } from "../core/lanes.ts";
import type { Parameters } from "../core/parameters.ts";
import { catalogRate, formulaRate, type Rate } from "../core/pricing.ts";

export const modelId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]*(\/[a-z0-9][a-z0-9._-]*)?$/, "must be lower-case letters, digits, . _ -, at most one /")
  .max(128);

export const catalogModel = z.strictObject({
  id: modelId,
  name: z.string().min(1).max(128),
  parameters_in_millions: z.int().min(1).max(10_000_000),
  quantization: z.enum(["q4", "q8", "fp16"]),
  context_length: z.int().min(64).max(100_000_000),
  /** Completion tokens of a request that names none, and the most one may name. */
  completion_default: z.int().min(1).max(10_000_000),
  completion_max: z.int().min(1).max(10_000_000),
  /** Own rates in nanoUSD per 1,000 tokens; null where the formula sets them. */
  rates: z
    .strictObject({
      completion_nano_usd_per_1k: z.int().min(0).max(1e15),
      prompt_nano_usd_per_1k: z.int().min(0).max(1e15),
    })
    .nullable(),
  /** The gateway's bound on a prompt: ceil(UTF-8 bytes · 100 / this) + template tokens for each message. */
  prompt_bytes_per_token_hundredths: z.int().min(10).max(1_000),
  prompt_tokens_per_message: z.int().min(0).max(1_000),
  prompt_tokens_per_image: z.int().min(0).max(100_000),
  /** Payload bytes that a completion token has at least, in hundredths. */
  min_bytes_per_token_hundredths: z.int().min(1).max(10_000),
  lanes: z.array(z.enum(LANES)).min(1),
  /** Milliseconds since 1970. */
  created: z.int().min(0),
});
export type CatalogModel = z.infer<typeof catalogModel>;

/** A model's catalog rate: its own, or the formula's. */
export function rateOf(model: CatalogModel, parameters: Parameters): Rate {
  return model.rates === null
    ? formulaRate({ parametersInMillions: model.parameters_in_millions, quantization: model.quantization }, parameters)
    : catalogRate(model.rates.completion_nano_usd_per_1k, model.rates.prompt_nano_usd_per_1k);
}
