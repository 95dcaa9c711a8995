/** Which region serves a caller, and what all regions have of a model. */

import type { DaemonId, JobId } from "../core/ids.ts";
import { relayName, relayOf } from "../protocol/internal/names.ts";
import type { PoolJob, Supply } from "../protocol/internal/pool.ts";
import type { Config } from "./config.ts";
import { onSchedulers } from "./objects.ts";

/** The region that serves a caller's continent, or the one of whoever is nearest to no other. */
export function nearestRegion({ region, regions }: Config, { cf }: Pick<Request, "cf">): string {
  const continent = cf?.continent;
  if (typeof continent !== "string") return region;
  return regions.find(({ continents }) => continents.includes(continent))?.name ?? region;
}

/** The relays that a daemon may be connected to: it chose the region that was nearest when it connected. */
export function relaysOf({ regions, shards }: Config, daemon: DaemonId): string[] {
  return regions.map(({ name }) => relayOf(name, daemon, shards));
}

/** Every relay of every region. */
export function allRelays({ regions, shards }: Config): string[] {
  return regions.flatMap(({ name }) => Array.from({ length: shards }, (_, shard) => relayName(name, shard)));
}

/** Where a job is among the pools of its model. */
export async function placeOf(env: Env, config: Config, model: string, job: JobId): Promise<PoolJob> {
  const places = await onSchedulers(env, config, model, (scheduler) => scheduler.job(job));
  return places.find(({ type }) => type !== "unknown") ?? { type: "unknown" };
}

/** What all regions have of a model. */
export async function supplyOf(env: Env, config: Config, model: string): Promise<Supply> {
  const supplies = await onSchedulers(env, config, model, (scheduler) => scheduler.supply());
  const total = (amount: (supply: Supply) => number) => supplies.reduce((sum, supply) => sum + amount(supply), 0);
  return {
    daemons: total(({ daemons }) => daemons),
    slots: total(({ slots }) => slots),
    free: total(({ free }) => free),
    waiting: total(({ waiting }) => waiting),
    tokensPerSecond: total(({ tokensPerSecond }) => tokensPerSecond),
    lowestAsk: least(supplies.map(({ lowestAsk }) => lowestAsk)),
    leastAsk: least(supplies.map(({ leastAsk }) => leastAsk)),
    features: [...new Set(supplies.flatMap(({ features }) => features))].toSorted(),
  };
}

function least<Amount extends number>(amounts: readonly (Amount | null)[]): Amount | null {
  return amounts.reduce((low, amount) => (low === null || (amount !== null && amount < low) ? amount : low), null);
}
