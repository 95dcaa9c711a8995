/**
 * What the public lane asks, as an isolate knows it (docs/decisions/0053): a hold is made before a job's pool is asked, and
 * no job waits for a pool to say it but an isolate's first.
 */

import { LIMITS } from "../../core/limits.ts";
import type { NanoUsd } from "../../core/units.ts";
import { emitError } from "../../durable-objects/shared/events.ts";
import type { CatalogModel } from "../../protocol/catalog.ts";
import type { Config } from "../config.ts";
import { supplyOf } from "../regions.ts";

interface Known {
  readonly least: NanoUsd | null;
  readonly at: number;
}

const known = new WeakMap<object, Map<string, Known>>();

/**
 * What the cheapest floor of a model's pool asks, in nanoUSD for 1,000 completion tokens: learned anew behind a call when
 * it is some seconds old, and before one when it is a minute old. Null where no daemon asks, or the pool cannot be asked.
 */
export async function leastAsk(
  env: Env,
  ctx: { waitUntil(work: Promise<unknown>): void },
  config: Config,
  model: CatalogModel,
  now: number,
): Promise<NanoUsd | null> {
  if (!model.lanes.includes("public")) return null;
  const last = known.get(env)?.get(model.id);
  const age = now - (last?.at ?? Number.NEGATIVE_INFINITY);
  if (last === undefined || age > LIMITS.leastAskStaleMs) return await learn(env, config, model.id, last, now);
  if (age > LIMITS.leastAskFreshMs) {
    keep(env, model.id, { ...last, at: now });
    ctx.waitUntil(learn(env, config, model.id, last, now));
  }
  return last.least;
}

async function learn(
  env: Env,
  config: Config,
  model: string,
  last: Known | undefined,
  now: number,
): Promise<NanoUsd | null> {
  try {
    const { leastAsk: least } = await supplyOf(env, config, model);
    keep(env, model, { least, at: now });
    return least;
  } catch (error) {
    emitError("asks_not_read", error, { model });
    return last?.least ?? null;
  }
}

function keep(env: Env, model: string, value: Known): void {
  const models = known.get(env) ?? new Map<string, Known>();
  models.set(model, value);
  known.set(env, models);
}
