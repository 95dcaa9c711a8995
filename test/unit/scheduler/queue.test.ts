import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LANE_TABLE, LANES, type Lane } from "../../../core/lanes.ts";
import type { Pool } from "../../../core/scheduler/pool.ts";
import { CALM, daemon, fences, job, newPool, order, poolOf, START } from "./support.ts";

const units = (completion: number) => ({ prompt: 0, completion });
const accountsOf = (pool: Pool, most?: number) => order(pool, most).map(({ account }) => account);
const count = (names: readonly string[], name: string) => names.filter((each) => each === name).length;

function flood(pool: Pool, account: string, jobs: number, changes: Parameters<typeof job>[1] = {}): void {
  for (let index = 0; index < jobs; index++) pool.enqueue(job(`${account} ${index}`, { account, ...changes }));
}

describe("what accounts weigh", () => {
  it("is their allotment in included, and their reserved slots in dedicated", () => {
    for (const lane of ["included", "dedicated"] as const) {
      const pool = poolOf([daemon("one")]);
      flood(pool, "large", 200, { lane, weight: 30 });
      flood(pool, "small", 200, { lane, weight: 10 });
      const first = accountsOf(pool, 200);
      expect(Math.abs(count(first, "large") - 150), lane).toBeLessThanOrEqual(2);
    }
  });

  it("follows an allotment that changes from one job to the next", () => {
    const pool = poolOf([daemon("one")]);
    flood(pool, "a", 100, { lane: "included", weight: 10 });
    flood(pool, "b", 100, { lane: "included", weight: 10 });
    pool.enqueue(job("a more", { lane: "included", account: "a", weight: 30 }));
    const first = accountsOf(pool, 100);
    expect(Math.abs(count(first, "a") - 75)).toBeLessThanOrEqual(2);
  });

  it("is never more in included for a stake that is split", () => {
    const stakes = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 8 });
    const others = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 5 });
    const size = fc.integer({ min: 1, max: 4_096 });
    fc.assert(
      fc.property(stakes, others, size, (parts, rest, completion) => {
        const whole = parts.reduce((sum, part) => sum + part, 0);
        const served = (mine: readonly number[]): number => {
          const pool = poolOf([daemon("one")]);
          const changes = { lane: "included", estimate: units(completion) } as const;
          for (const [index, weight] of rest.entries()) flood(pool, `other ${index}`, 60, { ...changes, weight });
          for (const [index, weight] of mine.entries()) flood(pool, `mine ${index}`, 60, { ...changes, weight });
          return accountsOf(pool, 60).filter((account) => account.startsWith("mine")).length;
        };
        expect(served(parts)).toBeLessThanOrEqual(served([whole]));
      }),
      { numRuns: 60 },
    );
  });
});

describe("jobs with narrower needs", () => {
  it.each([
    ["a providers' list", { only: ["nobody"] }],
    ["a quantization", { quantizations: ["fp16"] }],
    ["a price", { lane: "included" as const, rate: { completion: 1, prompt: 1, per: 1_000 } }],
    ["a context", { context: 1_000_000 }],
  ])("never block those behind them: %s", (_, needs) => {
    const pool = poolOf([daemon("one")]);
    flood(pool, "a", 20, needs);
    pool.enqueue(job("a's own", { account: "a" }));
    flood(pool, "b", 5);
    expect(order(pool).map(({ job: id }) => id)).toEqual(["a's own", "b 0", "b 1", "b 2", "b 3", "b 4"]);
    expect(pool.waiting).toBe(20);
  });

  it("are served as soon as a daemon that can comes, changes, or ends its job", () => {
    const needs = { only: ["wanted"] };
    const pool = poolOf([daemon("other", { slots: 10 }), daemon("wanted")]);
    flood(pool, "a", 3, needs);
    const next = fences();
    const [first] = pool.dispatch(START, next);
    expect(first?.daemon.daemon).toBe("wanted");
    expect(pool.dispatch(START, next)).toEqual([]);
    if (first !== undefined) pool.ended(first.job.job, first.lease.fence, null, START);
    const [second] = pool.dispatch(START, next);
    expect(second?.daemon.daemon).toBe("wanted");
    pool.register(daemon("wanted", { slots: 2 }), START);
    expect(pool.dispatch(START, next)).toHaveLength(1);
  });

  it("keep their claim while the daemon they need is busy with others", () => {
    // Both may use b, and only public may use a: what a serves does not take included's part of b away.
    const dear = { watts: 130, nano_usd_per_kwh: 120_000_000, decode_millitokens_per_second: 50_000 };
    const floor = { ...dear, prefill_millitokens_per_second: 500_000 };
    const pool = poolOf([daemon("a", { floor }), daemon("b")]);
    flood(pool, "public", 300, { maxRate: { completion: 200_000, prompt: 50_000, per: 1_000 } });
    flood(pool, "included", 300, { lane: "included" });
    const served = order(pool, 200);
    // Weights of 50 and 15 of all, which b alone can give.
    expect(Math.abs(served.filter(({ flow }) => flow?.lane === "included").length - 46)).toBeLessThanOrEqual(2);
  });

  it("are told apart again when a daemon changes what matters", () => {
    const pool = poolOf([daemon("small", { context: 100 })]);
    pool.enqueue(job("larger", { context: 300 }));
    pool.enqueue(job("large", { context: 200 }));
    expect(pool.dispatch(START, fences())).toEqual([]);
    pool.register(daemon("medium", { context: 250 }), START);
    expect(pool.dispatch(START, fences()).map(({ job: { job: id } }) => id)).toEqual(["large"]);
    // Whoever provides serves nobody's jobs but others'.
    pool.register(daemon("own", { context: 400, provider: "consumer" as never }), START);
    expect(pool.dispatch(START, fences())).toEqual([]);
  });

  it("are told apart when their account begins to provide, and are alike again when it ends", () => {
    const pool = poolOf([daemon("busy")]);
    pool.enqueue(job("before", { account: "other" }));
    pool.dispatch(START, fences());
    for (const name of ["mine", "mine too"]) pool.enqueue(job(name, { account: "a" }));
    pool.enqueue(job("another's", { account: "b" }));
    const own = daemon("own", { provider: "a" as never });
    pool.register(own, START);
    expect(pool.dispatch(START, fences()).map(({ job: { job: id } }) => id)).toEqual(["another's"]);
    pool.unregister(own.daemon, own.relay, START);
    pool.register(daemon("new"), START);
    expect(pool.dispatch(START, fences()).map(({ job: { job: id } }) => id)).toEqual(["mine"]);
  });
});

