/** What the model has found, each with the fewest steps that showed it. */

import { afterEach, beforeEach, expect, it } from "vitest";
import { Clock } from "./clock.ts";
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
