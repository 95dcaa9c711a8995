/** What the clock pokes: each step reads from D1 what is due, so a poke may come twice, late or never. */

import { emit, emitError } from "../../durable-objects/shared/events.ts";
import { scanForDeposits } from "../deposits/watch.ts";
import { closeDay } from "./close-day.ts";
import { publishDraws } from "./publish-draws.ts";
import { takeStakes } from "./take-stakes.ts";

/** Takes every step that is due at a time (milliseconds since 1970). Never throws: the next poke tries again. */
export async function runDue(env: Env, now: number): Promise<void> {
  const begun = Date.now();
  const clock = () => now + Date.now() - begun;
  await Promise.all([
    part("deposits", () => scanForDeposits(env, now)),
    part("draws", () => publishDraws(env, now)),
    part("stakes", async () => {
      const taken = await takeStakes(env, clock);
      if (taken !== null) emit("stakes_taken", { ...taken });
    }),
    part("daily epoch", async () => {
      const closed = await closeDay(env, now);
      if (closed.type === "made") emit("day_closed", { epoch: closed.row.epoch, rate: String(closed.row.rate) });
      else if (closed.type === "waiting") emit("day_waits", {});
    }),
  ]);
}

/** One that fails keeps no other from its turn. */
async function part(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    emitError("cron_failed", error, { part: name });
  }
}
