import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JobId } from "../../../core/ids.ts";
import { LIMITS } from "../../../core/limits.ts";
import { DrainRate } from "../../../core/scheduler/drain-rate.ts";
import type { Pool } from "../../../core/scheduler/pool.ts";
import type { WaitingJob } from "../../../core/scheduler/waiting-job.ts";
import { daemon, fences, job, poolOf, START } from "./support.ts";

const id = (name: string) => name as JobId;

describe("a drain rate", () => {
  it("is what is dispatched while jobs wait, for as many slots as there are now", () => {
    const rate = new DrainRate();
    rate.waitFor(4, START);
    for (let second = 1; second <= 60; second++) rate.dispatched(500, START + second * 1_000);
    const now = START + 60_000;
    const drain = rate.of(4, now);
    expect(drain?.jobs).toBeCloseTo(1, 1);
    expect((drain?.units ?? 0) / (drain?.jobs ?? 1)).toBeCloseTo(500);
    // Twice the slots take twice as much, as soon as they are there.
    expect(rate.of(8, now)?.jobs).toBeCloseTo(2, 1);
    expect(rate.of(0, now)).toBeNull();
  });

  it("is unknown until something was dispatched while jobs waited", () => {
    const rate = new DrainRate();
    rate.dispatched(500, START);
    expect(rate.of(1, START + 1_000)).toBeNull();
    rate.waitFor(1, START + 1_000);
    expect(rate.of(1, START + 9_000)).toBeNull();
    rate.dispatched(500, START + 11_000);
    expect(rate.of(1, START + 11_000)?.jobs).toBeCloseTo(0.1, 1);
  });

  it("stays as it is while nobody waits, and is less solid the older it is", () => {
    const rate = new DrainRate();
    rate.waitFor(1, START);
    for (let second = 1; second <= 30; second++) rate.dispatched(100, START + second * 1_000);
    const now = START + 30_000;
    rate.waitFor(0, now);
    const before = rate.of(1, now)?.jobs;
    expect(rate.isSolid(now)).toBe(true);
    expect(rate.of(1, now + 60_000)?.jobs).toBeCloseTo(before ?? 0);
    expect(rate.isSolid(now + 60_000)).toBe(false);
    expect(rate.of(1, now + 86_400_000)).toBeNull();
  });

  it("counts the last half minute as much as all before", () => {
    const rate = new DrainRate();
    rate.waitFor(1, START);
    // An hour of one a second, and then half a minute of three.
    for (let second = 1; second <= 3_600; second++) rate.dispatched(1, START + second * 1_000);
    const change = START + 3_600_000;
    for (let third = 1; third <= 90; third++) rate.dispatched(1, change + (third * 1_000) / 3);
    expect(rate.of(1, change + 30_000)?.jobs).toBeCloseTo(2, 1);
  });

  it("never gives a rate below zero or without end, whatever happens when", () => {
    const events = fc.array(fc.tuple(fc.nat({ max: 90_000 }), fc.constantFrom("wait", "rest", "dispatch", "back")));
    fc.assert(
      fc.property(events, (all) => {
        const rate = new DrainRate();
        let now = START;
        for (const [passed, event] of all) {
          now = event === "back" ? Math.max(0, now - passed) : now + passed;
          if (event === "dispatch") rate.dispatched(10, now);
          else rate.waitFor(event === "wait" ? 2 : 0, now);
          const known = rate.of(2, now);
          if (known === null) continue;
          expect(known.jobs).toBeGreaterThan(0);
          expect(Number.isFinite(known.units)).toBe(true);
        }
      }),
    );
  });
});

