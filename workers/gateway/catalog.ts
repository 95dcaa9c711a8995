/** The catalog as an isolate knows it: read from D1 and trusted for a few seconds, so that no job waits for it. */

import { LIMITS } from "../../core/limits.ts";
import { listModels } from "../../db/catalog.ts";
import type { CatalogModel } from "../../protocol/catalog.ts";

interface Cached {
  readonly models: Promise<ReadonlyMap<string, CatalogModel>>;
  readonly until: number;
}

const cache = new WeakMap<object, Cached>();

/** All models by id. A failed reading is not kept. */
export function catalogOf(env: Env, now: number): Promise<ReadonlyMap<string, CatalogModel>> {
  const known = cache.get(env);
  if (known !== undefined && now < known.until) return known.models;
  const models = listModels(env.DB).then((list) => new Map(list.map((model) => [model.id, model])));
  cache.set(env, { models, until: now + LIMITS.catalogCacheMs });
  models.catch(() => cache.delete(env));
  return models;
}

/** One model. One that the cache lacks is looked for once more, as it may have been added a moment ago. */
export async function findModel(env: Env, id: string, now: number): Promise<CatalogModel | undefined> {
  const cached = (await catalogOf(env, now)).get(id);
  if (cached !== undefined) return cached;
  cache.delete(env);
  return (await catalogOf(env, now)).get(id);
}
