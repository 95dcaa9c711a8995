/** What the pools of a model have said of their load, as an isolate knows it. */

import type { PoolLoad } from "../../core/scheduler/spill.ts";
import { emitError } from "../../durable-objects/shared/events.ts";
import type { Config } from "../config.ts";
import { onScheduler } from "../objects.ts";

/** However many jobs ask, each pool is asked once in this time by each isolate. */
const FRESH_MS = 1_000;
/** What is older says nothing of now. */
const KNOWN_MS = 10_000;

interface Known {
  readonly loads: readonly PoolLoad[];
  /** When that was said. */
  readonly at: number;
  /** When it was last asked for: an answer may be on its way, and nobody else asks meanwhile. */
  readonly askedAt: number;
}

const cache = new WeakMap<object, Map<string, Known>>();

function cacheOf(env: Env): Map<string, Known> {
  const known = cache.get(env) ?? new Map<string, Known>();
  cache.set(env, known);
  return known;
}

/** What is known without asking; a job does not wait for it, and asks its nearest pool where nothing is. */
export function knownLoads(env: Env, config: Config, model: string): readonly PoolLoad[] {
  if (config.regions.length === 1) return [];
  const known = cacheOf(env).get(model);
  const now = Date.now();
  if (known === undefined || now - known.askedAt >= FRESH_MS) void readLoads(env, config, model);
  return known !== undefined && now - known.at < KNOWN_MS ? known.loads : [];
}

/** What the pools say now, or said a moment ago. One that cannot be asked is left out. */
export async function readLoads(env: Env, config: Config, model: string): Promise<readonly PoolLoad[]> {
  const before = cacheOf(env).get(model);
  const at = Date.now();
  if (before !== undefined && at - before.askedAt < FRESH_MS) return before.loads;
  if (before !== undefined) cacheOf(env).set(model, { ...before, askedAt: at });
  const asked = config.regions.map(async ({ name: region }): Promise<PoolLoad[]> => {
    try {
      const { slots, free, waiting } = await onScheduler(env, region, model, (scheduler) => scheduler.supply());
      return [{ region, slots, free, waiting }];
    } catch (error) {
      emitError("load_not_read", error, { region, model });
      return [];
    }
  });
  const loads = (await Promise.all(asked)).flat();
  cacheOf(env).set(model, { loads, at, askedAt: at });
  return loads;
}
