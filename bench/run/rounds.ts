/** Interleaved rounds: A B C … A B C …, so that what the machine does meanwhile meets all scenarios alike. */

import type { LoadResult } from "../load.ts";
import type { Scenario } from "./scenarios.ts";
import type { Systems } from "./systems.ts";

/** A scenario's rounds, in order. */
export interface Measured {
  readonly scenario: Scenario;
  readonly rounds: readonly LoadResult[];
}

const WARM_UP_SECONDS = 1;

export async function runRounds(
  systems: Systems,
  scenarios: readonly Scenario[],
  { rounds, seconds }: { rounds: number; seconds: number },
  progress: (text: string) => void,
): Promise<Measured[]> {
  const results = new Map<Scenario, LoadResult[]>();
  for (const scenario of scenarios) {
    if (systems.loadFor(scenario) === null) continue;
    await systems.check(scenario);
    results.set(scenario, []);
  }
  for (let round = 1; round <= rounds; round++) {
    for (const [scenario, list] of results) {
      progress(`round ${round} of ${rounds}: ${scenario.name}`);
      list.push(await runOnce(systems, scenario, seconds));
    }
  }
  return [...results].map(([scenario, list]) => ({ scenario, rounds: list }));
}

/** One measurement. Throws when nothing was answered. */
export async function runOnce(systems: Systems, scenario: Scenario, seconds: number): Promise<LoadResult> {
  const call = systems.loadFor(scenario);
  if (call === null) throw new Error(`${scenario.name} has nothing to run on`);
  const warmUpSeconds = Math.max(WARM_UP_SECONDS, (2 * call.spreadMs) / 1_000);
  const result = await systems.load.call<LoadResult>("run", { ...call, seconds, warmUpSeconds });
  if (result.jobs === 0) throw new Error(`${scenario.name}: nothing was answered; ${result.error ?? "no error"}`);
  return result;
}
