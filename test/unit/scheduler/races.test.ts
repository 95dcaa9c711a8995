import { describe, expect, it } from "vitest";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import { firstTokenDeadlineMs } from "../../../core/scheduler/first-token.ts";
import type { Pool } from "../../../core/scheduler/pool.ts";
import { daemon, fences, job, poolOf, running, START } from "./support.ts";

describe("the first-token deadline", () => {
  it.each([
    [8_000, 0, 8_000],
    [14_999, 999, 8_999],
    [15_000, 0, 18_000],
    [70_000, 10_000, 28_000],
  ])("of a model of %iM parameters and a prompt of %i tokens is %i ms", (parameters, prompt, ms) => {
    expect(firstTokenDeadlineMs(parameters, prompt, GENESIS_PARAMETERS)).toBe(ms);
  });
});

describe("a second dispatch", () => {
  const held = (pool: Pool) => pool.leasesAt(job("one").job).map(({ daemon, fence, race }) => [daemon, fence, race]);

  function dispatched(daemons = ["a", "b"]) {
    const pool = poolOf(daemons.map((name) => daemon(name)));
    const next = fences();
    pool.enqueue(job("one"));
    const [first] = pool.dispatch(START, next);
    if (first === undefined) throw new Error("nobody served it");
    const beside = (changes = {}) =>
      pool.beside(job("one", { excluded: [first.daemon.daemon], ...changes }), first.lease.fence, START, next);
    return { pool, next, first, beside };
  }

  it("goes to another daemon, and leaves the first its lease", () => {
    const { pool, beside } = dispatched();
    expect(beside()?.daemon.daemon).toBe("b");
    expect(held(pool)).toEqual([
      ["a", 1, 1],
      ["b", 2, 1],
    ]);
  });

  it("takes no slot that is not free, and none for a job that has nobody or two already", () => {
    expect(dispatched(["a"]).beside()).toBeNull();
    const { pool, next, beside } = dispatched(["a", "b", "c"]);
    expect(pool.beside(job("other"), 1, START, next)).toBeNull();
    expect(beside()).not.toBeNull();
    expect(beside()).toBeNull();
  });

  it("charges an account for the one that served, whichever that was", () => {
    for (const loser of [0, 1]) {
      const { pool, next, beside } = dispatched();
      beside();
      const leases = pool.leasesAt(job("one").job);
      for (const [index, { fence }] of leases.entries()) {
        pool.ended(job("one").job, fence, index === loser ? null : { prompt: 0, completion: 1_000 }, START);
      }
      // Two jobs of another account go ahead of the one that has had one served, and no more than that.
      for (const name of ["x", "y"]) pool.enqueue(job(name, { account: "other" }));
      pool.enqueue(job("again"));
      const order = pool.dispatch(START, next).map((dispatch) => dispatch.job.account);
      expect(order).toEqual(["other", "consumer"]);
    }
  });

  it("gives both slots back, each when its own relay says so", () => {
    const { pool, beside } = dispatched();
    beside();
    const [first, second] = pool.leasesAt(job("one").job);
    pool.ended(job("one").job, first?.fence ?? 0, null, START);
    pool.ended(job("one").job, first?.fence ?? 0, null, START);
    expect(held(pool)).toEqual([["b", 2, 1]]);
    expect(pool.load("public").running).toBe(1);
    pool.ended(job("one").job, second?.fence ?? 0, null, START);
    expect(pool.load("public").running).toBe(0);
  });

  it("ends with the first where the job is dispatched anew", () => {
    const { pool, next, beside } = dispatched(["a", "b", "c"]);
    beside();
    pool.enqueue(job("one", { excluded: [daemon("a").daemon, daemon("b").daemon] }));
    pool.dispatch(START, next);
    expect(held(pool)).toEqual([["c", 3, null]]);
  });

  it("is known to a later life of the pool, with the first", () => {
    const pool = poolOf([daemon("a"), daemon("b")]);
    pool.running({ ...running("one", 41), race: 41 }, START);
    pool.running({ ...running("one", 42), daemon: daemon("b").daemon, race: 41 }, START);
    expect(held(pool)).toEqual([
      ["a", 41, 41],
      ["b", 42, 41],
    ]);
  });
});
