/** What the clock pokes. Each part reads from D1 what is due, and stands alone: one that fails holds up no other. */

import { emitError } from "../../durable-objects/shared/events.ts";
import { scanForDeposits } from "../deposits/watch.ts";

/** Does what is due at a time (milliseconds since 1970). Never throws: the next poke tries again. */
export async function runDue(env: Env, now: number): Promise<void> {
  await part("deposits", () => scanForDeposits(env, now));
}

async function part(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    emitError("cron_failed", error, { part: name });
  }
}
