import { expect, it } from "vitest";
import { bodyFor, piecesOf, planOf, textOf } from "../../../bench/engine/answer.ts";
import { table } from "../../../bench/report/tables.ts";
import { targetsOf } from "../../../bench/report/targets.ts";
import { readOptions } from "../../../bench/run/options.ts";
import { NATURAL } from "../../../bench/run/scenarios.ts";

it("carries a plan through a chat body, and cuts one text in different pieces", () => {
  const plan = { tokens: 64, piece: 16, every: 0 };
  expect(planOf(JSON.parse(bodyFor("bench", plan, true)) as { messages: unknown })).toEqual(plan);
  expect(piecesOf(plan)).toHaveLength(4);
  expect(piecesOf({ ...plan, piece: 1 })).toHaveLength(64);
  expect(textOf({ ...plan, piece: 1 })).toBe(textOf(plan));
});

it("cuts a natural answer as daemons do: 250 tokens within 5 s, the first at once", () => {
  const pieces = piecesOf(NATURAL);
  expect(pieces.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(250);
  expect(pieces[0]).toMatchObject({ tokens: 1, at: 0 });
  expect(pieces.filter(({ at }) => at < 1_000)).toHaveLength(20);
  expect(pieces.at(-1)?.at).toBe(5_000);
  expect(Buffer.byteLength(textOf(NATURAL)) / 250).toBeCloseTo(4.2, 0);
});

it("reads flags and names the wrong one", () => {
  expect(readOptions(["--rounds", "2", "--only", "hello,counts"])).toMatchObject({
    rounds: 2,
    seconds: 5,
    json: false,
  });
  expect(() => readOptions(["--rounds", "1.5"])).toThrow("--rounds: 1.5");
  expect(() => readOptions(["--only", "hello,nothing"])).toThrow("nothing called nothing");
});

it("shows what a run has not measured as not measured, never as reached", () => {
  const nothing = { fullSpeed: [], firstToken: [], peakBytes: {}, relay: null, counts: null, cost: null, log: null };
  const empty = { ...nothing, date: "", machine: "", versions: "", state: "", rounds: 0, seconds: 0, missing: [] };
  const targets = targetsOf({ ...empty, signatures: null, decisions: null });
  expect(targets.every(({ measured, reached }) => measured === null && reached === null)).toBe(true);
});

it("aligns tables for terminals and Markdown alike", () => {
  expect(
    table(
      ["a job", "µs"],
      [
        ["hello", 7],
        ["proxy", null],
      ],
    ),
  ).toBe("| a job |  µs |\n| ----- | --: |\n| hello |   7 |\n| proxy |   – |");
});
