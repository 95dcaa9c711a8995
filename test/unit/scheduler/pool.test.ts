import { describe, expect, it } from "vitest";
import type { DaemonId, JobId } from "../../../core/ids.ts";
import { LIMITS } from "../../../core/limits.ts";
import type { Pool } from "../../../core/scheduler/pool.ts";
import { daemon, fences, job, poolOf, running, START } from "./support.ts";

const served = (pool: Pool, now = START) => pool.dispatch(now, fences()).map(({ daemon: { daemon } }) => daemon);
const codes = (pool: Pool, now: number) => pool.rejections(now).map(({ refusal }) => refusal.code);
const id = (name: string) => name as JobId;

describe("who may serve", () => {
  it.each([
    ["one with too small a context", daemon("small", { context: 999 }), {}],
    ["an own daemon", daemon("own", { provider: "consumer" as never }), {}],
    ["a draining one", daemon("draining", { draining: true }), {}],
    ["one that failed the job before", daemon("failed"), { excluded: ["failed" as DaemonId] }],
    ["one that was not asked for", daemon("other"), { only: ["wanted"] }],
    ["one that is to be ignored", daemon("ignored"), { ignore: ["ignored"] }],
    ["one whose owner is to be ignored", daemon("ignored"), { ignore: ["owner of ignored"] }],
    ["one of another quantization", daemon("q4"), { quantizations: ["q8"] }],
    ["one that takes only backed jobs", daemon("usdc", { accepts: "usdc" }), {}],
    [
      "one whose floor is above the rate",
      daemon("dear"),
      { lane: "included" as const, rate: { completion: 30_399, prompt: 0, per: 1_000 } },
    ],
  ])("leaves out %s", (_, offer, changes) => {
    const pool = poolOf([offer]);
    expect(pool.enqueue(job("job", changes))).toBeNull();
    expect(served(pool)).toEqual([]);
    // Like the first one in nothing that was wrong with it.
    pool.register(daemon("wanted", { quantization: "q8", floor: { ...offer.floor, watts: 1 } }), START);
    expect(served(pool)).toHaveLength(1);
  });

  it("lets a daemon that takes only USDC serve a backed job, and one at its floor", () => {
    const pool = poolOf([daemon("usdc", { accepts: "usdc" })]);
    pool.enqueue(
      job("job", { lane: "included", unbacked: false, rate: { completion: 30_400, prompt: 0, per: 1_000 } }),
    );
    expect(served(pool)).toEqual(["usdc"]);
  });

  it("refuses a feature that nobody here has at once, and names its parameter", () => {
    const pool = poolOf([daemon("one")]);
    const refusal = pool.enqueue(job("job", { features: [{ feature: "seed", param: "seed" }] }));
    expect(refusal).toMatchObject({ code: "unsupported_parameter", param: "seed" });
    expect(pool.waiting).toBe(0);
    expect(pool.enqueue(job("job", { features: [{ feature: "tools", param: "tools" }] }))).toBeNull();
  });
});

