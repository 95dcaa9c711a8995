/** A daemon's offer as its pools see it (economics.md §2: what it declares, within the caps of its tier). */

import type { DaemonId } from "../../core/ids.ts";
import type { Parameters } from "../../core/parameters.ts";
import type { ElectricityFloor } from "../../core/pricing.ts";
import type { Offer, OfferedModel, Tier } from "../../protocol/daemon/messages.ts";
import type { Registration } from "../../protocol/internal/pool.ts";
import type { Session } from "./session.ts";

/** Where a daemon names no prefill speed: reading is at least this much faster than writing on every engine in use. */
const PREFILL_FACTOR = 10;

const WATTS_CAP = {
  backbone: "wattsCapBackbone",
  desktop: "wattsCapDesktop",
  tablet: "wattsCapTablet",
  phone: "wattsCapPhone",
} as const satisfies Record<Tier, keyof Parameters>;

/** What electricity costs a daemon for one of its models. */
export function floorOf(offer: Offer, model: OfferedModel, parameters: Parameters): ElectricityFloor {
  const { tier, watts } = offer.hardware;
  const decode = Math.max(1, Math.round(model.tokens_per_second * 1_000));
  const prefill = Math.round((model.prefill_tokens_per_second ?? model.tokens_per_second * PREFILL_FACTOR) * 1_000);
  return {
    watts: Math.min(Math.max(1, Math.ceil(watts)), parameters[WATTS_CAP[tier]]),
    nano_usd_per_kwh: Math.min(Math.round(offer.usd_per_kwh * 1e9), parameters.electricityCapNanoUsdPerKwh),
    decode_millitokens_per_second: decode,
    prefill_millitokens_per_second: Math.max(1, prefill),
  };
}

/** The registrations that a session's offer makes, one for each model that the catalog has. */
export function registrationsOf(
  session: Session,
  relay: string,
  parameters: Parameters,
  elsewhere: (daemon: DaemonId, model: string) => number,
): Map<string, Registration> {
  const { offer, account, daemon, networks } = session;
  if (offer === null || account === null) return new Map();
  return new Map(
    offer.models.map((model) => [
      model.id,
      {
        daemon,
        relay,
        provider: account,
        quantization: model.quantization,
        slots: model.slots,
        sharedSlots: sharedSlotsOf(offer),
        elsewhere: elsewhere(daemon, model.id),
        context: model.context,
        features: model.features,
        tokensPerSecond: model.tokens_per_second,
        floor: floorOf(offer, model, parameters),
        accepts: offer.accepts,
        networks,
        loaded: model.loaded,
        draining: session.draining || session.drained,
      },
    ]),
  );
}

/** The jobs that a daemon serves at once over all its models; those of one model where it does not say. */
export function sharedSlotsOf({ slots, models }: Offer): number {
  return slots ?? Math.max(0, ...models.map((model) => model.slots));
}

/** Keeps the models of an offer that the catalog has in that quantization, and says why others were left out. */
export async function checkOffer(db: D1Database, offer: Offer): Promise<{ offer: Offer; warnings: string[] }> {
  const ids = JSON.stringify(offer.models.map((model) => model.id));
  const { results } = await db
    .prepare("SELECT id, quantization FROM models WHERE id IN (SELECT value FROM json_each(?))")
    .bind(ids)
    .all<{ id: string; quantization: string }>();
  const catalog = new Map(results.map((row) => [row.id, row.quantization]));
  const warnings: string[] = [];
  const models = offer.models.filter((model) => {
    const quantization = catalog.get(model.id);
    if (quantization === model.quantization) return true;
    warnings.push(
      quantization === undefined
        ? `Model ${model.id} is not in the catalog: GET /v1/models lists what can be served.`
        : `Model ${model.id} is in the catalog as ${quantization}, not ${model.quantization}.`,
    );
    return false;
  });
  return { offer: { ...offer, models }, warnings };
}
