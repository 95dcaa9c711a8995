/**
 * Jobs that take too long. Without a first token nothing is charged; with one, prompt and tokens relayed. What comes after
 * the hold's end leaves a receipt that charges nothing.
 *
 * That a stream is also cut 30 s before its hold ends needs twelve minutes: test/workers/relay/stream-times.test.ts.
 */

import type { DurableObjectNamespace } from "@cloudflare/workers-types";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ScriptedJob } from "../../support/scripted-daemon.ts";
import { Network, until } from "../support/network.ts";
import { talkUntilCancelled } from "../support/scripted.ts";
import { expectEnd } from "./support/end.ts";
import { allRead, gate, Market, PROMPT, price, seen } from "./support/market.ts";

/** Instead of the market's ten minutes. */
const SLA_MS = 2_500;

let network: Network;
beforeAll(async () => {
  network = await Network.start([], { TOLLMILL_PARAMETERS: JSON.stringify({ firstTokenSlaMs: SLA_MS }) });
});
afterAll(() => network?.close());

const TIMEOUT = { status: 504, text: "", reason: null, error: "first_token_timeout" };
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.concurrent("a job that takes too long", () => {
  it.for([false, true])("costs nothing without a first token (stream: %s)", async (stream) => {
    const market = await Market.open(network, (job) => job.accept());
    expect(await seen(market.ask({ stream }))).toEqual(TIMEOUT);
    const { job, stream: number } = market.job().job;
    await market.daemon().next("cancel", (message) => message.stream === number);
    await expectEnd(market, job, { outcome: "timed_out", charge: 0, told: "settled" });
  });

  it("costs nothing either, where the daemon claims the prompt", async () => {
    const market = await Market.open(network, async (job) => {
      job.accept();
      await job.daemon.next("cancel");
      job.done({ finish_reason: "cancelled" });
    });
    expect(await seen(market.ask())).toEqual(TIMEOUT);
    await expectEnd(market, market.job().job.job, { outcome: "timed_out", charge: 0, told: "settled" });
  });

  it("has no more time for having moved", async () => {
    const market = await Market.open(network);
    const first = await market.join(async (job) => {
      job.accept();
      await pause(SLA_MS / 2);
      job.fail();
    });
    const call = market.ask();
    await until(() => first.jobs.length === 1, "the job at the first daemon");
    const second = await market.join((job) => job.accept());
    expect(await seen(call)).toEqual(TIMEOUT);
    expect(second.jobs[0]?.job.deadline).toBe(first.jobs[0]?.job.deadline);
    await expectEnd(market, market.job(1).job.job, { outcome: "timed_out", charge: 0, daemon: 1, told: "settled" });
    expect(first.received.map(({ type }) => type)).not.toContain("settled");
  });

  it.for([false, true])(
    "costs prompt and tokens, if there were any, and ends by length (stream: %s)",
    async (stream) => {
      const market = await Market.open(network, (job) => talkUntilCancelled(job, job.daemon));
      const answer = await seen(market.ask({ stream }));
      const job = market.job();
      expect(answer).toEqual({ status: 200, text: expect.stringMatching(/^( word)+$/), reason: "length", error: null });
      const relayed = answer.text.split(" word").length - 1;
      expect(relayed).toBeLessThanOrEqual(job.completion);
      const usage = { prompt: PROMPT, completion: relayed, relayed };
      await expectEnd(market, job.job.job, { outcome: "timed_out", usage, charge: price(usage), told: "settled" });
    },
  );
});

describe.concurrent("a claim that comes after the hold's end", () => {
  it.for([false, true])("leaves a receipt that charges nothing (stream: %s)", async (stream) => {
    const finish = gate();
    const market: Market = await Market.open(network, async (job) => {
      job.accept();
      job.text("Hello");
      await allRead(job.daemon);
      finish.open();
    });
    const call = market.ask({ stream });
    await finish.opened;
    const job = market.job();
    await endHold(market, job);
    job.done();
    const error = "job_expired";
    expect(await seen(call)).toEqual(
      stream ? { status: 200, text: "Hello", reason: "error", error } : { status: 504, text: "", reason: null, error },
    );
    const usage = { prompt: PROMPT, completion: 1, relayed: 1 };
    await expectEnd(market, job.job.job, { outcome: "expired", usage, charge: 0, told: "settled" });
  });
});

/** Puts the end of a job's hold into the past, as twelve minutes would. The account reads it when it starts again. */
async function endHold({ consumer }: Market, { job }: ScriptedJob): Promise<void> {
  const worker = network.server.harness.getWorker<{ readonly ACCOUNT: DurableObjectNamespace }>();
  const storage = await worker.getDurableObjectStorage("ACCOUNT", { name: consumer.account });
  const change = "UPDATE holds SET record = json_set(record, '$.hold.expiresAt', ?) WHERE job = ?";
  await storage.exec(change, Date.now(), job.job);
  await worker.evictDurableObject("ACCOUNT", { name: consumer.account });
}
