/** What electricity costs a daemon for one of its models (economics.md §2): what it declares, within its tier's caps. */

import type { Parameters } from "../../core/parameters.ts";
import type { ElectricityFloor } from "../../core/pricing.ts";
import type { Offer, OfferedModel, Tier } from "./messages.ts";

/** Where a daemon names no prefill speed: reading is at least this much faster than writing on every engine in use. */
const PREFILL_FACTOR = 10;

const WATTS_CAP = {
  backbone: "wattsCapBackbone",
  desktop: "wattsCapDesktop",
  tablet: "wattsCapTablet",
  phone: "wattsCapPhone",
} as const satisfies Record<Tier, keyof Parameters>;

export function floorOf(
  { hardware: { tier, watts }, usd_per_kwh }: Pick<Offer, "hardware" | "usd_per_kwh">,
  model: Pick<OfferedModel, "tokens_per_second" | "prefill_tokens_per_second">,
  parameters: Parameters,
): ElectricityFloor {
  const decode = Math.max(1, Math.round(model.tokens_per_second * 1_000));
  const prefill = Math.round((model.prefill_tokens_per_second ?? model.tokens_per_second * PREFILL_FACTOR) * 1_000);
  return {
    watts: Math.min(Math.max(1, Math.ceil(watts)), parameters[WATTS_CAP[tier]]),
    nano_usd_per_kwh: Math.min(Math.round(usd_per_kwh * 1e9), parameters.electricityCapNanoUsdPerKwh),
    decode_millitokens_per_second: decode,
    prefill_millitokens_per_second: Math.max(1, prefill),
  };
}
