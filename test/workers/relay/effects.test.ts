/** What each way in which a job ends does to its daemon's score: the last column of economics.md §6's table. */

import { expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import type { Effect } from "../../../core/routing/ending.ts";
import { openStream, type Stage } from "./stream-support.ts";

const SLA = GENESIS_PARAMETERS.firstTokenSlaMs;
const LIE = { digest: { request: "00", response: "00", salt: "00" } };
type Ways = [string, Effect, (stage: Stage) => unknown][];

it.each<Ways[number]>([
  ["completed", "up", ({ text, done }) => (text("Hi"), done())],
  ["cancelled after tokens", "unchanged", ({ stream, text, done }) => (text("Hi"), stream.cancel(), done())],
  ["cancelled at once", "unchanged", ({ stream }) => (stream.accept(), stream.cancel())],
  [
    "cancelled before the first token, later",
    "unchanged",
    async ({ stream, pass, done }) => {
      stream.accept();
      await pass(2_000);
      stream.cancel();
      done();
    },
  ],
  [
    "cancelled, and no claim came",
    "unchanged",
    async ({ stream, text, pass }) => {
      text("Hi");
      stream.cancel();
      await pass(LIMITS.claimAfterCancelMs);
    },
  ],
  ["declined in time", "declined", ({ stream }) => stream.decline()],
  ["declined after it was accepted", "declined", ({ stream }) => (stream.accept(), stream.decline())],
  ["not taken up in time", "down", ({ pass }) => pass(LIMITS.acceptMs)],
  ["called impossible", "declined", ({ stream }) => stream.fail("context_length_exceeded")],
  ["failed before the first token", "down", ({ stream }) => (stream.accept(), stream.fail("engine_error"))],
  ["left before the first token", "down", ({ stream }) => stream.fail("daemon_gone")],
  ["failed after the first token", "down", ({ stream, text }) => (text("Hi"), stream.fail("engine_error"))],
  ["left after the first token", "down", ({ stream, text }) => (text("Hi"), stream.fail("daemon_gone"))],
  [
    "without a token when its time was over",
    "down",
    async ({ stream, pass }) => {
      stream.accept();
      await pass(SLA);
    },
  ],
  [
    "still at it when its time was over",
    "unchanged",
    async ({ text, pass, done }) => {
      text("Hi");
      await pass(SLA);
      done();
    },
  ],
  ["ended by a claim that fails its checks", "failed_verification", ({ text, done }) => (text("Hi"), done(LIE))],
  [
    "cancelled, and ended by a claim that fails its checks",
    "failed_verification",
    ({ stream, text, done }) => (text("Hi"), stream.cancel(), done(LIE)),
  ],
  [
    "ended by a claim of more tokens than were relayed",
    "flagged",
    ({ text, done }) => (text("Hi"), done({ usage: { prompt: 8, completion: 2 } })),
  ],
])("a job that %s: %s", async (_, effect, run) => {
  const stage = openStream();
  await run(stage);
  await stage.pass(1);
  const ends = stage.reports.filter(({ type }) => type === "ended");
  expect(ends).toMatchObject([{ effect }]);
});

it("takes an answer that was cut for none in the league", async () => {
  const stage = openStream({ lane: "league" });
  stage.text("Hi");
  await stage.pass(SLA);
  stage.done();
  await stage.pass(1);
  expect(stage.reports.at(-1)).toMatchObject({ effect: "down" });
});

it("measures a whole answer that its consumer took as it came, from the first frame to the last", async () => {
  const answer = async (pauses: boolean) => {
    const stage = openStream({ stream: true });
    stage.stream.accept();
    await stage.pass(1_000);
    for (let token = 0; token < 51; token++) {
      stage.text(pauses ? "x".repeat(4_096) : "x");
      if (token < 50) await stage.pass(20);
    }
    stage.done();
    await stage.pass(1);
    return stage.reports.at(-1);
  };
  // 50 tokens in 50 · 20 ms; a prompt of 8 tokens is too short to tell.
  expect(await answer(false)).toMatchObject({ effect: "up", speed: { decode: 50, prefill: null } });
  // Nobody reads here: the daemon is told to pause, and what it does then is not its own speed.
  expect(await answer(true)).toMatchObject({ effect: "up", speed: null });
});
