import { afterEach, describe, expect, it, vi } from "vitest";
import { type Piece, play } from "../../../bench/engine/answer.ts";
import { slopeOf } from "../../../bench/measure/statistics.ts";
import type { Books, PostedReceipt } from "../../../bench/soak/books.ts";
import { checksOf, type Outcome } from "../../../bench/soak/checks.ts";
import type { SeenJob } from "../../../bench/soak/clients.ts";
import { conductOf, planFor } from "../../../bench/soak/conduct.ts";
import { readSoakOptions } from "../../../bench/soak/options.ts";
import type { Sample } from "../../../bench/soak/sample.ts";
import { seeded } from "../../../core/random.ts";

afterEach(() => {
  vi.useRealTimers();
});

describe("a soak's consumers", () => {
  it("conduct themselves alike for the same seed, and in every way for any", () => {
    const draw = (seed: number) => {
      const random = seeded(seed);
      return Array.from({ length: 5_000 }, () => conductOf(random));
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    const all = draw(7);
    const share = (type: string) => all.filter((conduct) => conduct.type === type).length / all.length;
    expect(share("reads")).toBeCloseTo(0.78, 1);
    expect(share("leaves")).toBeCloseTo(0.2, 1);
    expect(share("dawdles")).toBeCloseTo(0.02, 1);
    const leaving = all.filter((conduct) => conduct.type === "leaves");
    // Before anything can have come, before the first token of a slow answer, and in the middle.
    expect(leaving.some(({ afterMs }) => afterMs < 12)).toBe(true);
    expect(leaving.some((conduct) => (planFor(conduct).start ?? 0) > 0)).toBe(true);
    expect(leaving.some(({ afterMs }) => afterMs > 3_000)).toBe(true);
  });

  it("are asked for in flags, and a wrong one is named", () => {
    expect(readSoakOptions([], 5)).toMatchObject({ minutes: 30, streams: 200, daemons: 6, seed: 5, json: false });
    expect(readSoakOptions(["--minutes", "0.5", "--seed", "9"], 5)).toMatchObject({ minutes: 0.5, seed: 9 });
    expect(() => readSoakOptions(["--streams", "1.5"], 5)).toThrow("--streams: 1.5");
    expect(() => readSoakOptions(["--daemons", "1"], 5)).toThrow("--daemons: 1");
  });
});

it("a daemon that is told to pause sends nothing until it may go on, and ends once", () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  const pieces: Piece[] = [0, 100, 200].map((at) => ({ text: String(at), tokens: 1, at }));
  const sent: string[] = [];
  const playing = play(
    pieces,
    ({ text }) => void sent.push(text),
    () => void sent.push("end"),
    () => false,
  );
  vi.advanceTimersByTime(150);
  playing.pause();
  vi.advanceTimersByTime(10_000);
  expect(sent).toEqual(["0", "100"]);
  playing.resume();
  vi.advanceTimersByTime(49);
  expect(sent).toEqual(["0", "100"]);
  vi.advanceTimersByTime(1);
  playing.pause();
  playing.resume();
  vi.advanceTimersByTime(1_000);
  expect(sent).toEqual(["0", "100", "200", "end"]);
});

it("finds the slope of the line through points", () => {
  expect(slopeOf([1, 2, 3, 4].map((x) => ({ x, y: 3 * x + 7 })))).toBeCloseTo(3);
  expect(slopeOf([0, 0, 3, 3].map((y, x) => ({ x, y })))).toBeCloseTo(1.2);
  expect(slopeOf([])).toBeNaN();
});

