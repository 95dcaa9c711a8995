/** One run of the model: steps on a network of its own, and then the question whether everything is where it must be. */

import * as fc from "fast-check";
import { perform } from "./perform.ts";
import { type Setting, type Step, setting, step } from "./steps.ts";
import { World } from "./world.ts";

const MOST_STEPS = 40;

/** Plays steps to the end, with everything checked after each of them. */
export function play(begin: Setting, steps: readonly Step[]): World {
  const world = new World(begin);
  for (const first of firstSteps(begin)) perform(world, first);
  for (const each of steps) perform(world, each);
  for (const account of world.accounts) account.refold();
  world.checkTogether();
  return world;
}

/** The property that runs and soaks are made of. `seen` gets the world of each run. */
export function property(seen: (world: World) => void): fc.IProperty<[Setting, Step[]]> {
  return fc.property(setting, fc.array(step, { minLength: 5, maxLength: MOST_STEPS, size: "max" }), (begin, steps) =>
    seen(play(begin, steps)),
  );
}

/** What gives accounts their first means. */
function firstSteps({ means, accounts }: Setting): Step[] {
  const given = { do: "credit", fate: { type: "none" }, concurrency: 0 } as const;
  return means
    .slice(0, accounts)
    .flatMap(({ topup, bonus, allotment }, who): Step[] => [
      ...(topup > 0 ? [{ ...given, who, kind: "topup", backing: "usdc", amount: topup, lives: null } as const] : []),
      ...(bonus > 0
        ? [{ ...given, who, kind: "bonus", backing: "none", amount: bonus, lives: 86_400_000 } as const]
        : []),
      ...(allotment > 0 ? [{ ...given, do: "allot", who, amount: allotment, concurrency: 4 } as const] : []),
    ]);
}
