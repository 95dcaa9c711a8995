/** What is due by time. A poke may come twice, late or never: each step reads from D1 what it has to do. */

import { emit, emitError } from "../../durable-objects/shared/events.ts";
import { closeDay } from "./close-day.ts";

/** Takes every step that is due. One that fails is tried again by the next poke, and keeps no other from its turn. */
export async function handlePoke(env: Env, now: number): Promise<void> {
  try {
    const closed = await closeDay(env, now);
    if (closed.type === "made") emit("day_closed", { epoch: closed.row.epoch, rate: String(closed.row.rate) });
    else if (closed.type === "waiting") emit("day_waits", {});
  } catch (error) {
    emitError("close_day_failed", error);
  }
}