describe("a soak holds", () => {
  const SAMPLE: Sample = {
    at: 0,
    residentBytes: 200e6,
    heapBytes: 10e6,
    simulatorBytes: 50e6,
    sockets: 50,
    openHolds: 0,
    daemons: 2,
    slots: 8,
    free: 8,
    waiting: 0,
    logged: 1,
    deadLetters: 0,
    clients: { open: 0, begun: 1, whole: 1, leftBeforeToken: 0, leftAfterToken: 0, givenUp: 0, failed: {}, broken: [] },
    supply: {
      connected: 2,
      running: 0,
      unanswered: 0,
      settled: 1,
      refused: {},
      lost: 0,
      broughtAgain: 0,
      pauses: 0,
      complaints: [],
      restarts: { cut: 0, killed: 0, drained: 0 },
    },
  };
  const RECEIPT: PostedReceipt = { outcome: "completed", millicredits: 320, nanoUsd: 320, hash: "aa" };
  const BOOKS: Books = { receipts: new Map([["job/0", RECEIPT]]), entries: 2, openJobs: 0, faults: [] };
  const MORE: Books = { ...BOOKS, receipts: new Map([["more/0", RECEIPT]]) };
  const SEEN: SeenJob = { account: 0, seen: { type: "whole", job: "job", cost: 320 } };
  /** Half an hour with a sample a minute, whose memory grows by so many MB an hour. */
  const samples = (heapPerHour = 0, residentPerHour = 0): Sample[] =>
    Array.from({ length: 31 }, (_, minute) => ({
      ...SAMPLE,
      at: minute * 60,
      heapBytes: 10e6 + (heapPerHour * 1e6 * minute) / 60,
      residentBytes: 200e6 + (residentPerHour * 1e6 * minute) / 60,
    }));
  const GOOD: Outcome = {
    before: SAMPLE,
    samples: samples(),
    after: SAMPLE,
    books: [BOOKS],
    warmed: [],
    log: { hashes: new Map([["job/0", "aa"]]), nanoUsd: 320, faults: [] },
    seen: [SEEN],
  };
  const broken = (changes: Partial<Outcome>) =>
    checksOf({ ...GOOD, ...changes }).flatMap(({ name, ok }) => (ok ? [] : [name]));
  const seen = (call: SeenJob["seen"]): SeenJob => ({ account: 0, seen: call });

  it("where everything adds up", () => {
    expect(broken({})).toEqual([]);
    expect(checksOf(GOOD)).toHaveLength(14);
    expect(broken({ samples: samples(9, 90) })).toEqual([]);
  });

  it.each<[string, Partial<Outcome>]>([
    [
      "nothing happened that no rule foresees",
      { seen: [SEEN, seen({ type: "broken", job: null, reason: "hang up" })] },
    ],
    [
      "nothing happened that no rule foresees",
      { seen: [SEEN, seen({ type: "failed", job: null, code: "internal_error" })] },
    ],
    [
      "nothing happened that no rule foresees",
      { after: { ...SAMPLE, supply: { ...SAMPLE.supply, complaints: ["closed with 1011"] } } },
    ],
    ["no hold is left", { after: { ...SAMPLE, openHolds: 1 } }],
    ["nothing waits", { after: { ...SAMPLE, waiting: 1 } }],
    ["every slot is free", { after: { ...SAMPLE, free: 7 } }],
    ["every claim was answered", { after: { ...SAMPLE, supply: { ...SAMPLE.supply, unanswered: 1 } } }],
    ["every account's sums and chain hold", { books: [{ ...BOOKS, faults: ["1 too little"] }] }],
    ["the log is dense, and its windows balance", { log: { ...GOOD.log, faults: ["a hole"] } }],
    ["no dead letter", { after: { ...SAMPLE, deadLetters: 1 } }],
    ["sockets are closed again", { after: { ...SAMPLE, sockets: 500 } }],
    ["the live heap is flat", { samples: samples(11) }],
    ["the live heap is flat", { samples: samples().map((sample) => ({ ...sample, heapBytes: null })) }],
    ["resident memory is flat", { samples: samples(0, 110) }],
    ["the live heap is back after the drain", { after: { ...SAMPLE, heapBytes: 19e6 } }],
  ])("%s", (name, changes) => {
    expect(broken(changes)).toEqual([name]);
  });

  it.each<[string, Partial<Outcome>, string[]]>([
    ["a receipt that is not in the log", { log: { ...GOOD.log, hashes: new Map() } }, ["log"]],
    ["another receipt in its place", { log: { ...GOOD.log, hashes: new Map([["job/0", "bb"]]) } }, ["log"]],
    ["a warmed account's receipt that is not in the log", { warmed: [MORE] }, ["log"]],
    ["an answer that cost less than was charged", { seen: [seen({ type: "whole", job: "job", cost: 319 })] }, ["told"]],
    [
      "an answer that failed and was charged",
      { seen: [seen({ type: "failed", job: "job", code: "stream_interrupted" })] },
      ["told"],
    ],
    ["a charge for a job that nobody began", { seen: [] }, ["told"]],
  ])("not with %s", (_, changes, [part = ""]) => {
    const names = {
      log: "every posted receipt is in the log exactly once",
      told: "consumers were charged what they were told",
    };
    expect(broken(changes)).toEqual([names[part as keyof typeof names]]);
  });
});
