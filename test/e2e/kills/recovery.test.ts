/** The Worker is killed once more while the network recovers from a kill, or makes up for what a kill has lost. */

import { afterAll, beforeAll, expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { cleanUp } from "../support/children.ts";
import { type TestAccount, until } from "../support/network.ts";
import type { Fault } from "./edge/points.ts";
import { endingsOf, logSize } from "./support/checks.ts";
import { Market } from "./support/market.ts";
import { ENDLESS, STREAMED } from "./support/plays.ts";
import { betweenParts, fromTo, passedBy, pointsOf, unlike } from "./support/recording.ts";
import { cut, duringRecovery, dying, HOLD_MS, killAtEach, SWEEP_MS } from "./support/sweep.ts";

const POSTED: Fault = { point: "relay: after Account.post", occurrence: 1 };
const MINUTE_MS = 60_000;

let market: Market;
/** Points that were tried, here or with a streamed job. */
let known: Fault[];
beforeAll(async () => {
  market = await Market.open({ daemons: 1 });
  known = await pointsOf(market, STREAMED);
});
afterAll(async () => {
  await market?.server.close();
  await cleanUp();
});

const firsts = (passed: readonly string[]) =>
  [...new Set(passed)].map((point) => ({ point, occurrence: 1, cold: false }));

it.each([
  ["claim was posted and not acknowledged", STREAMED, POSTED],
  ["claim was not posted", STREAMED, { point: "relay: before Account.post", occurrence: 1 }],
  ["answer was cut", ENDLESS, { point: "Relay.webSocketMessage(frame): ends", occurrence: 1 }],
])(
  "loses nothing of a job whose %s, when the daemon's return is cut as well",
  async (_, play, fault) => {
    await cut(market, play, await market.consumer(), fault);
    await market.server.restart();
    const passed = await passedBy(market, () => market.connect());
    const points = unlike(betweenParts(firsts(passed)), known);
    known.push(...points);
    await killAtEach(market, play, points, duringRecovery(market, play, fault));
  },
  SWEEP_MS,
);

/** Leaves a receipt that is posted and that neither its relay nor its daemon can bring to the log; then its alarm is due. */
async function losePosted(consumer: TestAccount): Promise<void> {
  await cut(market, STREAMED, consumer, POSTED);
  for (const daemon of market.daemons) daemon.forget();
  await market.server.restart({ moveClockMs: LIMITS.accountAlarmMs + MINUTE_MS });
}

/** Wakes an account without asking it for anything that ends what has run out. */
async function wake(consumer: TestAccount): Promise<void> {
  await endingsOf(market, consumer);
}

it(
  "brings a receipt to the log that relay and daemon have lost, when the account's alarm is cut as well",
  async () => {
    const consumer = await market.consumer();
    await losePosted(consumer);
    const size = await logSize(market);
    const logged = () => until(async () => (await logSize(market)) === size + 1, "the receipt in the log");
    const passed = await passedBy(market, async () => {
      await wake(consumer);
      await logged();
    });
    await market.connect();
    const points = fromTo(firsts(passed), "Account.alarm: begins", "Account.alarm: ends");
    await killAtEach(market, STREAMED, unlike(points, known), async (account, { cold: _, ...fault }) => {
      await losePosted(account);
      await market.server.arm(fault);
      const before = await logSize(market);
      await dying(market, wake(account));
      await market.server.restart();
      await until(async () => (await logSize(market)) === before + 1, "the receipt in the log");
      return { complete: true };
    });
  },
  SWEEP_MS,
);

it("ends a hold that everybody forgot by its account's alarm, though nobody uses the account", async () => {
  const consumer = await market.consumer();
  await cut(market, STREAMED, consumer, { point: "gateway: after Account.hold", occurrence: 1 });
  await market.server.restart({ moveClockMs: HOLD_MS + LIMITS.accountAlarmMs });
  await until(async () => (await endingsOf(market, consumer)).includes("hold_expired"), "the end of the hold");
  expect(await market.network.balance(consumer)).toEqual({ available: 1_200_000, held: 0 });
});
