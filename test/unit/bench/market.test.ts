import { describe, expect, it } from "vitest";
import { Gaps, jain } from "../../../bench/market/measures/gaps.ts";
import { Shares, wantedShares } from "../../../bench/market/measures/shares.ts";
import { SlotTime } from "../../../bench/market/measures/slots.ts";
import { readMarketOptions } from "../../../bench/market/options.ts";
import { PlainQueue } from "../../../bench/market/plain-queue.ts";
import { play } from "../../../bench/market/play.ts";
import { goalsOf, renderMarket } from "../../../bench/market/report.ts";
import { FULL, SMALL, scenariosAt } from "../../../bench/market/scenario.ts";
import { Timeline } from "../../../bench/market/timeline.ts";

const SEED = 7;
const played = scenariosAt(SMALL).flatMap((scenario) => play(scenario, SEED));
const resultOf = (name: string, queue = "core") => {
  const found = played.find((each) => each.scenario.name === name && each.queue === queue);
  if (found === undefined) throw new Error(`${name} was not played with ${queue}`);
  return found.result;
};

describe("a small market", () => {
  it("reaches every goal", () => {
    expect(goalsOf(played).map(({ name, reached }) => [name, reached])).toEqual(
      goalsOf(played).map(({ name }) => [name, true]),
    );
  });

  it("shares by weight as far as a queue that knows of it can, and others do not", () => {
    for (const { lane, share, wanted } of resultOf("reference").lanes) {
      expect(Math.abs(share - wanted), lane).toBeLessThan(0.01);
    }
    for (const queue of ["fifo", "round robin"]) {
      const { lanes, shareError } = resultOf("reference", queue);
      expect(shareError.beyondOneCharge).toBeGreaterThan(10);
      for (const { lane, gap } of lanes) expect(gap?.stretch, `${queue}, ${lane}`).toBeGreaterThan(2);
    }
  });

  it("keeps two accounts within a few charges where estimates are far above what is used", () => {
    for (const { lane, gap } of resultOf("saturated").lanes) expect(gap?.stretch, lane).toBeLessThan(4);
  });

  it("gives what one class leaves to the others", () => {
    const { lanes, slots } = resultOf("idle class");
    expect(lanes.map(({ lane }) => lane)).toEqual(["included", "dedicated", "public", "league"]);
    expect(slots.busy).toBeCloseTo(1, 3);
  });

  it("meets daemons that go away, false claims and newcomers", () => {
    const { counts, newcomers } = resultOf("unreliable");
    for (const [what, count] of Object.entries(counts)) {
      if (what !== "full" && what !== "late") expect(count, what).toBeGreaterThan(0);
    }
    expect(newcomers.owners).toBeGreaterThan(0);
  });

  it("is the same again with the same seed, and another one with another", () => {
    const [reference] = scenariosAt({ divisor: 500, seconds: 20 });
    if (reference === undefined) throw new Error("there is no scenario");
    expect(play(reference, SEED)).toEqual(play(reference, SEED));
    expect(play(reference, SEED)[0]?.result).not.toEqual(play(reference, SEED + 1)[0]?.result);
  });

  it("is told in tables", () => {
    const text = renderMarket({ date: "2026-11-25", seed: SEED, seconds: 1, played });
    for (const { name } of scenariosAt(SMALL)) expect(text).toContain(`\n${name}: `);
    expect(text).not.toMatch(/NaN|undefined/);
  });
});

describe("what is measured of it", () => {
  it("is how far two accounts ever were apart, and how much more one got than the other over any stretch", () => {
    const gaps = new Gaps([1, 1]);
    gaps.add(0, 10);
    gaps.add(1, 30);
    gaps.add(2, 1_000);
    expect(gaps.widest(10)).toEqual({ apart: 2, stretch: 3 });
    const weighted = new Gaps([1, 4]);
    weighted.add(1, 40);
    // One charge of the first is 10, and of the second 2.5: the middle is 6.25.
    expect(weighted.widest(10)).toEqual({ apart: 1.6, stretch: 1.6 });
  });

  it("is Jain's index", () => {
    expect(jain([5, 5, 5])).toBe(1);
    expect(jain([5, 0, 0, 0])).toBe(0.25);
    expect(jain([0, 0])).toBe(1);
  });

  it("is how far a lane is from its weight over any thousand dispatches", () => {
    expect(wantedShares(["included", "public"]).map((share) => Math.round(1_000 * share))).toEqual([231, 769]);
    expect(wantedShares(["private", "public"])).toEqual([0.7, 0.3]);
    const shares = new Shares([0.5, 0.5]);
    for (let dispatch = 0; dispatch < 3_000; dispatch++) {
      shares.add(dispatch < 1_600 ? dispatch % 2 : 0, 1);
      shares.dispatched(100);
    }
    expect(shares.error.points).toBe(50);
    expect(shares.error.beyondOneCharge).toBeCloseTo(40);
  });

  it("is the time in which a slot was idle and a job waited", () => {
    const time = new SlotTime();
    time.set(0, 10, 10, 5);
    time.set(60, 10, 8, 1);
    time.set(80, 10, 5, 0);
    time.set(100, 10, 0, 0);
    expect(time.parts).toEqual({ busy: (600 + 160 + 100) / 1_000, wasted: 20 / 1_000 });
  });
});

describe("queues to compare with", () => {
  const order = (kind: "fifo" | "round robin", jobs: readonly string[], canServe = (_: string) => true) => {
    const queue = new PlainQueue<{ job: string; account: string; needs: string }>(kind, ({ needs }) => needs);
    for (const job of jobs) queue.add({ job, account: job[0] ?? "", needs: job[2] ?? "" });
    const served: string[] = [];
    for (;;) {
      const next = queue.next(({ job }) => (canServe(job) ? job : null));
      if (next === null) return [...served, queue.size];
      queue.remove(next.match);
      served.push(next.match);
    }
  };

  it("serve by arrival, or accounts in turns", () => {
    const jobs = ["a1", "a2", "a3", "b1", "c1", "c2"];
    expect(order("fifo", jobs)).toEqual([...jobs, 0]);
    expect(order("round robin", jobs)).toEqual(["a1", "b1", "c1", "a2", "c2", "a3", 0]);
  });

  it("pass over what nobody can serve", () => {
    expect(order("fifo", ["a1x", "a2x", "b1", "a3"], (job) => !job.endsWith("x"))).toEqual(["b1", "a3", 2]);
  });
});

it("plays what is planned in order, with what is planned meanwhile", () => {
  const timeline = new Timeline();
  const seen: string[] = [];
  const note = (name: string) => () => void seen.push(`${name} at ${timeline.now}`);
  timeline.after(5, note("late"));
  timeline.after(1, () => timeline.after(1, note("then")));
  timeline.after(2, note("second"));
  timeline.after(9, note("too late"));
  timeline.runUntil(5, () => seen.push("."));
  expect(seen).toEqual([".", "second at 2", ".", "then at 2", ".", "late at 5", "."]);
  expect(timeline.now).toBe(5);
});

it("is asked for in flags, and a wrong one is named", () => {
  expect(readMarketOptions([])).toEqual({ seed: 7, scale: FULL, only: null, json: false });
  expect(readMarketOptions(["--small", "--seed", "3", "--only", "day,alike"])).toMatchObject({
    seed: 3,
    scale: SMALL,
    only: new Set(["day", "alike"]),
  });
  expect(() => readMarketOptions(["--seed", "-1"])).toThrow("--seed");
  expect(() => readMarketOptions(["--only", "nothing"])).toThrow("--only: there is nothing called nothing");
});
