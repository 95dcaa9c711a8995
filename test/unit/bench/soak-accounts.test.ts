import { expect, it } from "vitest";
import { batchesOf, playBatch } from "../../../bench/soak-accounts/batches.ts";
import { readAccountsSoakOptions } from "../../../bench/soak-accounts/options.ts";
import { accountsProgress, NOTHING, renderAccountsSoak, withBatch } from "../../../bench/soak-accounts/report.ts";

it("reads its flags, and names a wrong one", () => {
  expect(readAccountsSoakOptions([], 5, 2)).toEqual({ runs: 1_000_000, seed: 5, workers: 2, json: false });
  const flags = ["--runs", "10", "--seed", "9", "--workers", "1", "--json"];
  expect(readAccountsSoakOptions(flags, 5, 2)).toEqual({ runs: 10, seed: 9, workers: 1, json: true });
  expect(() => readAccountsSoakOptions(["--runs", "0"], 5, 2)).toThrow("--runs: 0");
  expect(() => readAccountsSoakOptions(["--workers", "1.5"], 5, 2)).toThrow("--workers: 1.5");
});

it("cuts its runs into batches, each with a seed of its own", () => {
  const batches = batchesOf(7, 100_500);
  expect(batches.reduce((sum, { runs }) => sum + runs, 0)).toBe(100_500);
  expect(new Set([...batches, ...batchesOf(8, 100_500)].map(({ seed }) => seed)).size).toBe(2 * 101);
  expect(batchesOf(7, 2_000)).toEqual(batches.slice(0, 2));
});

it("plays a batch alike whenever it is played, and adds up what happened in it", () => {
  const batch = { seed: 3, runs: 20 };
  const played = playBatch(batch);
  expect(played).toEqual(playBatch(batch));
  expect(played).toMatchObject({ runs: 20, failure: null });
  const sums = withBatch(withBatch(NOTHING, played), played);
  expect(sums).toMatchObject({ runs: 40, failures: [] });
  expect(sums.events["credited"]).toBe(2 * (played.events["credited"] ?? 0));
  expect(accountsProgress(sums, 100, 2)).toContain("40 of 100 runs, 20 a second");
});

it("says of a failure how it is played again", () => {
  const failure = { seed: -4, path: "12:0:1", error: "a lot is below zero", steps: "[]" };
  const sums = withBatch(NOTHING, { runs: 13, events: { held: 2 }, answers: {}, failure });
  const options = { runs: 1_000, seed: 1, workers: 1, json: false };
  const text = renderAccountsSoak({ date: "2026-11-25", options, seconds: 1, ...sums });
  expect(text).toContain("FAILED: a lot is below zero");
  expect(text).toContain("ACCOUNTS_MODEL_SEED=-4 ACCOUNTS_MODEL_PATH=12:0:1");
  expect(text).toMatch(/\| held +\| +2 \|/);
});
