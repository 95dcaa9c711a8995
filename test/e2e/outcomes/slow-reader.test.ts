/**
 * Consumers that read slowly: their daemon pauses, and what was relayed is charged, however they go on.
 *
 * That a reader is given up after a minute of pauses, and then charged what was relayed, needs that minute:
 * test/workers/relay/stream-times.test.ts.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ScriptedJob } from "../../support/scripted-daemon.ts";
import { Network } from "../support/network.ts";
import { expectEnd } from "./support/end.ts";
import { Market, PROMPT, price, seen } from "./support/market.ts";

const CHUNK = "x".repeat(32 * 1_024);
/** As many tokens as the model completes at most. */
const MOST = 2_048;

let network: Network;
beforeAll(async () => {
  network = await Network.start([]);
});
afterAll(() => network?.close());

/** Sends a token of many bytes now and then, until it is told to pause. */
async function sendUntilPaused(job: ScriptedJob): Promise<void> {
  job.accept();
  const { received } = job.daemon;
  while (!received.some(({ type }) => type === "pause") && job.completion < MOST) {
    job.text(CHUNK);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe.concurrent("a consumer who reads nothing for a while", () => {
  it("pays for the whole answer when it reads on, of which nothing is lost", async () => {
    const market = await Market.open(network, async (job) => {
      await sendUntilPaused(job);
      await job.daemon.next("resume");
      job.text("end");
      job.done();
    });
    const call = market.ask({ stream: true, max_completion_tokens: MOST });
    const answer = await call.answer;
    answer.pause();
    const { job } = market.job();
    await market.daemon().next("pause", ({ stream }) => stream === job.stream);
    const sent = market.job().completion;
    expect(sent).toBeLessThan(MOST);
    answer.resume();
    const { text, ...rest } = await seen(call);
    expect(rest).toEqual({ status: 200, reason: "stop", error: null });
    expect(text.length).toBe(market.job().completion * CHUNK.length - CHUNK.length + "end".length);
    const usage = { prompt: PROMPT, completion: market.job().completion, relayed: market.job().completion };
    await expectEnd(market, job.job, { outcome: "completed", usage, charge: price(usage), told: "settled" });
  });

  it("pays what was relayed when it leaves meanwhile", async () => {
    const market = await Market.open(network, async (job) => {
      await sendUntilPaused(job);
      await job.daemon.next("cancel");
      job.done({ finish_reason: "cancelled" });
    });
    const answer = await market.ask({ stream: true, max_completion_tokens: MOST }).answer;
    answer.pause();
    const { job } = market.job();
    await market.daemon().next("pause", ({ stream }) => stream === job.stream);
    answer.reset();
    await market.daemon().next("settled");
    const { relayed } = (await network.receipt(job.job, market.consumer)).usage;
    expect(relayed).toBeLessThanOrEqual(market.job().completion);
    const usage = { prompt: PROMPT, completion: relayed, relayed };
    await expectEnd(market, job.job, { outcome: "cancelled", usage, charge: price(usage), told: "settled" });
  });

  it("pays what was relayed of a daemon that heeds no pause and is cut, and reads it all", async () => {
    const market = await Market.open(network, async (job) => {
      job.accept();
      const { received } = job.daemon;
      while (!received.some(({ type }) => type === "cancel") && job.completion < MOST) {
        job.text(CHUNK);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      job.done();
    });
    const call = market.ask({ stream: true, max_completion_tokens: MOST });
    const answer = await call.answer;
    answer.pause();
    const { job } = market.job();
    await market.daemon().next("cancel", ({ stream }) => stream === job.stream);
    answer.resume();
    const { text, ...rest } = await seen(call);
    expect(rest).toEqual({ status: 200, reason: "length", error: null });
    const relayed = text.length / CHUNK.length;
    expect(relayed).toBeLessThanOrEqual(market.job().completion);
    const usage = { prompt: PROMPT, completion: relayed, relayed };
    await expectEnd(market, job.job, { outcome: "timed_out", usage, charge: price(usage), told: "settled" });
  });
});
