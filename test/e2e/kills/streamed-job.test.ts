/** The Worker is killed at every point that a streamed job passes, and started again over its state. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { cleanUp } from "../support/children.ts";
import { Market } from "./support/market.ts";
import { STREAMED } from "./support/plays.ts";
import { pointsOf } from "./support/recording.ts";
import { killAtEach, SWEEP_MS } from "./support/sweep.ts";

let market: Market;
beforeAll(async () => {
  market = await Market.open({ daemons: 1 });
});
afterAll(async () => {
  await market?.server.close();
  await cleanUp();
});

it(
  "loses nothing of a streamed job, wherever the Worker is killed",
  async () => {
    const orphans = await killAtEach(market, STREAMED, await pointsOf(market, STREAMED));
    // Between its hold and its first daemon nobody else would have ended the job.
    expect(orphans).toBeGreaterThan(0);
  },
  SWEEP_MS,
);
