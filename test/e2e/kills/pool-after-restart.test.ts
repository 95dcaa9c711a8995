/** The first moments after a restart: consumers ask at once, daemons come back, and the pool asks its relays. */

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { cleanUp } from "../support/children.ts";
import { until } from "../support/network.ts";
import { rawChat } from "../support/raw-client.ts";
import { type Asked, ask, bodyOf } from "./support/asking.ts";
import { checkSlots } from "./support/checks.ts";
import { Market, MODEL } from "./support/market.ts";

const SOON_MS = 15_000;
const REORDER_MS = 1_000;
const ANSWERED = "scheduler: after Relay.roster";

let market: Market;
beforeAll(async () => {
  market = await Market.open();
});
beforeEach(async () => {
  await market.server.restart();
});
// What a daemon had left to say would make the next pool ask its relays too early.
afterEach(async () => {
  await market.quiet();
});
afterAll(async () => {
  await market?.server.close();
  await cleanUp();
});

const daemons = async () => (await market.server.supply(MODEL.id)).daemons;
/** Waits until a point was passed, or reached where it is held, so many times. */
async function passed(point: string, times: number): Promise<void> {
  const seen = () => market.server.life.passed.filter((other) => other === point).length;
  await until(() => seen() === times, `${times} times ${point}`);
}

/** What is answered within the time that a job is given anywhere here, or null. */
async function soon(asked: Promise<Asked>): Promise<Asked | null> {
  return await Promise.race([asked, sleep(SOON_MS, null, { ref: false })]);
}

it("serves who asked before the daemons were back", async () => {
  const consumer = await market.consumer();
  const early = ask(market, consumer, "answer", { stream: true });
  await market.connect();
  expect(await early).toMatchObject({ status: 200, complete: true });
});

it("keeps daemons that came back while the answers of their relays were on their way", async () => {
  const { server } = market;
  const consumer = await market.consumer();
  await server.record();
  await server.hold(ANSWERED);
  const early = ask(market, consumer, "answer", { stream: true });
  await passed(ANSWERED, 2);
  await market.connect();
  await passed("Scheduler.register: ends", 2);
  await server.release();
  expect(await soon(early)).toMatchObject({ status: 200, complete: true });
  expect(await daemons()).toBe(2);
});

it("forgets a daemon that left while the answer of its relay was on its way", async () => {
  const { server } = market;
  await market.connect();
  const consumer = await market.consumer();
  await server.record();
  await server.hold(ANSWERED);
  const early = ask(market, consumer, "answer", { stream: true });
  await passed(ANSWERED, 2);
  market.daemons[0]?.disconnect();
  await passed("Scheduler.unregister: ends", 1);
  await server.release();
  expect(await soon(early)).toMatchObject({ status: 200, complete: true });
  expect(await daemons()).toBe(1);
});

it("gives back the slot of a job that ended while the answer of its relay was on its way", async () => {
  const { server, network } = market;
  await market.connect();
  const consumer = await market.consumer();
  const talk = await rawChat(network, consumer, bodyOf("talk", { stream: true }));
  await talk.until("word");
  await server.losePool(MODEL.id);
  await server.record();
  await server.hold(ANSWERED);
  const early = ask(market, consumer, "answer", { stream: true });
  await passed(ANSWERED, 2);
  talk.reset();
  await passed("Scheduler.report: ends", 1);
  await server.release();
  expect(await soon(early)).toMatchObject({ status: 200, complete: true });
  await checkSlots(market);
});

it("keeps a daemon that came back before its pool had heard that it was gone", async () => {
  const { server } = market;
  await market.connect();
  await server.record();
  await server.hold("relay: before Scheduler.unregister");
  market.daemons[0]?.disconnect();
  await passed("relay: before Scheduler.unregister", 1);
  await market.daemons[0]?.connect();
  await passed("Relay.webSocketMessage(offer): begins", 1);
  // What overtakes the call that is held has done so by then.
  await Promise.race([passed("Scheduler.register: ends", 1), sleep(REORDER_MS)]);
  await server.release();
  await passed("Scheduler.unregister: ends", 1);
  await until(async () => (await daemons()) === 2, "the daemon, told again");
});
