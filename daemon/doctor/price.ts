/** Whether a daemon's electricity costs less than the catalog pays for a model. */

import { GENESIS_PARAMETERS } from "../../core/parameters.ts";
import { electricityFloor } from "../../core/pricing.ts";
import { floorOf } from "../../protocol/daemon/floor.ts";
import type { Offer, OfferedModel } from "../../protocol/daemon/messages.ts";
import { doubtful, type Finding, good } from "./finding.ts";
import type { CatalogEntry } from "./network.ts";

/** For each kind of token by itself, as the network compares them. */
export function checkPrice(
  power: Pick<Offer, "hardware" | "usd_per_kwh">,
  model: OfferedModel,
  { pricing }: CatalogEntry,
): Finding {
  const floor = floorOf(power, model, GENESIS_PARAMETERS);
  const kinds = [
    { kind: "written", cost: electricityFloor(floor, { prompt: 0, completion: 1_000 }), paid: pricing.completion },
    { kind: "read", cost: electricityFloor(floor, { prompt: 1_000, completion: 0 }), paid: pricing.prompt },
  ].map(({ kind, cost, paid }) => ({ kind, cost: cost / 1e9, paid: Number(paid) * 1_000 }));
  // Where prompts cost nothing their power is the provider's own.
  const counted = kinds.filter(({ kind, paid }) => kind === "written" || paid > 0);
  const [worst] = counted.toSorted((a, b) => b.cost / b.paid - a.cost / a.paid);
  if (worst === undefined || worst.cost <= worst.paid) {
    const of = counted.map(({ kind, cost, paid }) => `$${usd(cost)} of $${usd(paid)} for 1,000 tokens ${kind}`);
    return good("price", `${model.id}: power costs ${of.join(", ")}.`);
  }
  const { kind, cost, paid } = worst;
  const { watts } = power.hardware;
  const over = `${model.id}: power costs $${usd(cost - paid)} more than the $${usd(paid)} that 1,000 tokens ${kind} pay.`;
  const share = paid / cost;
  const fix =
    `At the catalog's price it would get jobs with ${(watts * share).toPrecision(3)} W (now ${watts}: --watts), at ` +
    `$${(power.usd_per_kwh * share).toPrecision(3)} per kWh (now ${power.usd_per_kwh}: --usd-per-kwh), or ` +
    `${(1 / share).toPrecision(3)} times as fast. Declare what is true; jobs that pay more reach it as it is.`;
  return doubtful("price", over, fix);
}

/** An amount of USD that is a small part of a cent. */
function usd(amount: number): string {
  return amount.toFixed(9).replace(/0+$/, "").replace(/\.$/, "");
}
