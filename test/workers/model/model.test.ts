/**
 * The whole path from call to log under random treatment, held to a model of its jobs and its money: real accounts, pool,
 * relays and queue consumer, with machines and consumers that do whatever they like, in whatever order.
 *
 * A failure prints the seed, a path and the shrunk steps. `MODEL_SEED=… MODEL_PATH=…` (with the `replayPath` of the printed
 * steps as `MODEL_REPLAY`) play the same again; where two parts raced it may take some tries. The shrunk steps then become a
 * named test in found.test.ts. The one command for a long soak, with a new seed each time:
 *
 *     MODEL_RUNS=5000 npm test -- workers test/workers/model/model.test.ts
 */

import * as fc from "fast-check";
import { expect, inject, it } from "vitest";
import "../../model-settings.ts";
import { Clock } from "./clock.ts";
import { closeMarket, openMarket } from "./market.ts";
import { isPossible, perform } from "./perform.ts";
import { MUST_REACH, Reached } from "./reached.ts";
import { finish, open } from "./run.ts";
import { type Step, step } from "./steps.ts";
import type { World } from "./world.ts";

const MOST_STEPS = 40;
/** A run takes a quarter of a second; on a busy machine far longer. */
const RUN_MS = 5_000;
/** How long a failure may be made smaller, at most. */
const SHRINK_MS = 120_000;

const { runs, seed, path, replayPath } = inject("model");

class Command implements fc.AsyncCommand<World, World> {
  readonly #step: Step;

  constructor(step: Step) {
    this.#step = step;
  }

  check(world: Readonly<World>): boolean {
    return isPossible(world as World, this.#step);
  }

  run(_: World, world: World): Promise<void> {
    return perform(world, this.#step);
  }

  toString(): string {
    return JSON.stringify(this.#step);
  }
}

it(`neither loses nor doubles anything in ${runs} networks that everything happens to`, {
  timeout: runs * RUN_MS + 2 * SHRINK_MS,
}, async () => {
  const commands = fc.commands([step.map((drawn) => new Command(drawn))], {
    maxCommands: MOST_STEPS,
    size: "max",
    ...(replayPath === null ? {} : { replayPath }),
  });
  const reached = new Reached();
  const started = performance.now();
  let failedAt = Number.POSITIVE_INFINITY;
  await openMarket();
  const clock = new Clock();
  clock.start();
  try {
    const property = fc.asyncProperty(commands, async (steps) => {
      // Shrinking ends when what is smaller no longer fails.
      if (performance.now() > failedAt + SHRINK_MS) return;
      const world = await open(clock);
      try {
        await fc.asyncModelRun(() => ({ model: world, real: world }), steps);
        await finish(world);
        reached.add(world);
      } catch (error) {
        failedAt = Math.min(failedAt, performance.now());
        throw error;
      } finally {
        await world.close();
      }
    });
    await fc.assert(property, { seed, numRuns: runs, ...(path === null ? {} : { path }) });
  } finally {
    clock.stop();
    await closeMarket();
    const seconds = Math.round((performance.now() - started) / 1_000);
    console.log(
      `seed ${seed}: ${runs} runs in ${seconds} s reached ${JSON.stringify(Object.fromEntries(reached.counts))}`,
    );
  }
  if (path === null && runs >= 100) expect([...reached.counts.keys()]).toEqual(expect.arrayContaining([...MUST_REACH]));
});