describe("who is chosen", () => {
  it("gives more to who has less to do, and as much to those who are alike", () => {
    const pairs = Array.from({ length: 400 }, (_, seed) => {
      const pool = poolOf([daemon("a", { slots: 2 }), daemon("b", { slots: 2 })], seed);
      for (const name of ["1", "2"]) pool.enqueue(job(name, { lane: "included" }));
      return served(pool).join("");
    });
    const part = (matches: (pair: string) => boolean) => pairs.filter(matches).length / pairs.length;
    expect(part((pair) => pair.startsWith("a"))).toBeCloseTo(0.5, 0.8);
    // The other one weighs 2 to 1, and the better of two draws is the same one only where both name it: 1/9 of all, and
    // a half of the twentieth that is drawn among newcomers.
    expect(part((pair) => pair === "aa" || pair === "bb")).toBeGreaterThan(0.07);
    expect(part((pair) => pair === "aa" || pair === "bb")).toBeLessThan(0.21);
  });

  it("draws better daemons more often, and goes by what the last jobs have shown", () => {
    const pool = poolOf([daemon("good"), daemon("bad")]);
    const seen: string[] = [];
    for (let index = 0; index < 400; index++) {
      pool.enqueue(job(`${index}`, { lane: "included" }));
      const [dispatch] = pool.dispatch(START, () => index + 1);
      if (dispatch === undefined) throw new Error("nobody serves");
      const { daemon: name } = dispatch.daemon;
      seen.push(name);
      // The bad one fails every second job, and so comes near to a quarantine, but not into it.
      const fails = name === "bad" && seen.filter((each) => each === "bad").length % 2 === 0;
      pool.ended(dispatch.job.job, index + 1, null, START, { effect: fails ? "down" : "up", speed: null });
    }
    const late = seen.slice(100);
    expect(late.filter((name) => name === "bad").length / late.length).toBeLessThan(0.15);
  });

  it("gives nothing to a daemon in quarantine until its probes are passed, and counts it in no median or slot", () => {
    const pool = poolOf([daemon("a"), daemon("b")]);
    pool.enqueue(job("1", { only: ["a"] }));
    expect(served(pool)).toEqual(["a"]);
    pool.ended(id("1"), 1, null, START, { effect: "failed_verification", speed: null });
    expect(pool.load("public").slots).toBe(1);
    for (const name of ["2", "3"]) pool.enqueue(job(name));
    expect(served(pool)).toEqual(["b"]);
    for (const hour of [1, 2, 3]) pool.probed("a" as DaemonId, "passed", START + hour * 3_600_000);
    expect(pool.load("public").slots).toBe(2);
    expect(served(pool)).toEqual(["a"]);
  });

  it("refuses a job that waits for a daemon which goes into quarantine, and says so", () => {
    const pool = poolOf([daemon("a")]);
    pool.enqueue(job("1"));
    pool.enqueue(job("2"));
    expect(served(pool)).toEqual(["a"]);
    pool.ended(id("1"), 1, null, START, { effect: "failed_verification", speed: null });
    const [rejection] = pool.rejections(START + LIMITS.emptyPoolMs);
    expect(rejection?.refusal).toMatchObject({ code: "no_provider", metadata: { passed_over: ["quarantined"] } });
  });

  it("takes the speeds that it has measured into the floor, and looks again who may serve", () => {
    const pool = poolOf([daemon("a")]);
    // At 10 tokens/s instead of 50 power costs 152,000 nanoUSD for 1,000 tokens, where the job pays 80,000.
    for (let index = 1; index <= 5; index++) {
      pool.enqueue(job(`${index}`, { lane: "included" }));
      pool.dispatch(START, () => index);
      pool.ended(id(`${index}`), index, null, START, { effect: "up", speed: { decode: 10, prefill: null } });
    }
    pool.enqueue(job("late", { lane: "included" }));
    expect(served(pool)).toEqual([]);
    expect(codes(pool, START + LIMITS.emptyPoolMs)).toEqual(["no_bid"]);
  });

  it("hears once how a job ended, and of one that was lost nothing", () => {
    const pool = poolOf([daemon("a")]);
    pool.enqueue(job("1"));
    pool.dispatch(START, () => 7);
    const failed = { effect: "failed_verification", speed: null } as const;
    pool.ended(id("1"), 6, null, START, failed);
    pool.ended(id("1"), 7, null, START);
    pool.ended(id("1"), 7, null, START, failed);
    pool.enqueue(job("2"));
    expect(served(pool)).toEqual(["a"]);
  });

  it("prefers a daemon that has the model in memory", () => {
    const pool = poolOf([daemon("cold", { loaded: false }), daemon("warm")]);
    pool.enqueue(job("1", { lane: "included" }));
    pool.enqueue(job("2", { lane: "included" }));
    expect(served(pool)).toEqual(["warm", "cold"]);
  });

  it("passes over a job that nobody free can serve, and never oversells a slot", () => {
    const pool = poolOf([daemon("a", { slots: 3 })]);
    pool.enqueue(job("stuck", { only: ["nobody"] }));
    for (let index = 0; index < 10; index++) pool.enqueue(job(`${index}`, { account: "other" }));
    expect(served(pool)).toEqual(["a", "a", "a"]);
    expect(served(pool)).toEqual([]);
    expect(pool.position(id("stuck"))).not.toBeNull();
  });
});