describe("reserved slots", () => {
  const sponsored = { lane: "dedicated", account: "sponsor", weight: 2 } as const;

  it("go to an account's next jobs when they become free, ahead of everything", () => {
    const pool = poolOf([daemon("one", { slots: 2 })]);
    const next = fences();
    flood(pool, "sponsor", 2, { ...sponsored, reserved: true });
    const running = pool.dispatch(START, next);
    flood(pool, "other", 10, { lane: "private" });
    for (const name of ["later", "latest"]) pool.enqueue(job(name, sponsored));
    for (const { job: ended, lease } of running) pool.ended(ended.job, lease.fence, ended.estimate, START);
    expect(pool.dispatch(START, next).map(({ job: { job: id } }) => id)).toEqual(["later", "latest"]);
  });

  it("are told with the time since when a job has had one", () => {
    const pool = poolOf([daemon("one", { slots: 1 })]);
    const next = fences();
    const told = (now: number) => pool.dispatch(now, next).map(({ job: { job: id, slotSince } }) => [id, slotSince]);
    const one = { ...sponsored, weight: 1 };
    pool.enqueue(job("first", { ...one, reserved: true, slotSince: START - 5 }));
    pool.enqueue(job("second", { ...one, slotSince: START - 5 }));
    // Its hold says so, but the second one gets the slot that becomes free.
    pool.enqueue(job("third", { ...one, reserved: true, slotSince: START - 5 }));
    expect(told(START)).toEqual([["first", START - 5]]);
    pool.ended("first" as never, 1, null, START + 7_000);
    expect(told(START + 7_500)).toEqual([["second", START + 7_000]]);
    pool.withdraw("second" as never, START + 8_000);
    pool.ended("second" as never, 2, null, START + 9_000);
    expect(told(START + 9_000)).toEqual([["third", START + 9_000]]);
  });

  it("are no more than the account has, whatever its holds say", () => {
    const pool = poolOf([daemon("one", { slots: 4 })]);
    flood(pool, "sponsor", 3, { ...sponsored, reserved: true });
    const dispatches = pool.dispatch(START, fences());
    expect(dispatches.map(({ lease }) => lease.reserved)).toEqual([true, true, false]);
  });

  it("come back from jobs that are withdrawn or refused", () => {
    const pool = poolOf([daemon("busy", { draining: true })]);
    flood(pool, "sponsor", 3, { ...sponsored, reserved: true });
    pool.withdraw("sponsor 0" as never, START);
    pool.register(daemon("one", { slots: 4 }), START);
    expect(pool.dispatch(START, fences()).map(({ lease }) => lease.reserved)).toEqual([true, true]);
  });
});