/** A pool of one slot that has served a job a second for half a minute, while `waiting` more wait. */
function busyPool(waiting: number): { pool: Pool; now: number; step: () => void } {
  const pool = poolOf([daemon("a")]);
  const next = fences();
  let now = START;
  let running: { job: JobId; fence: number } | null = null;
  let number = 0;
  const add = () => {
    const name = `busy ${number++}`;
    expect(pool.enqueue(job(name, { account: "busy", enqueuedAt: now, waitUntil: now + 600_000 }))).toBeNull();
  };
  const step = () => {
    now += 1_000;
    if (running !== null) pool.ended(running.job, running.fence, { prompt: 0, completion: 1_000 }, now);
    for (const { lease } of pool.dispatch(now, next)) running = { job: lease.job, fence: lease.fence };
  };
  for (let count = 0; count <= waiting; count++) add();
  for (let second = 0; second < 30; second++) {
    step();
    add();
  }
  return { pool, now, step };
}

const arriving = (now: number, name = "new", changes: Parameters<typeof job>[1] = {}): WaitingJob =>
  job(name, { enqueuedAt: now, waitUntil: now + 60_000, ...changes });

describe("an estimated wait", () => {
  it("is what goes before, at the pool's pace", () => {
    const { pool, now } = busyPool(20);
    // Its account is new here, so it goes next but for the one whose turn it is.
    pool.enqueue(arriving(now));
    expect(pool.outlook.etaMs(id("new"), now)).toBeLessThanOrEqual(3_000);
    pool.enqueue(arriving(now, "last", { account: "busy" }));
    const eta = pool.outlook.etaMs(id("last"), now) ?? 0;
    expect(eta).toBeGreaterThan(20_000);
    expect(eta).toBeLessThan(25_000);
    expect(pool.outlook.etaMs(id("nobody"), now)).toBeNull();
  });

  it("comes true", () => {
    const { pool, now, step } = busyPool(20);
    pool.enqueue(arriving(now, "mine", { account: "busy" }));
    const eta = pool.outlook.etaMs(id("mine"), now) ?? 0;
    let seconds = 0;
    for (; pool.position(id("mine")) !== null; seconds++) step();
    expect(Math.abs(eta / 1_000 - seconds)).toBeLessThanOrEqual(2);
  });

  it("is unknown while nothing was measured", () => {
    const pool = poolOf([daemon("a")]);
    for (const name of ["1", "2"]) pool.enqueue(job(name));
    pool.dispatch(START, fences());
    expect(pool.outlook.etaMs(id("2"), START + 5_000)).toBeNull();
  });

  it("counts what leaves the queue, and no second daemon beside the first", () => {
    const { pool, now } = busyPool(20);
    pool.enqueue(arriving(now, "last", { account: "busy" }));
    const eta = pool.outlook.etaMs(id("last"), now);
    // A daemon that the busy account's jobs do not fit, so that it stays free for a race.
    pool.register(daemon("b", { context: 500 }), now);
    const twice = pool.outlook.etaMs(id("last"), now) ?? 0;
    expect(twice).toBeLessThan(eta ?? 0);
    const raced = job(`busy 29`, { account: "busy", context: 500 });
    expect(pool.beside(raced, 1, now, () => 1_000)?.daemon.daemon).toBe("b");
    expect(pool.outlook.etaMs(id("last"), now)).toBe(twice);
  });

  it("does not take a few jobs that wait for a daemon of their own for the pace of the pool", () => {
    const pool = poolOf([daemon("a", { slots: 4 }), daemon("b", { slots: 4 })]);
    const next = fences();
    pool.enqueue(arriving(START, "stuck", { only: ["nobody"] }));
    for (let second = 0; second < 30; second++) {
      const now = START + second * 1_000;
      pool.enqueue(arriving(now, `${second}`));
      for (const { lease } of pool.dispatch(now, next)) pool.ended(lease.job, lease.fence, null, now);
    }
    expect(pool.outlook.etaMs(id("stuck"), START + 30_000)).toBeNull();
  });
});

