/**
 * Consumers that leave at any moment between their request and its first token: while the hold is being made, between hold
 * and queue, in the queue, with a grant on its way, between a relay's refusal and the next daemon. Whoever has the job then
 * ends its hold; none waits for its own end, thirteen minutes later.
 */

import { afterAll, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { balance } from "../../../protocol/network/account.ts";
import type { ScriptedJob } from "../../support/scripted-daemon.ts";
import { Network, until } from "../support/network.ts";
import { claimWhenCancelled, Market } from "./support/market.ts";

const TRIES = 240;
/** Connections at once. */
const PARALLEL = 8;
/** What a consumer has: enough to hold every try at once. */
const CREDITS = 100_000;

let network: Network;
beforeAll(async () => {
  // However slow the machine is, nobody leaves so late that the prompt is charged.
  network = await Network.start([], { TOLLMILL_PARAMETERS: JSON.stringify({ freeCancelMs: 60_000 }) });
});
afterAll(() => network?.close());

const declines = (job: ScriptedJob): void => job.decline();
const accepts = (job: ScriptedJob): Promise<void> => {
  job.accept();
  return claimWhenCancelled(job);
};

it.each([
  ["nobody serves the model", []],
  ["every provider declines", [declines, declines, declines]],
  ["the provider says nothing yet", [accepts]],
])("leaves no hold behind where %s", async (_, plays) => {
  const market = await Market.open(network, ...plays);
  await network.credit(market.consumer, `${CREDITS}.000`);
  const full = 1_200_000 + CREDITS * 1_000;
  const longestMs = await durationOf(market);

  const { apiKey } = market.consumer;
  const openJobs = async () => (await network.json("/api/v1/balance", balance, { apiKey })).open_jobs;
  for (let tried = 0; tried < TRIES; tried += PARALLEL) {
    await Promise.all(Array.from({ length: PARALLEL }, (_, index) => leave(market, index % 2 === 0, longestMs)));
    // At the network's own pace: otherwise a slow machine would have to work off all tries in the end.
    await openJobs();
  }
  await until(async () => (await openJobs()) === 0, "the end of every hold");

  expect(await network.balance(market.consumer)).toEqual({ available: full, held: 0 });
  expect(await network.receipts(market.consumer)).toEqual([]);
  // Most of them did not leave before there was a hold.
  const page = z.object({ data: z.array(z.unknown()) });
  const { data } = await network.json("/api/v1/ledger?type=void&limit=1000", page, { apiKey });
  expect(data.length).toBeGreaterThan(TRIES / 2);
  await until(async () => (await network.pool(market.model)).waiting === 0, "an empty queue");
  await until(async () => {
    const { slots, free } = await network.pool(market.model);
    return free === slots;
  }, "free slots");
});

/** How long a call is under way that nobody leaves, at most a moment: where to look for the gaps. */
async function durationOf(market: Market): Promise<number> {
  const start = performance.now();
  const call = market.ask();
  await Promise.race([call.answer, new Promise((resolve) => setTimeout(resolve, 50))]);
  call.reset();
  return performance.now() - start;
}

/** Asks, and cuts the connection some time after the request was sent. */
async function leave(market: Market, stream: boolean, longestMs: number): Promise<void> {
  const call = market.ask({ stream });
  await call.sent;
  await new Promise((resolve) => setTimeout(resolve, Math.random() * longestMs));
  call.reset();
}
