/**
 * Jobs that have moved, or that two daemons raced for: whatever the other attempt, or a stranger, says of them afterwards,
 * the one that answered alone is charged and earns.
 *
 * That an earlier attempt cannot post either, should its relay be alive and only its answer lost, is held where that can
 * be made to happen: test/workers/account/attempts.test.ts.
 */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answering, type ScriptedDaemon, type ScriptedJob } from "../../support/scripted-daemon.ts";
import { Network, until } from "../support/network.ts";
import type { RawCall } from "../support/raw-client.ts";
import { expectEnd } from "./support/end.ts";
import { gate, lateClaim, Market, PROMPT, price, seen } from "./support/market.ts";

const USAGE = { prompt: PROMPT, completion: 2, relayed: 2 };
/** Longer than a daemon may take to accept, so that who moves is not raced with. */
const SLOW_MS = 2_500;
const COMPLETED = { outcome: "completed", usage: USAGE, charge: price(USAGE), told: "settled", daemon: 1 } as const;

let network: Network;
beforeAll(async () => {
  network = await Network.start([], { TOLLMILL_PARAMETERS: JSON.stringify({ firstTokenDeadlineSmallMs: SLOW_MS }) });
});
afterAll(() => network?.close());

describe.concurrent("an attempt that lost its job to a later one", () => {
  it("gets nothing for a claim that it brings while the later one runs, nor for one that it brings afterwards", async () => {
    const { market, call, first, finish } = await moved((job) => job.decline());
    first.send(lateClaim(market.job(0)));
    expect(await refusals(first, 1)).toEqual(["superseded"]);
    await expectSecond(market, call, finish);
    first.send(lateClaim(market.job(0)));
    expect(await refusals(first, 2)).toEqual(["superseded", "already_posted"]);
    await expectEnd(market, market.job(1).job.job, COMPLETED);
  });

  it("gets nothing for a claim that it brings over a new connection", async () => {
    const { market, call, finish } = await moved((job, market) => (job.accept(), market.lose(0)));
    const lost = market.job(0);
    const back = await market.rejoin(0);
    back.send(lateClaim(lost));
    expect(await refusals(back, 1)).toEqual(["superseded"]);
    await expectSecond(market, call, finish);
  });

  it("does not end the later one's hold by saying that it lost the job", async () => {
    const { market, call, first, finish } = await moved((job) => job.decline());
    const { job, ticket } = market.job(0).job;
    first.send({ type: "failed", job, ticket, code: "connection_lost", message: "" });
    // A claim that comes after it is answered after it.
    first.send(lateClaim(market.job(0)));
    expect(await refusals(first, 1)).toEqual(["superseded"]);
    expect((await network.balance(market.consumer)).held).toBeGreaterThan(0);
    await expectSecond(market, call, finish);
  });

  it("does not reach into the later one's stream", async () => {
    const { market, call, first, finish } = await moved((job) => job.decline());
    const { stream } = market.job(1).job;
    // Frames and claims for its own old stream, and for the later one's number.
    market.job(0).text("intruder");
    first.send({ ...market.job(0).claim(), stream });
    first.send({ type: "failed", stream, code: "engine_error", message: "" });
    expect(await refusals(first, 1)).toEqual(["superseded"]);
    await expectSecond(market, call, finish);
  });
});

describe.concurrent("an attempt that another daemon was asked beside", () => {
  it("gets nothing where it is slower, nor for the claim that it hands in when it is stopped", async () => {
    const market = await Market.open(network);
    const first = await market.join((job) => job.accept());
    const call = market.ask({ stream: true });
    await until(() => first.jobs.length === 1, "the job at the first daemon");
    await market.join(answering(["Hello", " there"]));
    expect(await seen(call)).toEqual({ status: 200, text: "Hello there", reason: "stop", error: null });
    const { stream } = market.job(0).job;
    expect(await first.next("cancel")).toMatchObject({ stream });
    market.job(0).done({ finish_reason: "cancelled" });
    expect(["superseded", "already_posted"]).toEqual(expect.arrayContaining(await refusals(first, 1)));
    await expectEnd(market, market.job(1).job.job, COMPLETED);
    expect(first.received.map(({ type }) => type)).not.toContain("settled");
  });

  it("is charged and earns where it is faster after all", async () => {
    const market = await Market.open(network);
    const first = await market.join((job) => job.accept());
    const call = market.ask({ stream: true });
    await until(() => first.jobs.length === 1, "the job at the first daemon");
    const second = await market.join((job) => job.accept());
    await until(() => second.jobs.length === 1, "the job at the second daemon");
    market.job(0).text("Hello");
    market.job(0).text(" there");
    market.job(0).done();
    expect(await seen(call)).toEqual({ status: 200, text: "Hello there", reason: "stop", error: null });
    await second.next("cancel");
    await expectEnd(market, market.job(0).job.job, { ...COMPLETED, daemon: 0 });
  });
});

describe.concurrent("a claim with another daemon's ticket", () => {
  it("is refused, and changes nothing", async () => {
    const { market, call, first, finish } = await moved((job) => job.decline());
    const theirs = market.job(1);
    first.send(lateClaim(theirs));
    first.send({ ...lateClaim(market.job(0)), ticket: theirs.job.ticket });
    first.send({ ...lateClaim(market.job(0)), ticket: "bm9uc2Vuc2U" });
    expect(await refusals(first, 3)).toEqual(["invalid_ticket", "invalid_ticket", "invalid_ticket"]);
    await expectSecond(market, call, finish);
  });
});

/** A job that its first daemon lost, and that a second one has: it has sent a token, and ends at `finish`. */
async function moved(lose: (job: ScriptedJob, market: Market) => void | Promise<void>) {
  const market = await Market.open(network);
  const [second, finish] = [gate(), gate()];
  const first = await market.join(async (job) => {
    await second.opened;
    await lose(job, market);
  });
  const call = market.ask({ stream: true });
  await until(() => first.jobs.length === 1, "the job at the first daemon");
  await market.join(async (job) => {
    job.accept();
    job.text("Hello");
    await finish.opened;
    job.text(" there");
    job.done();
  });
  second.open();
  await (await call.answer).until("Hello");
  return { market, call, first, finish };
}

async function expectSecond(market: Market, call: RawCall, finish: { open: () => void }): Promise<void> {
  finish.open();
  expect(await seen(call)).toEqual({ status: 200, text: "Hello there", reason: "stop", error: null });
  await expectEnd(market, market.job(1).job.job, COMPLETED);
  expect(market.daemon(0).received.map(({ type }) => type)).not.toContain("settled");
}

/** The reasons of the first refusals that a daemon gets. */
async function refusals({ received }: ScriptedDaemon, count: number): Promise<string[]> {
  const reasons = () => received.flatMap((message) => (message.type === "refused" ? [message.reason] : []));
  await until(() => reasons().length >= count, `${count} refusals`);
  return reasons();
}