describe("leases", () => {
  it("frees the slot only for the fence that holds it", () => {
    const pool = poolOf([daemon("a")]);
    pool.enqueue(job("job"));
    const [dispatch] = pool.dispatch(START, () => 7);
    pool.enqueue(job("next"));
    pool.ended(id("job"), 6, null, START);
    expect(served(pool)).toEqual([]);
    pool.ended(id("job"), dispatch?.lease.fence ?? 0, null, START);
    expect(served(pool)).toEqual(["a"]);
  });

  it("lapses when no relay takes it up, and at the hold's end when one did", () => {
    const pool = poolOf([daemon("a", { slots: 2 })]);
    pool.enqueue(job("left"));
    pool.enqueue(job("taken"));
    const dispatches = pool.dispatch(START, fences());
    const taken = dispatches.find((dispatch) => dispatch.job.job === "taken");
    pool.running(running("taken", taken?.lease.fence ?? 0), START);
    expect(pool.nextDue(START)).toBe(START + LIMITS.leaseMs);
    expect(pool.lapsed(START + LIMITS.leaseMs - 1)).toEqual([]);
    expect(pool.lapsed(START + LIMITS.leaseMs).map((lease) => lease.job)).toEqual(["left"]);
    expect(pool.lapsed(START + 780_000).map((lease) => lease.job)).toEqual(["left", "taken"]);
  });

  it("adopts what a relay runs, so that a new start sells no slot twice", () => {
    const pool = poolOf([daemon("a")]);
    pool.running(running("old", 41), START);
    pool.enqueue(job("job"));
    expect(served(pool)).toEqual([]);
    expect(pool.leasesAt(id("old"))).toMatchObject([{ fence: 41, account: "consumer" }]);
    pool.ended(id("old"), 41, { prompt: 10, completion: 10 }, START);
    expect(served(pool)).toEqual(["a"]);
  });

  it("outlives its daemon's registration until its relay says how it ended", () => {
    const pool = poolOf([daemon("a")]);
    pool.enqueue(job("job"));
    const [dispatch] = pool.dispatch(START, fences());
    pool.register(daemon("a", { relay: "relay/1" }), START);
    pool.unregister("a" as DaemonId, "relay/0", START);
    expect(pool.daemons.size).toBe(1);
    pool.unregister("a" as DaemonId, "relay/1", START);
    expect(pool.daemons.size).toBe(0);
    pool.register(daemon("a"), START);
    pool.enqueue(job("next"));
    expect(served(pool)).toEqual([]);
    pool.ended(id("job"), dispatch?.lease.fence ?? 0, null, START);
    expect(served(pool)).toEqual(["a"]);
  });

  it("keeps no object awake while it runs", () => {
    const pool = poolOf([daemon("a")]);
    pool.enqueue(job("job"));
    const [dispatch] = pool.dispatch(START, fences());
    expect(pool.nextDue(START)).toBe(START + LIMITS.leaseMs);
    pool.running(running("job", dispatch?.lease.fence ?? 0), START);
    expect(pool.nextDue(START)).toBeNull();
  });

  it("lets nobody wait longer for a refusal while a lapsed one is looked into", () => {
    const pool = poolOf([daemon("a")]);
    pool.enqueue(job("lapses"));
    served(pool);
    pool.enqueue(job("hopeless", { only: ["nobody"], enqueuedAt: START + 100 }));
    const lapsedAt = START + LIMITS.leaseMs;
    expect(pool.lapsed(lapsedAt)).toMatchObject([{ job: "lapses" }]);
    expect(codes(pool, lapsedAt)).toEqual([]);
    expect(pool.nextDue(lapsedAt)).toBe(START + 100 + LIMITS.emptyPoolMs);
    expect(codes(pool, START + 100 + LIMITS.emptyPoolMs)).toHaveLength(1);
    expect(pool.nextDue(START + 100 + LIMITS.emptyPoolMs)).toBe(START + 100 + LIMITS.emptyPoolMs + LIMITS.leaseMs);
  });

  it("keeps running jobs when a daemon changes its offer", () => {
    const pool = poolOf([daemon("a")]);
    pool.enqueue(job("job"));
    served(pool);
    pool.register(daemon("a", { slots: 2 }), START);
    pool.enqueue(job("second"));
    pool.enqueue(job("third"));
    expect(served(pool)).toEqual(["a"]);
  });
});

