/**
 * Providers that decline, fail or go away: before the first token the job moves on, twice at most; after it nothing is
 * charged, and the stream ends with an error event.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answering, type ScriptedJob } from "../../support/scripted-daemon.ts";
import { Network, until } from "../support/network.ts";
import { expectEnd } from "./support/end.ts";
import { allRead, gate, lateClaim, Market, PROMPT, price, seen } from "./support/market.ts";

const USAGE = { prompt: PROMPT, completion: 2, relayed: 2 };
const COMPLETED = { outcome: "completed", usage: USAGE, charge: price(USAGE), told: "settled" } as const;
const ANSWER = { status: 200, text: "Hello there", reason: "stop", error: null };
const answers = answering(["Hello", " there"]);

let network: Network;
beforeAll(async () => {
  network = await Network.start([]);
});
afterAll(() => network?.close());

/** What a provider does that leads nowhere, before its first token. */
const BEFORE: Record<string, (job: ScriptedJob) => void> = {
  "declines in time": (job) => job.decline(),
  "says nothing in time": () => {},
  "fails before its first token": (job) => {
    job.accept();
    job.fail();
  },
  "sends rubbish instead of its first token": (job) => {
    job.accept();
    job.frame(0, Uint8Array.of(0xff), 1);
  },
};
const plays = Object.entries(BEFORE);
const plainAndStream = plays.flatMap(([what, play]) => [false, true].map((stream) => ({ what, play, stream })));

describe.concurrent("before the first token", () => {
  it.for(plainAndStream)("moves on from a provider that $what (stream: $stream)", async ({ play, stream }) => {
    const { market, call } = await asking(stream, play);
    await market.join(answers);
    expect(await seen(call)).toEqual(ANSWER);
    await expectEnd(market, market.job(1).job.job, { ...COMPLETED, daemon: 1 });
    expectNothingSettled(market, 0);
  });

  it.for(["reset", "close"] as const)("moves on from a provider that goes away (by %s)", async (how) => {
    const { market, call } = await asking(true, (job) => job.accept());
    const finish = gate();
    await market.join(async (job) => {
      job.accept();
      await finish.opened;
      await answers(job);
    });
    await market.lose(0, how);
    finish.open();
    expect(await seen(call)).toEqual(ANSWER);
    await expectEnd(market, market.job(1).job.job, { ...COMPLETED, daemon: 1 });
    expectNothingSettled(market, 0);
  });

  it.for(plainAndStream.filter(({ what }) => /declines|fails/.test(what)))(
    "moves on twice at most, then says that nothing was charged: each $what (stream: $stream)",
    async ({ play, stream }) => {
      const market = await Market.open(network, play, play, play, play);
      const answer = await seen(market.ask({ stream }));
      expect(answer).toEqual({ status: 502, text: "", reason: null, error: "provider_failed" });
      const asked = [0, 1, 2, 3].filter((index) => market.daemon(index).jobs.length > 0);
      expect(asked).toHaveLength(3);
      const { job } = market.job(asked[0]).job;
      for (const daemon of asked) await expectEnd(market, job, { outcome: null, charge: 0, daemon, told: "nothing" });
    },
  );

  it("does not move on with a consumer who allows no fallback", async () => {
    const market = await Market.open(network, (job) => job.decline());
    await market.join((job) => job.decline());
    const answer = await seen(market.ask({ provider: { allow_fallbacks: false } }));
    expect(answer).toMatchObject({ status: 502, error: "provider_failed" });
    const [asked = -1, ...more] = [0, 1].filter((index) => market.daemon(index).jobs.length > 0);
    expect(more).toEqual([]);
    const { job } = market.job(asked).job;
    await expectEnd(market, job, { outcome: null, charge: 0, daemon: asked, told: "nothing" });
  });
});

/** What a provider does after two tokens, and whether it is still there then. */
const AFTER: Record<string, (job: ScriptedJob, market: Market) => void | Promise<void>> = {
  fails: (job) => job.fail(),
  "sends rubbish": (job) => job.frame(0, Uint8Array.of(0xff), 1),
  "goes away (by reset)": (_, market) => market.lose(0, "reset"),
  "goes away (by close)": (_, market) => market.lose(0, "close"),
};
const endings = Object.entries(AFTER).flatMap(([what, play]) =>
  [false, true].map((stream) => ({ what, play, stream })),
);

describe.concurrent("after the first token", () => {
  it.for(endings)("charges nothing for a provider that $what (stream: $stream)", async ({ play, stream }) => {
    const market: Market = await Market.open(network, async (job) => {
      job.accept();
      for (const word of ["Hello", " there"]) job.text(word);
      // A reset would take what is still on its way with it.
      await allRead(job.daemon);
      await play(job, market);
    });
    const answer = await seen(market.ask({ stream }));
    const error = "stream_interrupted";
    expect(answer).toEqual(
      stream
        ? { status: 200, text: "Hello there", reason: "error", error }
        : { status: 502, text: "", reason: null, error },
    );
    const job = market.job();
    const end = { outcome: "failed", charge: 0, usage: { relayed: 2 } } as const;
    const gone = market.known === 0;
    await expectEnd(market, job.job.job, { ...end, told: gone ? "nothing" : "settled" });
    if (!gone) return;
    // A provider that comes back with its claim is told how the job ended, and earns nothing by it.
    const later = await market.rejoin(0);
    later.send(lateClaim(job));
    await expectEnd(market, job.job.job, { ...end, told: "settled" });
  });
});

/** A call that one daemon has; another may join then, so that it is surely asked second. */
async function asking(stream: boolean, play: (job: ScriptedJob) => void) {
  const market = await Market.open(network);
  const tried = gate();
  const first = await market.join(async (job) => {
    await tried.opened;
    play(job);
  });
  const call = market.ask({ stream });
  await until(() => first.jobs.length === 1, "the job at the first daemon");
  tried.open();
  return { market, call };
}

function expectNothingSettled(market: Market, daemon: number): void {
  const types = market.daemon(daemon).received.map(({ type }) => type);
  expect(types).not.toContain("settled");
}
