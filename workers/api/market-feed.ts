/** What the market shows: each pool is asked once a second by each isolate at most, however many watch. */

import { LANE_TABLE } from "../../core/lanes.ts";
import { formatUsd, type NanoUsd } from "../../core/units.ts";
import { emitError } from "../../durable-objects/shared/events.ts";
import type { PoolMarket } from "../../protocol/internal/pool.ts";
import { timeText } from "../../protocol/network/common.ts";
import type { Market } from "../../protocol/network/market.ts";
import { type Config, configOf } from "../config.ts";
import { catalogOf } from "../gateway/catalog.ts";
import { onScheduler } from "../objects.ts";

export const MARKET_FRESH_MS = 1_000;
/** Calls that one connection makes of its own: a Worker may make a thousand. */
const MOST_CALLS = 900;

interface Feed {
  readonly value: Market;
  readonly at: number;
}

interface Known {
  last: Feed | null;
  /** When somebody last began to ask. */
  askedAt: number;
}

const feeds = new WeakMap<object, Known>();

/** What one connection has asked by itself. */
export interface Budget {
  calls: number;
}

/** The market as it is now, at most a second old; older while another call asks, or where this one has asked enough. */
export async function marketNow(env: Env, now: number, budget: Budget = { calls: 0 }): Promise<Market> {
  const known = feeds.get(env) ?? { last: null, askedAt: Number.NEGATIVE_INFINITY };
  feeds.set(env, known);
  const isAsked = now - known.askedAt < MARKET_FRESH_MS;
  if (known.last !== null && (isAsked || budget.calls >= MOST_CALLS)) return known.last.value;
  known.askedAt = now;
  const value = await readMarket(env, now, budget);
  known.last = { value, at: now };
  return value;
}

/** Whether a connection may still ask for itself. */
export function maySpend({ calls }: Budget): boolean {
  return calls < MOST_CALLS;
}

async function readMarket(env: Env, now: number, budget: Budget): Promise<Market> {
  const config = configOf(env);
  const models = [...(await catalogOf(env, now)).keys()];
  const names = models.flatMap((model) => config.regions.map(({ name }) => ({ model, region: name })));
  budget.calls += names.length + 1;
  const pools = await Promise.all(names.map((name) => readPool(env, name)));
  return { type: "snapshot", at: timeText(now), pools: pools.filter((pool) => pool !== null) };
}

/** A pool that cannot be asked is left out, and the others are shown. */
async function readPool(
  env: Env,
  { model, region }: { readonly model: string; readonly region: Config["region"] },
): Promise<Market["pools"][number] | null> {
  try {
    const pool = await onScheduler(env, region, model, (scheduler) => scheduler.market());
    return { model, region, ...shown(pool) };
  } catch (error) {
    emitError("market_not_read", error, { model, region });
    return null;
  }
}

function shown({ daemons, slots, free, lanes, asks, demand }: PoolMarket) {
  const all = lanes.reduce((sum, { units }) => sum + units, 0);
  const { count, lowest, median } = asks;
  return {
    supply: { daemons, slots, free },
    lanes: lanes.map(({ lane, waiting, running, units }) => ({
      lane,
      class: LANE_TABLE[lane].class,
      waiting,
      running,
      units,
      share: all === 0 ? 0 : Math.round((units / all) * 10_000) / 10_000,
    })),
    demand: demand === null ? null : (demand / 10_000).toFixed(4),
    asks: { count, lowest: usd(lowest), median: usd(median) },
  };
}

function usd(amount: NanoUsd | null): string | null {
  return amount === null ? null : formatUsd(amount);
}
