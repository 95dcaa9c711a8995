/** One run: steps on a network of its own, then rest, then the audit. */

import { audit } from "./audit.ts";
import { breathe, type Clock } from "./clock.ts";
import { isPossible, perform } from "./perform.ts";
import { bringToRest } from "./rest.ts";
import type { Step } from "./steps.ts";
import { World } from "./world.ts";

const MOST_WAITS = 1_000;

export const open = (clock: Clock): Promise<World> => World.open(clock);

/** Brings a network to rest and looks into everything that happened in it. */
export async function finish(world: World): Promise<void> {
  await bringToRest(world);
  await audit(world);
}

/** A step before may have been in such a hurry that what this one needs is still on its way, on a busy machine for long. */
async function becomesPossible(world: World, step: Step): Promise<void> {
  for (let waited = 0; !isPossible(world, step); waited++) {
    if (waited === MOST_WAITS) throw new Error(`nothing to do this to: ${JSON.stringify(step)}`);
    await breathe(1);
  }
}

/** Plays steps on a new network to the end, and gives it as it was then. */
export async function play(clock: Clock, steps: readonly Step[]): Promise<World> {
  const world = await open(clock);
  try {
    for (const step of steps) {
      await becomesPossible(world, step);
      await perform(world, step);
    }
    await finish(world);
    return world;
  } finally {
    await world.close();
  }
}
