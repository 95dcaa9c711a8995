/** A daemon's offer as its pools see it (economics.md §2: what it declares, within the caps of its tier). */

import type { DaemonId } from "../../core/ids.ts";
import { WHOLE } from "../../core/lanes.ts";
import type { Parameters } from "../../core/parameters.ts";
import { type BasisPoints, basisPoints } from "../../core/units.ts";
import { floorOf } from "../../protocol/daemon/floor.ts";
import type { Offer } from "../../protocol/daemon/messages.ts";
import type { Registration } from "../../protocol/internal/pool.ts";
import type { Session } from "./session.ts";

/** The margin that a provider asks over its floor, where it names one. */
function marginOf({ prices }: Offer): BasisPoints | null {
  return prices?.margin === undefined ? null : basisPoints(Math.round(prices.margin * WHOLE));
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
        margin: marginOf(offer),
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
