/** The Worker is killed at the points where other jobs differ from a streamed one. */

import { afterAll, beforeAll, it } from "vitest";
import { cleanUp } from "../support/children.ts";
import { Market } from "./support/market.ts";
import { ABANDONED, CANCELLED, CANCELLED_EARLY, DECLINED, KEYED, LOST, MOVED, STREAMED } from "./support/plays.ts";
import { betweenParts, fromTo, type PassedPoint, pointsOf, unlike } from "./support/recording.ts";
import { killAtEach, SWEEP_MS } from "./support/sweep.ts";

let market: Market;
let streamed: PassedPoint[];
beforeAll(async () => {
  market = await Market.open();
  streamed = await pointsOf(market, STREAMED);
});
afterAll(async () => {
  await market?.server.close();
  await cleanUp();
});

/** What a streamed job does not pass, or not so often; what it passes again only at the calls between the parts. */
function differing(points: readonly PassedPoint[]): PassedPoint[] {
  const again = points.filter(({ occurrence }) => occurrence > 1);
  const first = points.filter(({ occurrence }) => occurrence === 1);
  return unlike([...first, ...betweenParts(again)], streamed);
}

it(
  "charges a plain call with an Idempotency-Key once, however often its client repeats it",
  async () => {
    const points = fromTo(await pointsOf(market, KEYED), "gateway: before Account.hold", "relay: sends settled");
    await killAtEach(market, KEYED, betweenParts(points));
  },
  SWEEP_MS,
);

it.each([
  ["a job that moves to another daemon", MOVED],
  ["a job that its only daemon declines", DECLINED],
  ["a job whose consumer leaves while it waits", ABANDONED],
])(
  "loses nothing of %s",
  async (_, play) => {
    await killAtEach(market, play, differing(await pointsOf(market, play)));
  },
  SWEEP_MS,
);

it(
  "loses nothing of a job that is cancelled over the API before its first token",
  async () => {
    await killAtEach(market, CANCELLED_EARLY, betweenParts(differing(await pointsOf(market, CANCELLED_EARLY))));
  },
  SWEEP_MS,
);

it(
  "loses nothing of a job whose daemon loses its connection before its first token",
  async () => {
    const points = await pointsOf(market, LOST);
    const moves = fromTo(points, "Relay.webSocketClose: begins", "gateway: after Account.advance");
    const named = fromTo(points, "Relay.webSocketMessage(failed): begins", "Relay.webSocketMessage(failed): ends");
    await killAtEach(market, LOST, unlike([...betweenParts(moves), ...named], streamed));
  },
  SWEEP_MS,
);

it(
  "loses nothing of a job whose consumer leaves in the middle of its stream",
  async () => {
    const points = fromTo(await pointsOf(market, CANCELLED), "relay: sends cancel", "relay: sends settled");
    await killAtEach(market, CANCELLED, betweenParts(points));
  },
  SWEEP_MS,
);
