/** Jobs that come to their end: they cost the price of their usage, once, whatever is claimed and however often. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answering } from "../../support/scripted-daemon.ts";
import { Network } from "../support/network.ts";
import { expectEnd } from "./support/end.ts";
import { lateClaim, Market, PROMPT, PROMPT_BOUND, price, seen } from "./support/market.ts";

const USAGE = { prompt: PROMPT, completion: 2, relayed: 2 };
const COMPLETED = { outcome: "completed", usage: USAGE, charge: price(USAGE), told: "settled" } as const;
const ANSWER = { status: 200, text: "Hello there", reason: "stop", error: null };
const answers = answering(["Hello", " there"]);

let network: Network;
beforeAll(async () => {
  network = await Network.start([]);
});
afterAll(() => network?.close());

describe.concurrent("a job that completes", () => {
  it.for([false, true])("costs the price of its usage (stream: %s)", async (stream) => {
    const market = await Market.open(network, answers);
    expect(await seen(market.ask({ stream }))).toEqual(ANSWER);
    await expectEnd(market, market.job().job.job, COMPLETED);
  });

  it.for([false, true])("costs what was relayed, where more is claimed (stream: %s)", async (stream) => {
    const usage = { prompt: 1_000_000, completion: 1_000_000 };
    const market = await Market.open(network, (job) => {
      job.accept();
      for (const word of ["Hello", " there"]) job.text(word);
      job.done({ usage });
    });
    expect(await seen(market.ask({ stream }))).toEqual(ANSWER);
    const billed = { prompt: PROMPT_BOUND, completion: 2, relayed: 2 };
    const { job } = market.job().job;
    await expectEnd(market, job, { ...COMPLETED, usage: billed, charge: price(billed) });
    expect(await network.receipt(job, market.consumer)).toMatchObject({ claim: { usage } });
  });

  it.for([false, true])("is charged once, when its claim comes again and again (stream: %s)", async (stream) => {
    const market = await Market.open(network, answers);
    expect(await seen(market.ask({ stream }))).toEqual(ANSWER);
    const job = market.job();
    await expectEnd(market, job.job.job, COMPLETED);
    const [receipt] = await network.receipts(market.consumer);

    const same = market.daemon();
    same.received.length = 0;
    same.send(lateClaim(job));
    await expectEnd(market, job.job.job, COMPLETED);
    await market.lose(0, "close");
    const later = await market.rejoin(0);
    later.send(lateClaim(job));
    await expectEnd(market, job.job.job, COMPLETED);
    expect(await later.next("settled")).toMatchObject({ receipt: { seq: receipt?.seq } });
    expect(await network.receipts(market.consumer)).toEqual([receipt]);
  });
});