describe("shares", () => {
  const lanes = fc.subarray([...LANES], { minLength: 2 });
  const sizes = fc.array(fc.integer({ min: 1, max: 4_096 }), { minLength: 8, maxLength: 8 });

  it("of lanes that always have work are their weights, over any 1,000 dispatches, within one largest charge and 1 %", () => {
    fc.assert(
      fc.property(lanes, sizes, fc.nat(500), (here, all, from) => {
        const pool = poolOf([daemon("one")]);
        for (const lane of here) {
          for (let index = 0; index < 1_500; index++) {
            const estimate = units(all[(index + lane.length) % all.length] ?? 1);
            pool.enqueue(job(`${lane} ${index}`, { lane, account: `${lane} ${index % 3}`, estimate }));
          }
        }
        const served = order(pool, from + 1_000).slice(from);
        const total = served.reduce((sum, { estimate }) => sum + estimate.completion, 0);
        const largest = Math.max(...all);
        const open = here.filter((lane) => LANE_TABLE[lane].class === "open");
        const openWeight = open.reduce((sum, lane) => sum + CALM[LANE_TABLE[lane].weight], 0);
        const isShared = here.includes("private") && open.length > 0;
        for (const lane of here) {
          const own = CALM[LANE_TABLE[lane].weight];
          const inOpen = (isShared ? 0.3 : 1) * (own / openWeight);
          const share = lane === "private" ? (isShared ? 0.7 : 1) : inOpen;
          const mine = served.filter(({ flow }) => flow?.lane === lane);
          const got = mine.reduce((sum, { estimate }) => sum + estimate.completion, 0);
          expect(Math.abs(got - share * total), lane).toBeLessThanOrEqual(0.01 * total + largest);
        }
      }),
      { numRuns: 12 },
    );
  });

  it("starve nobody: whoever waits is served before anyone else has had two largest charges more since", () => {
    const account = fc.record({
      jobs: fc.integer({ min: 1, max: 30 }),
      completion: fc.integer({ min: 1, max: 4_096 }),
    });
    fc.assert(
      fc.property(fc.array(account, { minLength: 2, maxLength: 12 }), (accounts) => {
        const pool = poolOf([daemon("one")]);
        const largest = Math.max(...accounts.map(({ completion }) => completion));
        const left = new Map(accounts.map(({ jobs }, index) => [`${index}`, jobs]));
        for (const [index, { jobs, completion }] of accounts.entries()) {
          flood(pool, `${index}`, jobs, { estimate: units(completion) });
        }
        const served = new Map(accounts.map((_, index) => [`${index}`, 0]));
        for (const { account: name, estimate } of order(pool)) {
          served.set(name, (served.get(name) ?? 0) + estimate.completion);
          left.set(name, (left.get(name) ?? 0) - 1);
          const waiting = [...left].filter(([, jobs]) => jobs > 0).map(([each]) => served.get(each) ?? 0);
          if (waiting.length > 0) {
            expect((served.get(name) ?? 0) - Math.min(...waiting)).toBeLessThanOrEqual(2 * largest);
          }
        }
        expect([...left.values()].every((jobs) => jobs === 0)).toBe(true);
      }),
    );
  });

  it("give a lane nothing for having been away", () => {
    const pool = poolOf([daemon("one")]);
    flood(pool, "public", 300);
    order(pool, 100);
    flood(pool, "private", 300, { lane: "private" });
    const next = accountsOf(pool, 100);
    expect(Math.abs(count(next, "private") - 70)).toBeLessThanOrEqual(1);
  });

  it("lend back what was overestimated, also when jobs are told apart in another way meanwhile", () => {
    const pool = poolOf([daemon("one", { slots: 20 })]);
    const next = fences();
    pool.enqueue(job("over", { account: "over", estimate: units(100_000) }));
    const [large] = pool.dispatch(START, next);
    flood(pool, "other", 10);
    pool.dispatch(START, next);
    flood(pool, "other again", 40);
    flood(pool, "over", 40);
    if (large !== undefined) pool.ended(large.job.job, large.lease.fence, units(0), START);
    pool.register(daemon("one", { slots: 20, context: 5_000 }), START);
    expect(
      count(
        pool.dispatch(START, next).map(({ job: { account } }) => account),
        "over",
      ),
    ).toBe(9);
  });
});

it("goes on with its counters in the next life of the pool", () => {
  const before = poolOf([daemon("one")]);
  flood(before, "greedy", 30);
  flood(before, "private", 30, { lane: "private" });
  order(before, 40);
  const kept = JSON.parse(JSON.stringify(before.fairness())) as ReturnType<Pool["fairness"]>;
  const after = newPool();
  after.restoreFairness(kept);
  after.register(daemon("one"), START);
  expect(after.fairness()).toEqual(before.fairness());
  const continued = (pool: Pool) => {
    flood(pool, "greedy", 10);
    flood(pool, "other", 10);
    return accountsOf(pool, 10);
  };
  for (const id of ["greedy", "private"]) {
    for (let index = 0; index < 30; index++) before.withdraw(`${id} ${index}` as never, START);
  }
  expect(continued(after)).toEqual(continued(before));
});

it("tells a waiting job its place within its lane, and among lanes", () => {
  const pool = poolOf();
  flood(pool, "a", 4);
  flood(pool, "b", 4);
  const places = (lane: Lane) =>
    [0, 1, 2, 3].map((index) => pool.position(`${lane === "public" ? "b" : "c"} ${index}` as never));
  expect(places("public")).toEqual([1, 3, 5, 7]);
  flood(pool, "c", 4, { lane: "private" });
  // 70 to 30: the first of both go, and then a private one goes twice as often.
  const closed = places("private");
  expect(closed).toEqual(closed.toSorted((a, b) => (a ?? 0) - (b ?? 0)));
  expect(closed.at(-1)).toBeLessThan(8);
});
