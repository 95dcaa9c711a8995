/** The secrets of newcomers' draws (economics.md §4): committed to before their days begin, revealed after they are over. */

import { drawCommitment, drawDay, drawSecret } from "../../core/auction/draw.ts";
import { LIMITS } from "../../core/limits.ts";
import { bytesToHex } from "../../core/receipt/canonical.ts";
import { commitDraws, drawsFrom, revealDraws, unrevealedBefore } from "../../db/draws.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import { configOf } from "../config.ts";

/**
 * Publishes the commitments of today and the coming days that are not published yet, and the secrets of days that are over.
 * A week ahead, so that no day begins without one however long the clock is away. Safe to call twice, or late.
 */
export async function publishDraws(env: Env, now: number): Promise<void> {
  const { edgeKey } = configOf(env);
  const today = drawDay(now);
  const there = new Set((await drawsFrom(env.DB, today)).map(({ day }) => day));
  for (let day = today; day <= today + LIMITS.drawDaysAhead; day++) {
    if (there.has(day)) continue;
    const commitment = drawCommitment(drawSecret(edgeKey, day));
    await commitDraws(env.DB, { day, commitment, published_at: now });
  }
  for (const { day, commitment } of await unrevealedBefore(env.DB, today)) {
    const secret = drawSecret(edgeKey, day);
    // With another root than the commitment was made with there is nothing that would prove a draw.
    if (drawCommitment(secret) === commitment) await revealDraws(env.DB, day, bytesToHex(secret));
    else emit("draws_of_another_key", { day });
  }
}
