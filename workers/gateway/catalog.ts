/** The catalog as an isolate knows it: read from D1 and trusted for a few seconds, so that no job waits for it. */

import { LIMITS } from "../../core/limits.ts";
import { listModels } from "../../db/catalog.ts";
import type { CatalogModel } from "../../protocol/catalog.ts";

type Models = ReadonlyMap<string, CatalogModel>;

/** A value, never a promise: a promise belongs to the request that began it, and may end with it. */
interface Cached {
  readonly models: Models;
  readonly until: number;
}

const cache = new WeakMap<object, Cached>();

/** All models by id. */
export async function catalogOf(env: Env, now: number): Promise<Models> {
  const known = cache.get(env);
  if (known !== undefined && now < known.until) return known.models;
  const models = new Map((await listModels(env.DB)).map((model) => [model.id, model]));
  cache.set(env, { models, until: now + LIMITS.catalogCacheMs });
  return models;
}

/** One model. One that the cache lacks is looked for once more, as it may have been added a moment ago. */
export async function findModel(env: Env, id: string, now: number): Promise<CatalogModel | undefined> {
  const cached = (await catalogOf(env, now)).get(id);
  if (cached !== undefined) return cached;
  cache.delete(env);
  return (await catalogOf(env, now)).get(id);
}
