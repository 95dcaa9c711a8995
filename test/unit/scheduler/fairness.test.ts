import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Lane } from "../../../core/lanes.ts";
import type { Pool } from "../../../core/scheduler/pool.ts";
import { daemon, fences, job, order, poolOf, START } from "./support.ts";

function flood(pool: Pool, account: string, count: number, lane: Lane = "public", completion = 1_000): void {
  for (let index = 0; index < count; index++) {
    pool.enqueue(job(`${account} ${lane} ${index}`, { account, lane, estimate: { prompt: 0, completion } }));
  }
}

describe("between accounts", () => {
  it("gives every second slot to the account that another one flooded", () => {
    const pool = poolOf([daemon("one")]);
    flood(pool, "flood", 50);
    flood(pool, "small", 10);
    const accounts = order(pool).map(({ account }) => account);
    for (let pair = 0; pair < 10; pair++) {
      expect(accounts.slice(2 * pair, 2 * pair + 2).toSorted()).toEqual(["flood", "small"]);
    }
    expect(accounts.slice(20)).toEqual(Array.from({ length: 40 }, () => "flood"));
  });

  it("counts tokens and not jobs", () => {
    const pool = poolOf([daemon("one")]);
    flood(pool, "large", 50, "public", 1_000);
    flood(pool, "small", 50, "public", 250);
    const first = order(pool, 25).map(({ account }) => account);
    expect(first.filter((account) => account === "large")).toHaveLength(5);
  });

  it("keeps an account's own jobs in order", () => {
    const pool = poolOf([daemon("one")]);
    flood(pool, "a", 20);
    expect(order(pool).map(({ job: id }) => id)).toEqual(Array.from({ length: 20 }, (_, index) => `a public ${index}`));
  });

  it("gives nothing for having been away", () => {
    const pool = poolOf([daemon("one")]);
    flood(pool, "busy", 30);
    order(pool, 20);
    flood(pool, "late", 30);
    const next = order(pool, 10).map(({ account }) => account);
    expect(next.filter((account) => account === "late")).toHaveLength(5);
  });

  it("gives back the turn of a job that was declined, lost or moved", () => {
    for (const how of ["declined", "lost", "moved"] as const) {
      const pool = poolOf([daemon("one"), daemon("two", { slots: 1 })]);
      const next = fences();
      pool.enqueue(job("first", { account: "a", estimate: { prompt: 0, completion: 1_000_000 } }));
      const [dispatch] = pool.dispatch(START, next);
      if (how === "lost") pool.unregister(dispatch?.daemon.daemon ?? ("" as never), "relay/0", START);
      if (how !== "moved") pool.ended("first" as never, dispatch?.lease.fence ?? 0, null, START);
      if (how === "moved") {
        pool.enqueue(job("first", { account: "a", estimate: { prompt: 0, completion: 1_000 } }));
        pool.dispatch(START, next);
      }
      flood(pool, "b", 4);
      flood(pool, "a", 4);
      const accounts = order(pool, 4).map(({ account }) => account);
      expect(
        accounts.filter((account) => account === "a"),
        how,
        // The one that moved has its second attempt charged.
      ).toHaveLength(how === "moved" ? 1 : 2);
    }
  });

  it("lets two accounts that always have work differ by two of the largest charges at most", () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 4_096 }), { minLength: 30, maxLength: 30 });
    fc.assert(
      fc.property(sizes, sizes, (left, right) => {
        const pool = poolOf([daemon("one")]);
        for (const [account, all] of Object.entries({ left, right })) {
          for (const [index, completion] of all.entries()) {
            pool.enqueue(job(`${account} ${index}`, { account, estimate: { prompt: 0, completion } }));
          }
        }
        const served = { left: 0, right: 0 };
        const largest = Math.max(...left, ...right);
        const waiting = { left: 30, right: 30 };
        for (const { account, estimate } of order(pool)) {
          const name = account as "left" | "right";
          served[name] += estimate.completion;
          waiting[name] -= 1;
          if (waiting.left === 0 || waiting.right === 0) break;
          expect(Math.abs(served.left - served.right)).toBeLessThanOrEqual(2 * largest);
        }
      }),
    );
  });
});

describe("between lanes", () => {
  it("shares by weight: private 70 to 30, and inside open 15, 30, 50 and 5", () => {
    const pool = poolOf([daemon("one")]);
    const lanes = ["private", "included", "dedicated", "public", "league"] as const;
    for (const lane of lanes) flood(pool, lane, 1_000, lane);
    const served = order(pool, 1_000);
    const share = (lane: Lane) => served.filter(({ flow }) => flow?.lane === lane).length;
    // Weights of 1,000 dispatches of one size, ± one of them (economics.md §8).
    const weights = { private: 700, included: 45, dedicated: 90, public: 150, league: 15 };
    for (const lane of lanes) expect(Math.abs(share(lane) - weights[lane]), lane).toBeLessThanOrEqual(1);
  });

  it("leaves nothing idle that somebody could use", () => {
    const pool = poolOf([daemon("one")]);
    flood(pool, "a", 20, "league");
    expect(order(pool)).toHaveLength(20);
  });
});