describe("waiting", () => {
  it("gives an empty pool five seconds, and serves whoever waits as soon as a daemon comes", () => {
    const pool = poolOf();
    pool.enqueue(job("job"));
    expect(pool.nextDue(START)).toBe(START + LIMITS.emptyPoolMs);
    expect(codes(pool, START + LIMITS.emptyPoolMs - 1)).toEqual([]);
    pool.register(daemon("late"), START + LIMITS.emptyPoolMs - 1);
    expect(served(pool)).toEqual(["late"]);
  });

  it("refuses what nobody could serve once that time is over", () => {
    const pool = poolOf();
    pool.enqueue(job("job"));
    expect(codes(pool, START + LIMITS.emptyPoolMs)).toEqual(["no_provider"]);
    expect(pool.waiting).toBe(0);
    expect(pool.nextDue(START)).toBeNull();
  });

  it("names the lowest ask when only the price stands in the way", () => {
    const pool = poolOf([daemon("dear"), daemon("own", { provider: "consumer" as never })]);
    pool.enqueue(job("job", { lane: "included", rate: { completion: 1_000, prompt: 0, per: 1_000 } }));
    const [rejection] = pool.rejections(START + LIMITS.emptyPoolMs);
    expect(rejection?.refusal).toMatchObject({
      code: "no_bid",
      metadata: { lowest_ask: "0.000030400", max_price: "0.000001000" },
    });
  });

  it("says why it passed daemons over", () => {
    const pool = poolOf([daemon("usdc", { accepts: "usdc" }), daemon("draining", { draining: true })]);
    pool.enqueue(job("job"));
    const [rejection] = pool.rejections(START + LIMITS.emptyPoolMs);
    expect(rejection?.refusal).toMatchObject({
      code: "no_provider",
      metadata: { passed_over: ["usdc_only", "draining"] },
    });
  });

  it("refuses what waited for its lane's limit behind others", () => {
    const pool = poolOf([daemon("a")]);
    pool.enqueue(job("first"));
    served(pool);
    pool.enqueue(job("second", { waitUntil: START + 60_000 }));
    pool.enqueue(job("third", { waitUntil: START + 90_000 }));
    expect(codes(pool, START)).toEqual([]);
    expect(pool.nextDue(START)).toBe(START + LIMITS.leaseMs);
    expect(codes(pool, START + 59_999)).toEqual([]);
    expect(codes(pool, START + 60_000)).toEqual(["queue_timeout"]);
    expect(pool.position(id("third"))).toBe(1);
  });

  it("gives up a withdrawn job's place", () => {
    const pool = poolOf();
    for (const name of ["a", "b", "c"]) pool.enqueue(job(name));
    expect(pool.position(id("c"))).toBe(3);
    expect(pool.withdraw(id("a"), START)).toBe(true);
    expect(pool.withdraw(id("a"), START)).toBe(false);
    expect(pool.position(id("c"))).toBe(2);
    expect(pool.position(id("a"))).toBeNull();
  });

  it("takes a job that is asked for again once", () => {
    const pool = poolOf([daemon("a", { slots: 2 })]);
    pool.enqueue(job("job"));
    pool.enqueue(job("job"));
    expect(pool.waiting).toBe(1);
    const [first] = pool.dispatch(START, () => 1);
    pool.enqueue(job("job"));
    const [second] = pool.dispatch(START, () => 2);
    expect([first?.lease.fence, second?.lease.fence]).toEqual([1, 2]);
    pool.enqueue(job("other"));
    expect(served(pool)).toEqual(["a"]);
  });

  it("has a bound on how many wait", () => {
    const pool = poolOf();
    for (let index = 0; index < LIMITS.poolWaiting; index++) pool.enqueue(job(`${index}`));
    expect(pool.enqueue(job("one more"))).toMatchObject({ code: "queue_full" });
  });
});
