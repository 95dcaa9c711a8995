/** What the model has found, each with the fewest steps that showed it, and what random steps seldom lead to. */

import { afterEach, beforeEach, expect, it } from "vitest";
import { receiptOf } from "./audit.ts";
import { Clock } from "./clock.ts";
import { isRaced } from "./endings.ts";
import { closeMarket, openMarket } from "./market.ts";
import { play } from "./run.ts";

const clock = new Clock();

beforeEach(async () => {
  await openMarket();
  clock.start();
});

afterEach(async () => {
  clock.stop();
  await closeMarket();
});

it("acknowledges a claim that was posted, though its job was asked for again since its relay was lost", async () => {
  const { machines } = await play(clock, [
    { do: "disconnect", machine: 1 },
    { do: "call", consumer: 0, stream: false, cap: 60, choices: 1 },
    { do: "disturb", method: "post", when: "after", retryable: false },
    { do: "claim", which: 0, kind: "true" },
    { do: "lose", part: "relay", which: 0 },
  ]);
  expect(new Set(machines[0]?.answers.map(({ type }) => type))).toEqual(new Set(["settled"]));
});

it("ends the stream of a consumer who cancelled it by its id with an error, where no claim came in time", async () => {
  const { calls } = await play(clock, [
    { do: "disconnect", machine: 0 },
    { do: "call", consumer: 0, stream: true, cap: 60, choices: 1 },
    { do: "say", which: 0, text: "one", tokens: 1, choice: 0 },
    { do: "delete", which: 0 },
    { do: "pass", ms: 5_000 },
  ]);
  expect(calls.map(({ outcome }) => outcome)).toMatchObject([{ type: "refused", code: "cancelled" }]);
});

it("lets an old attempt that speaks after the hold's end leave no more than an expired job's receipt", async () => {
  const { jobs } = await play(clock, [
    { do: "call", consumer: 0, stream: false, cap: null, choices: 1 },
    { do: "call", consumer: 0, stream: false, cap: null, choices: 1, hurry: true },
    { do: "claim", which: 0, kind: "true" },
    { do: "pass", ms: 1_000, hurry: true },
    { do: "speak for an old attempt", which: 0, restarted: false, hurry: true },
    { do: "pass", ms: 900_000, hurry: true },
    { do: "call", consumer: 0, stream: false, cap: null, choices: 1, hurry: true },
  ]);
  const charges = jobs.all
    .flatMap(({ endings }) => endings.slice(1))
    .map(({ body }) => JSON.parse(body).charge.nano_usd);
  expect(charges.every((charge) => charge === 0)).toBe(true);
});

it("counts the second in which a cancel is free from when the relay hears of the acceptance", async () => {
  const { jobs } = await play(clock, [
    { do: "call", consumer: 0, stream: false, cap: null, choices: 1, hurry: true },
    { do: "pass", ms: 15_000, hurry: true },
    { do: "accept", which: 0, hurry: true },
    { do: "pass", ms: 5_000, hurry: true },
    { do: "accept", which: 0 },
    { do: "delete", which: 0, hurry: true },
  ]);
  expect(jobs.all).toHaveLength(1);
});

it("charges nothing for a job that reached its second relay when its lease had lapsed", async () => {
  const { jobs } = await play(clock, [
    { do: "disturb", method: "advance", when: "after", retryable: true, hurry: true },
    { do: "call", consumer: 0, stream: false, cap: 60, choices: 1, hurry: true },
    { do: "pass", ms: 5_000 },
    { do: "pass", ms: 5_000, hurry: true },
    { do: "lose", part: "scheduler", which: 6 },
  ]);
  expect(jobs.all).toHaveLength(1);
});

it("charges nothing for a job whose second attempt was given out as its lease lapsed, after the first had failed", async () => {
  const { jobs } = await play(clock, [
    { do: "disturb", method: "advance", when: "before", retryable: true, hurry: true },
    { do: "call", consumer: 0, stream: false, cap: null, choices: 1 },
    { do: "fail", which: 0, code: "engine_error", hurry: true },
    { do: "pass", ms: 5_000 },
    { do: "lose", part: "scheduler", which: 5, hurry: true },
  ]);
  expect(jobs.all).toHaveLength(1);
});

it("sells no slot again at the end of a hold before the relay, whose timers are late, has ended the job", async () => {
  const { jobs } = await play(clock, [
    { do: "call", consumer: 0, stream: false, cap: 60, choices: 1, hurry: true },
    { do: "call", consumer: 0, stream: false, cap: 60, choices: 1, hurry: true },
    { do: "call", consumer: 0, stream: false, cap: 60, choices: 1 },
    // It comes to the pool when time has passed, and lets it look at its leases before the relays look at their jobs.
    { do: "call", consumer: 0, stream: false, cap: 60, choices: 1, hurry: true },
    { do: "pass", ms: 900_000, hurry: true },
  ]);
  expect(jobs.all).toHaveLength(4);
});

it.each([0, 1])("allows either of two attempts that raced for a job to have won it (%i)", async (winner) => {
  const { jobs } = await play(clock, [
    { do: "call", consumer: 0, stream: true, cap: 60, choices: 1 },
    { do: "accept", which: 0 },
    { do: "pass", ms: 9_000 },
    { do: "accept", which: 1 },
    { do: "say", which: winner, text: "one", tokens: 1, choice: 0 },
    { do: "claim", which: winner, kind: "true" },
  ]);
  expect(jobs.all.map((job) => [isRaced(job), receiptOf(job)?.outcome])).toEqual([[true, "completed"]]);
});

it("lets one of two attempts that raced be charged whose consumer left", async () => {
  const { jobs } = await play(clock, [
    { do: "call", consumer: 0, stream: true, cap: 60, choices: 1 },
    { do: "accept", which: 0 },
    { do: "pass", ms: 9_000 },
    { do: "accept", which: 1 },
    { do: "pass", ms: 1_000 },
    { do: "abort", which: 0 },
  ]);
  expect(jobs.all.map(isRaced)).toEqual([true]);
});
