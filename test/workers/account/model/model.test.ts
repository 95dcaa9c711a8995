/**
 * Accounts under random treatment: every command that moves money or keys, between evictions, lost objects, lost answers,
 * writes that fail and leaps of the clock. A failure prints its seed and the shrunk steps; `ACCOUNT_MODEL_SEED` plays a seed
 * again, and `ACCOUNT_MODEL_RUNS` says how many runs, under a new seed unless one is named.
 */

import * as fc from "fast-check";
import { expect, inject, it, vi } from "vitest";
import "../../../model-settings.ts";
import { audit } from "./audit.ts";
import { type Step, step } from "./steps.ts";
import { World } from "./world.ts";

const MOST_STEPS = 40;
/** A run takes a fifth of a second; on a busy machine far longer. */
const RUN_MS = 5_000;
/** In the middle of a day, far enough ahead that no alarm rings by itself. */
const START = Date.UTC(2040, 0, 1, 12);
const MUST_REACH = [
  "held public",
  "held in a slot",
  "hold: budget_exceeded",
  "hold: invalid_api_key",
  "posted completed",
  "post: superseded",
  "post: voided",
  "void: already_posted",
  "reversed",
  "sent, delivered: true",
  "sent, delivered: false",
  "send: insufficient_credits",
  "brought again",
];

const { runs, seed } = inject("accountModel");

async function play(steps: readonly Step[]): Promise<World> {
  vi.setSystemTime(START);
  const world = await World.open();
  for (const each of steps) await world.perform(each);
  await audit(world, { atRest: false });
  await world.rest();
  await audit(world, { atRest: true });
  return world;
}

it(`keeps every unit of three accounts in one place, in ${runs} lives that everything happens to`, {
  timeout: 2 * runs * RUN_MS,
}, async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  vi.useFakeTimers({ toFake: ["Date"], now: START });
  const reached = new Set<string>();
  const started = performance.now();
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 10, maxLength: MOST_STEPS, size: "max" }),
    async (steps) => {
      for (const each of (await play(steps)).reached) reached.add(each);
    },
  );
  await fc.assert(property, { seed, numRuns: runs, interruptAfterTimeLimit: 2 * runs * RUN_MS - RUN_MS });
  console.log(
    `seed ${seed}: ${runs} runs in ${Math.round(performance.now() - started)} ms: ${[...reached].toSorted().join("; ")}`,
  );
  if (runs >= 50) expect([...reached]).toEqual(expect.arrayContaining(MUST_REACH));
});
