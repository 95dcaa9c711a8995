import { describe, expect, it } from "vitest";
import type { DaemonId } from "../../../core/ids.ts";
import { LIMITS } from "../../../core/limits.ts";
import type { Standing } from "../../../core/routing/standing.ts";
import type { Daemon } from "../../../core/scheduler/daemon.ts";
import { PassedOver } from "../../../core/scheduler/passed-over.ts";
import { type BasisPoints, nanoUsd } from "../../../core/units.ts";
import { daemon, fences, poolOf, job as publicJob, START } from "./support.ts";

/** A job at a fixed price: in an auction the reason is what was asked. */
const job = (name: string, changes: Parameters<typeof publicJob>[1] = {}) =>
  publicJob(name, { lane: "included", ...changes });

const HOUR = LIMITS.whyBuckets * LIMITS.whyBucketMs;
const why = (pool: ReturnType<typeof poolOf>, name: string, now = START) => pool.passedOver.of(name as DaemonId, now);

/** Decides about jobs that come so far apart that each is looked into; each ends before the next. */
function decide(pool: ReturnType<typeof poolOf>, count: number, changes: Parameters<typeof job>[1] = {}, from = START) {
  const next = fences();
  for (let index = 0; index < count; index++) {
    const now = from + index * LIMITS.whySampleMs;
    pool.enqueue(job(`${now}`, { enqueuedAt: now, waitUntil: now + 60_000, ...changes }));
    for (const { lease } of pool.dispatch(now, next)) pool.ended(lease.job, lease.fence, null, now);
    pool.withdraw(`${now}` as never, now);
  }
}

describe("why a daemon gets no jobs", () => {
  it.each([
    ["own", { provider: "consumer" as never }, {}],
    ["draining", { draining: true }, {}],
    ["not_chosen", {}, { ignore: ["a"] }],
    ["quantization", {}, { quantizations: ["q8"] }],
    ["context", {}, { context: 9_000 }],
    ["feature", { features: [] }, { features: [{ feature: "tools", param: "tools" }] }],
    ["usdc_only", { accepts: "usdc" as const }, {}],
    ["failed_before", {}, { excluded: ["a" as DaemonId] }],
    ["not_loaded", { loaded: false }, {}],
    ["not_member", {}, { lane: "private" as const, network: "n" as never }],
    [
      "payee_cap",
      {},
      { lane: "included" as const, allotment: { granted: nanoUsd(10), paid: [["owner of a", nanoUsd(9)] as const] } },
    ],
  ])("is %s", (reason, offer, changes) => {
    const other = daemon("0", { quantization: "q8", context: 32_768, networks: ["n" as never] });
    const pool = poolOf([other, daemon("a", offer)]);
    decide(pool, 1, changes);
    expect(why(pool, "a").passedOver).toEqual([{ reason, count: 1, over: null }]);
    expect(why(pool, "0")).toMatchObject({ chosen: 1, decisions: 1, passedOver: [] });
  });

  it("is that its power costs more than the job pays, by as much", () => {
    // A floor of 30,400 for 1,000 tokens that are written, and a tenth of it for those that are read.
    const pool = poolOf([daemon("a")]);
    for (const [index, completion] of [30_000, 20_000, 25_000].entries()) {
      const rate = { completion, prompt: 10_000, per: 1_000 };
      decide(pool, 1, { rate }, START + index * LIMITS.whySampleMs);
    }
    const over = { least: 400, most: 10_400 };
    expect(why(pool, "a").passedOver).toEqual([{ reason: "floor", count: 3, over }]);
    const free = poolOf([daemon("a")]);
    decide(free, 1, { lane: "dedicated", rate: { completion: 80_000, prompt: 0, per: 1_000 } });
    expect(why(free, "a").passedOver).toEqual([{ reason: "floor", count: 1, over: { least: 3_040, most: 3_040 } }]);
  });

  it("is that it is full, while others are not", () => {
    const pool = poolOf([daemon("a"), daemon("b")]);
    const next = fences();
    const chosen = ["1", "2"].map((name, index) => {
      pool.enqueue(job(name));
      return pool.dispatch(START + index * LIMITS.whySampleMs, next)[0]?.daemon.daemon ?? "";
    });
    const [first = "", second = ""] = chosen;
    expect(why(pool, first)).toMatchObject({ chosen: 1, passedOver: [{ reason: "full", count: 1 }] });
    expect(why(pool, second)).toMatchObject({ chosen: 1, passedOver: [{ reason: "not_drawn", count: 1 }] });
  });

  it.each([
    ["quarantined", { quarantined: true }],
    ["score", { reliability: 0.5, quality: 0.7, tokensPerSecond: 10 }],
    ["slower", { reliability: 0.5, quality: 0.75, tokensPerSecond: 40 }],
    ["not_drawn", { reliability: 0.5, quality: 0.75, tokensPerSecond: 46 }],
  ])("is %s beside another one", (reason, changes) => {
    const standing = { reliability: 0.5, quality: 0.81, tokensPerSecond: 50, newcomer: false, quarantined: false };
    const [chosen, other] = [made("0", standing), made("a", { ...standing, ...changes })];
    const passedOver = new PassedOver(2_000 as BasisPoints);
    passedOver.sample([chosen, other], job("j"), chosen, START);
    expect(passedOver.of(other.daemon, START).passedOver).toEqual([{ reason, count: 1, over: null }]);
  });
});

const made = (name: string, standing: Standing): Daemon => ({
  ...daemon(name),
  standing,
  running: new Set(),
  idleSince: START,
});

it("looks into one decision in a quarter of a second, however many there are", () => {
  const pool = poolOf([daemon("a", { slots: 1_000 })]);
  for (let count = 0; count < 1_000; count++) pool.enqueue(job(`${count}`));
  pool.dispatch(START, fences());
  expect(why(pool, "a").decisions).toBe(1);
});

it("counts for an hour, by steps, and says since when", () => {
  const pool = poolOf([daemon("a")]);
  decide(pool, 4);
  decide(pool, 2, { context: 9_000 }, START + HOUR / 2);
  expect(why(pool, "a", START + HOUR / 2)).toEqual({
    since: START,
    decisions: 6,
    chosen: 4,
    passedOver: [{ reason: "context", count: 2, over: null }],
  });
  expect(why(pool, "a", START + HOUR)).toMatchObject({ since: START, decisions: 2, chosen: 0 });
  expect(why(pool, "a", START + 2 * HOUR)).toEqual({ since: START + HOUR, decisions: 0, chosen: 0, passedOver: [] });
  // Nothing older is kept, however long it goes on.
  for (let step = 0; step < 40; step++) decide(pool, 1, {}, START + 2 * HOUR + step * LIMITS.whyBucketMs);
  expect(why(pool, "a", START + 2 * HOUR + 39 * LIMITS.whyBucketMs).decisions).toBe(LIMITS.whyBuckets);
});

it("has nothing to say of a daemon that was not there", () => {
  expect(why(poolOf([daemon("a")]), "b")).toEqual({ since: START, decisions: 0, chosen: 0, passedOver: [] });
});

it("says of an auction that another one asked less", () => {
  const pool = poolOf([daemon("dear", { margin: 20_000 as BasisPoints }), daemon("cheap")]);
  pool.enqueue(publicJob("job"));
  pool.dispatch(START, fences());
  expect(pool.passedOver.of("dear" as DaemonId, START).passedOver).toEqual([{ reason: "ask", count: 1, over: null }]);
});