describe("a job that would wait far longer than it may", () => {
  it("is refused at once, and told when to come again", () => {
    const { pool, now } = busyPool(130);
    const late = arriving(now, "late", { account: "busy" });
    const refusal = pool.enqueue(late);
    expect(refusal).toMatchObject({ code: "queue_full", metadata: { waiting: 131, limit_ms: 60_000 } });
    expect(refusal?.metadata?.["eta_ms"]).toBeGreaterThan(120_000);
    expect(pool.position(id("late"))).toBeNull();
    // Until a minute's work is left.
    const seconds = pool.outlook.retryAfterSeconds(refusal as never, late, now) ?? 0;
    expect(seconds).toBeGreaterThan(68);
    expect(seconds).toBeLessThan(78);
  });

  it("may wait where its estimate is no more than twice its limit, and where its account's turn comes soon", () => {
    const { pool, now } = busyPool(110);
    expect(pool.enqueue(arriving(now, "within", { account: "busy" }))).toBeNull();
    const { pool: longer, now: then } = busyPool(200);
    expect(longer.enqueue(arriving(then, "other"))).toBeNull();
  });

  it("is not refused for a pace that is not solid, nor where a free daemon can serve it", () => {
    const { pool, now } = busyPool(300);
    pool.register(daemon("b", { context: 2_000 }), now);
    expect(pool.enqueue(arriving(now, "late", { account: "busy", context: 4_000 }))?.code).toBe("queue_full");
    expect(pool.enqueue(arriving(now, "free", { account: "busy" }))).toBeNull();
    const slow = poolOf([daemon("a")]);
    const next = fences();
    for (let count = 0; count < 100; count++) slow.enqueue(arriving(START, `${count}`, { account: "busy" }));
    const [first] = slow.dispatch(START, next);
    slow.ended(id(first?.job.job ?? ""), first?.lease.fence ?? 0, null, START + 10_000);
    slow.dispatch(START + 10_000, next);
    expect(slow.outlook.etaMs(id("99"), START + 10_000)).toBeGreaterThan(500_000);
    expect(slow.enqueue(arriving(START + 10_000, "late", { account: "busy" }))).toBeNull();
  });
});

describe("Retry-After", () => {
  const retry = (pool: Pool, code: string, now: number) =>
    pool.outlook.retryAfterSeconds({ code, message: "" } as never, arriving(now, "again", { account: "busy" }), now);

  it("is the time until what waits is served within the limit, for one that waited in vain", () => {
    const { pool, now } = busyPool(100);
    const seconds = retry(pool, "queue_timeout", now) ?? 0;
    expect(seconds).toBeGreaterThan(38);
    expect(seconds).toBeLessThan(48);
  });

  it("is at least a second, and at most five minutes", () => {
    const { pool, now } = busyPool(10);
    expect(retry(pool, "queue_timeout", now)).toBe(LIMITS.retryAfterLeastSeconds);
    const crowded = busyPool(119);
    // The same work takes ten times as long on a pool with a tenth of its slots; here it is estimated ten times as long.
    const long = { estimate: { prompt: 0, completion: 400_000 } };
    expect(crowded.pool.enqueue(arriving(crowded.now, "long", long))).toBeNull();
    expect(retry(crowded.pool, "queue_timeout", crowded.now)).toBe(LIMITS.retryAfterMostSeconds);
  });

  it("is five seconds where no pace is known, and where nobody is there", () => {
    const pool = poolOf([daemon("a")]);
    for (const code of ["queue_full", "queue_timeout", "no_provider"]) expect(retry(pool, code, START)).toBe(5);
    expect(retry(busyPool(50).pool, "no_provider", START)).toBe(5);
  });

  it("is left out where time changes nothing", () => {
    for (const code of ["no_bid", "unsupported_parameter", "provider_failed", "cancelled"]) {
      expect(retry(poolOf([daemon("a")]), code, START), code).toBeNull();
    }
  });
});

it("takes no more jobs than a pool may hold, and lets one that asks again keep its place among them", () => {
  const pool = poolOf();
  for (let count = 0; count < LIMITS.poolWaiting; count++) pool.enqueue(job(`${count}`));
  expect(pool.enqueue(job("more"))).toMatchObject({ code: "queue_full", metadata: { eta_ms: null } });
  expect(pool.enqueue(job("7"))).toBeNull();
  expect(pool.waiting).toBe(LIMITS.poolWaiting);
});
