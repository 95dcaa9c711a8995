/** All scenarios, each with the market as it is and, where that tells something, with queues that know of no shares. */

import { seeded } from "../../core/random.ts";
import { CoreMarket, type Market } from "./market.ts";
import { PlainMarket } from "./plain-market.ts";
import { daemonsOf, recordsOf } from "./population.ts";
import type { Scenario } from "./scenario.ts";
import { type MarketResult, Simulation } from "./simulation.ts";

export const QUEUES = ["core", "fifo", "round robin"] as const;
export type Queue = (typeof QUEUES)[number];

export interface Played {
  readonly scenario: Scenario;
  readonly queue: Queue;
  readonly result: MarketResult;
}

/** Plays a scenario with each of its queues. The same seed gives the same result. */
export function play(scenario: Scenario, seed: number, progress: (text: string) => void = () => {}): Played[] {
  const queues = scenario.isCompared ? QUEUES : (["core"] as const);
  return queues.map((queue) => {
    progress(`${scenario.name}: ${queue}`);
    return { scenario, queue, result: new Simulation(scenario, seed, marketOf(queue, scenario, seed)).run() };
  });
}

function marketOf(queue: Queue, scenario: Scenario, seed: number): Market {
  if (queue !== "core") return new PlainMarket(queue);
  return new CoreMarket({ records: recordsOf(daemonsOf(scenario, seed)), random: seeded(seed) });
}
