/**
 * The catalog as an isolate knows it: read from D1 and trusted for a few seconds, so that no job waits for it, and for
 * longer while D1 is away, so that pools that run go on.
 */

import { LIMITS } from "../../core/limits.ts";
import { listModels } from "../../db/catalog.ts";
import { emitError } from "../../durable-objects/shared/events.ts";
import type { CatalogModel } from "../../protocol/catalog.ts";

type Models = ReadonlyMap<string, CatalogModel>;

/** A value, never a promise: a promise belongs to the request that began it, and may end with it. */
interface Cached {
  readonly models: Models;
  readonly until: number;
}

const cache = new WeakMap<object, Cached>();

/** All models by id. Throws while D1 is away only where the isolate has never read them. */
export async function catalogOf(env: Env, now: number): Promise<Models> {
  const known = cache.get(env);
  if (known !== undefined && now < known.until) return known.models;
  try {
    return await readModels(env, now);
  } catch (error) {
    if (known === undefined) throw error;
    emitError("catalog_not_read", error);
    return keep(env, known.models, now);
  }
}

/** One model. One that the cache lacks is looked for once more, as it may have been added a moment ago. */
export async function findModel(env: Env, id: string, now: number): Promise<CatalogModel | undefined> {
  const cached = (await catalogOf(env, now)).get(id);
  if (cached !== undefined) return cached;
  return (await readModels(env, now)).get(id);
}

async function readModels(env: Env, now: number): Promise<Models> {
  return keep(env, new Map((await listModels(env.DB)).map((model) => [model.id, model])), now);
}

function keep(env: Env, models: Models, now: number): Models {
  cache.set(env, { models, until: now + LIMITS.catalogCacheMs });
  return models;
}
