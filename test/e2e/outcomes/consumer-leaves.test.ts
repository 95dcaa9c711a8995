/**
 * Consumers that leave: nothing before the first token and within the time ◆ that is free, the price of the prompt later,
 * and of prompt and tokens relayed once there are any.
 *
 * A connection that is closed in an orderly way is seen to have gone only when the Worker writes to it: at the next token,
 * or where none comes, with the headers and comments of a stream that waits. One that is reset is seen at once.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cancelledJob } from "../../../protocol/network/jobs.ts";
import type { ScriptedJob } from "../../support/scripted-daemon.ts";
import { Network, until } from "../support/network.ts";
import { talkUntilCancelled } from "../support/scripted.ts";
import { expectEnd } from "./support/end.ts";
import { allRead, claimWhenCancelled, lateClaim, Market, PROMPT, price, seen } from "./support/market.ts";

/** Longer than the market's second, so that a busy machine cannot make a job that leaves at once leave late. */
const FREE_MS = 2_000;
/** A relay hears of an acceptance a moment after its daemon has said it. */
const LATER_MS = FREE_MS + 750;

let network: Network;
beforeAll(async () => {
  network = await Network.start([], { TOLLMILL_PARAMETERS: JSON.stringify({ freeCancelMs: FREE_MS }) });
});
afterAll(() => network?.close());

const accepts = (job: ScriptedJob): Promise<void> => {
  job.accept();
  return claimWhenCancelled(job);
};
const talks = (job: ScriptedJob): Promise<void> => talkUntilCancelled(job, job.daemon);
const served = async (market: Market): Promise<ScriptedJob> => {
  await until(() => market.daemon().jobs.length === 1, "the job at its daemon");
  return market.job();
};
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.concurrent("a consumer who leaves", () => {
  it.for([false, true])("at once, before the first token, pays nothing (stream: %s)", async (stream) => {
    const market = await Market.open(network, accepts);
    const call = market.ask({ stream });
    const { job } = await served(market);
    call.reset();
    await expectEnd(market, job.job, { outcome: null, charge: 0, told: { refused: "voided" } });
  });

  it("at once pays nothing, where the daemon had not accepted yet", async () => {
    const market = await Market.open(network, () => {});
    const call = market.ask();
    const { job } = await served(market);
    call.reset();
    await expectEnd(market, job.job, { outcome: null, charge: 0, told: "nothing" });
  });

  it.for([false, true])("at once, by cancelling the job, pays nothing and is told so (stream: %s)", async (stream) => {
    const market = await Market.open(network, accepts);
    const call = market.ask({ stream });
    const { job } = await served(market);
    await cancel(market);
    expect(await seen(call)).toEqual({ status: 409, text: "", reason: null, error: "cancelled" });
    await expectEnd(market, job.job, { outcome: null, charge: 0, told: { refused: "voided" } });
  });

  it.for([false, true])("later, before the first token, pays the prompt (stream: %s)", async (stream) => {
    const market = await Market.open(network, accepts);
    const call = market.ask({ stream });
    const { job } = await served(market);
    await pause(LATER_MS);
    call.reset();
    const usage = { prompt: PROMPT };
    await expectEnd(market, job.job, { outcome: "cancelled", usage, charge: price(usage), told: "settled" });
  });

  it("later, in an orderly way, pays the prompt once its stream's headers were due", async () => {
    const market = await Market.open(network, accepts);
    const call = market.ask({ stream: true });
    const { job } = await served(market);
    call.close();
    const usage = { prompt: PROMPT };
    await expectEnd(market, job.job, { outcome: "cancelled", usage, charge: price(usage), told: "settled" });
  });

  it("later pays nothing, where the daemon hands in no claim", async () => {
    const market = await Market.open(network, (job) => job.accept());
    const call = market.ask();
    const job = await served(market);
    await pause(LATER_MS);
    call.reset();
    await expectEnd(market, job.job.job, { outcome: null, charge: 0, told: "nothing" });
    // What comes after its five seconds changes nothing.
    job.daemon.send(lateClaim(job));
    await expectEnd(market, job.job.job, { outcome: null, charge: 0, told: { refused: "voided" } });
  });

  it.for(["reset", "close"] as const)("in the middle of a stream pays prompt and tokens (by %s)", async (how) => {
    const market = await Market.open(network, talks);
    const answer = await market.ask({ stream: true }).answer;
    await answer.until("word");
    answer[how]();
    await expectCancelled(market, answer.text());
  });

  it("in the middle of a plain answer pays prompt and tokens", async () => {
    const market = await Market.open(network, talks);
    const call = market.ask();
    const job = await served(market);
    await until(() => job.completion >= 3, "some tokens");
    // They may be on their way still.
    await allRead(job.daemon);
    call.reset();
    await expectCancelled(market, " word".repeat(3));
  });

  it.for([false, true])("in the middle, by cancelling the job, pays what it then gets (stream: %s)", async (stream) => {
    const market = await Market.open(network, talks);
    const call = market.ask({ stream });
    const job = await served(market);
    await until(() => job.completion >= 3, "some tokens");
    await allRead(job.daemon);
    await cancel(market);
    const { text, ...rest } = await seen(call);
    expect(rest).toEqual({ status: 200, reason: "length", error: null });
    await expectCancelled(market, text);
    expect((await network.receipt(job.job.job, market.consumer)).usage.relayed).toBe(countOf(text));
  });

  it("while it waits in the queue pays nothing, and leaves its place", async () => {
    const market = await Market.open(network);
    const call = market.ask();
    await until(async () => (await network.waiting(market.model)) === 1, "the job in the queue");
    call.reset();
    await until(async () => (await network.waiting(market.model)) === 0, "an empty queue");
    await until(async () => (await network.balance(market.consumer)).held === 0, "the end of the hold");
    expect(await network.balance(market.consumer)).toEqual({ available: 1_200_000, held: 0 });
    expect(await network.receipts(market.consumer)).toEqual([]);
  });
});

/** Cancels a market's job by its id. */
async function cancel(market: Market): Promise<void> {
  const { apiKey } = market.consumer;
  const path = `/api/v1/jobs/${market.job().job.job}`;
  expect(await network.json(path, cancelledJob, { apiKey, method: "DELETE" })).toMatchObject({ cancelled: true });
}

const countOf = (text: string): number => text.split(" word").length - 1;

/**
 * A job that was cut after the tokens of a text, at least, had been relayed. The claim may tell of more of them than were
 * relayed in the end, which nobody pays for.
 */
async function expectCancelled(market: Market, text: string): Promise<void> {
  const job = market.job();
  await job.daemon.next("settled", (message) => message.job === job.job.job);
  const { relayed } = (await network.receipt(job.job.job, market.consumer)).usage;
  expect(relayed).toBeGreaterThanOrEqual(Math.max(1, countOf(text)));
  expect(relayed).toBeLessThanOrEqual(job.completion);
  const usage = { prompt: PROMPT, completion: relayed, relayed };
  await expectEnd(market, job.job.job, { outcome: "cancelled", usage, charge: price(usage), told: "settled" });
}
