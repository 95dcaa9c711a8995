import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Bidder, defaultMaximum, holdAuction, lowestAsk } from "../../../core/auction/auction.ts";
import { demandOf } from "../../../core/auction/demand.ts";
import { Draws, drawCommitment, drawDay, drawSecret } from "../../../core/auction/draw.ts";
import { recomputeAuction, recordAuction } from "../../../core/auction/record.ts";
import { itemAt } from "../../../core/auction/sorted.ts";
import { askAt } from "../../../core/auction/standing.ts";
import { LIMITS } from "../../../core/limits.ts";
import { basisPoints, nanoUsd } from "../../../core/units.ts";
import { bidder, bookOf, jobOf, parameters, powerOf } from "./support.ts";

const secret = drawSecret(new Uint8Array(32).fill(7), 20_782);
const draws = new Draws(secret, 20_782);
const anyone = () => true;
const isDrawn = (number: number) => draws.of(jobOf(number)).isDrawn(basisPoints(parameters.newcomerShareBasisPoints));
const firstJob = (drawn: boolean) => {
  for (let number = 0; ; number++) if (isDrawn(number) === drawn) return number;
};

interface Terms {
  readonly job?: number;
  readonly max?: number;
  readonly demand?: number;
  readonly isEligible?: (bidder: Bidder) => boolean;
  readonly isFree?: (bidder: Bidder) => boolean;
}

function hold(
  bidders: readonly Bidder[],
  { job = firstJob(false), max = 1e9, demand = 10_000, isEligible = anyone, isFree = anyone }: Terms = {},
) {
  const question = { job: jobOf(job), max: nanoUsd(max), demand: basisPoints(demand) };
  const auction = holdAuction(question, bookOf(bidders, isFree), isEligible, draws, parameters);
  if (auction === null) return null;
  const { winner, winningAsk, secondAsk, draw, considered } = auction;
  return {
    winner: winner.daemon,
    asks: [winningAsk, secondAsk],
    drawn: draw?.drawn ?? null,
    among: draw?.among.map(({ daemon }) => daemon),
    considered: considered.map(({ daemon }) => daemon),
  };
}

describe("the lowest ask wins (economics.md §4)", () => {
  it("and is paid its own ask; the second one is told", () => {
    const bidders = [bidder("a", { floor: 3_000 }), bidder("b", { floor: 1_000 }), bidder("c", { floor: 2_000 })];
    expect(hold(bidders)).toMatchObject({ winner: "b", asks: [1_100, 2_200] });
    expect(hold(bidders, { demand: 15_000 })).toMatchObject({ winner: "b", asks: [1_650, 3_300] });
  });

  it("among those that may serve the job and have a free slot", () => {
    const bidders = [bidder("a", { floor: 1_000 }), bidder("b", { floor: 2_000 }), bidder("c", { floor: 3_000 })];
    expect(hold(bidders, { isEligible: ({ daemon }) => daemon !== "a" })).toMatchObject({
      winner: "b",
      asks: [2_200, 3_300],
    });
    expect(hold(bidders, { isFree: ({ daemon }) => daemon !== "a" })).toMatchObject({ winner: "b" });
    expect(hold(bidders, { isFree: ({ daemon }) => daemon === "c" })).toMatchObject({
      winner: "c",
      asks: [3_300, null],
    });
    expect(hold(bidders, { isEligible: () => false })).toBe(null);
    expect(hold([])).toBe(null);
  });

  it("at or under the job's maximum", () => {
    const bidders = [bidder("a", { floor: 1_000 }), bidder("b", { floor: 2_000 })];
    expect(hold(bidders, { max: 1_100 })).toMatchObject({ winner: "a", asks: [1_100, 2_200] });
    expect(hold(bidders, { max: 1_099 })).toBe(null);
    expect(hold(bidders, { max: 1_100, demand: 10_001 })).toBe(null);
  });

  it("counts a provider's own margin", () => {
    expect(hold([bidder("a", { floor: 1_000, margin: 30_000 }), bidder("b", { floor: 2_000 })])).toMatchObject({
      winner: "b",
      asks: [2_200, 3_000],
    });
  });
});

describe("equal asks", () => {
  it("go to the higher quality, then to who has been idle longest, then to the lower id", () => {
    const tied = [
      bidder("a", { quality: 10, idleSince: 1 }),
      bidder("b", { quality: 12, idleSince: 9 }),
      bidder("c", { quality: 12, idleSince: 5 }),
      bidder("d", { quality: 12, idleSince: 5 }),
    ];
    expect(hold(tied)).toMatchObject({ winner: "c", asks: [1_100, 1_100] });
    expect(hold(tied.slice(0, 2))).toMatchObject({ winner: "b" });
    expect(hold([bidder("x", { idleSince: 2 }), bidder("y", { idleSince: 1 })])).toMatchObject({ winner: "y" });
    expect(hold([bidder("x", { running: 1 }), bidder("y", { idleSince: 9 })])).toMatchObject({ winner: "y" });
  });

  it("are equal as they are paid: prices that round up to the same nanoUSD tie", () => {
    const finer = {
      ...powerOf(1_000),
      watts: 3_000,
      decode_millitokens_per_second: 1_000_001,
      prefill_millitokens_per_second: 1e9,
    };
    const bidders = [bidder("a", { power: finer, quality: 8 }), bidder("b", { quality: 9 })];
    expect(hold(bidders)).toMatchObject({ winner: "b", asks: [1_100, 1_100] });
    expect(hold([...bidders, bidder("c", { floor: 1_001, quality: 20 })])).toMatchObject({ winner: "b" });
    const finest = { ...finer, decode_millitokens_per_second: 1_000_002 };
    expect(hold([...bidders, bidder("d", { power: finest, quality: 7 })])).toMatchObject({ winner: "b" });
  });
});

describe("newcomers", () => {
  const old = bidder("old", { floor: 1_000 });
  const near = (daemon: string, floor = 1_250) => bidder(daemon, { floor, newcomer: true });

  it("are drawn in 5 % of the auctions in which they could be", () => {
    const bidders = [old, near("new")];
    const won = Array.from({ length: 20_000 }, (_, job) => hold(bidders, { job })?.winner).filter((id) => id === "new");
    // Four standard deviations of 20,000 draws with a chance of 0.05.
    expect(Math.abs(won.length - 1_000)).toBeLessThan(4 * Math.sqrt(20_000 * 0.05 * 0.95));
  });

  it("within 1.25 times the lowest ask and the job's maximum", () => {
    const job = firstJob(true);
    expect(hold([old, near("new")], { job })).toMatchObject({ winner: "new", asks: [1_375, 1_100], drawn: true });
    expect(hold([old, near("new", 1_251)], { job })).toMatchObject({
      winner: "old",
      asks: [1_100, 1_377],
      drawn: null,
    });
    expect(hold([old, near("new")], { job, max: 1_374 })).toMatchObject({ winner: "old", drawn: null });
    expect(hold([old, near("new")], { job: firstJob(false) })).toMatchObject({ winner: "old", drawn: false });
  });

  it("each as often as another", () => {
    const bidders = [old, ...["p", "q", "r"].map((id) => near(id))];
    const wins = new Map<string, number>();
    for (let job = 0; job < 30_000; job++) {
      const winner = isDrawn(job) ? (hold(bidders, { job })?.winner ?? "") : "";
      wins.set(winner, (wins.get(winner) ?? 0) + 1);
    }
    wins.delete("");
    const drawn = [...wins.values()].reduce((a, b) => a + b, 0);
    expect([...wins.keys()].sort()).toEqual(["p", "q", "r"]);
    for (const count of wins.values()) expect(Math.abs(count - drawn / 3)).toBeLessThan(4 * Math.sqrt((drawn * 2) / 9));
  });

  it("are not drawn where none could be, and no hash is made", () => {
    const never = { day: 1, of: () => expect.unreachable() };
    const question = { job: jobOf(1), max: nanoUsd(1e6), demand: basisPoints(10_000) };
    const book = bookOf([old, near("far", 2_000), near("own", 1_000)]);
    const auction = holdAuction(question, book, ({ daemon }) => daemon !== "own", never, parameters);
    expect(auction).toMatchObject({ winner: { daemon: "old" }, draw: null });
  });

  it("of very many take part with the lowest asks, of equal ones those who wait longest", () => {
    const many = Array.from({ length: 100 }, (_, number) =>
      bidder(`n${String(number).padStart(3, "0")}`, { floor: 1_100, newcomer: true, idleSince: 100 - number }),
    );
    const job = firstJob(true);
    const { among, considered } = hold([old, ...many], { job }) ?? {};
    expect(among).toEqual(many.slice(-LIMITS.auctionNewcomers).map(({ daemon }) => daemon));
    expect(considered?.length).toBeLessThanOrEqual(LIMITS.auctionAsks);
  });
});

describe("what a job pays at most", () => {
  it("is the formula's price where an ask is within it", () => {
    const bidders = [bidder("a", { floor: 1_000, margin: 90_000 }), bidder("b", { floor: 2_000 })];
    expect(defaultMaximum(nanoUsd(80_000), bookOf(bidders).all, anyone, parameters)).toBe(80_000);
    expect(defaultMaximum(nanoUsd(80_000), [], anyone, parameters)).toBe(80_000);
  });

  it("is the lowest eligible floor · 1.1 where the formula pays nobody's power", () => {
    const { all } = bookOf([
      bidder("a", { floor: 1_000, margin: 90_000 }),
      bidder("b", { floor: 2_000 }),
      bidder("c", { floor: 800, margin: 95_000 }),
    ]);
    expect(defaultMaximum(nanoUsd(500), all, anyone, parameters)).toBe(880);
    expect(defaultMaximum(nanoUsd(500), all, ({ daemon }) => daemon !== "c", parameters)).toBe(1_100);
    expect(defaultMaximum(nanoUsd(500), all, ({ daemon }) => daemon === "b", parameters)).toBe(2_200);
  });

  it("meets the lowest ask of those who may serve it, busy or not", () => {
    const { all } = bookOf([bidder("a"), bidder("b", { floor: 2_000 })], () => false);
    expect(lowestAsk(all, anyone, basisPoints(20_000))).toBe(2_200);
    expect(lowestAsk(all, ({ daemon }) => daemon === "b", basisPoints(20_000))).toBe(4_400);
    expect(lowestAsk(all, () => false, basisPoints(20_000))).toBe(null);
  });
});

describe("the day's secret", () => {
  it("follows from the network's root and the day, and is committed to by its hash", () => {
    const root = new Uint8Array(32).fill(1);
    expect(drawSecret(root, 1)).toEqual(drawSecret(root, 1));
    expect(drawSecret(root, 1)).not.toEqual(drawSecret(root, 2));
    expect(drawSecret(new Uint8Array(32), 1)).not.toEqual(drawSecret(root, 1));
    expect(drawCommitment(drawSecret(root, 1))).toMatch(/^[0-9a-f]{64}$/);
    expect(drawDay(Date.UTC(2026, 10, 25, 23, 59, 59, 999))).toBe(20_782);
    expect(drawDay(Date.UTC(2026, 10, 26))).toBe(20_783);
  });
});

describe("any auction", () => {
  const bidders = fc.uniqueArray(
    fc.record({
      id: fc.integer({ min: 0, max: 99 }),
      floor: fc.integer({ min: 0, max: 40 }),
      margin: fc.option(fc.integer({ min: 10_000, max: 14_000 })),
      quality: fc.integer({ min: 8, max: 10 }),
      running: fc.integer({ min: 0, max: 1 }),
      idleSince: fc.integer({ min: 0, max: 3 }),
      newcomer: fc.boolean(),
      eligible: fc.boolean(),
      free: fc.boolean(),
    }),
    { selector: ({ id }) => id, maxLength: 60 },
  );
  const situation = fc.record({
    bidders,
    job: fc.integer({ min: 0, max: 200 }),
    max: fc.integer({ min: 0, max: 60 }),
    slots: fc.integer({ min: 1, max: 10 }),
    running: fc.integer({ min: 0, max: 10 }),
    seed: fc.integer({ min: 0, max: 1_000 }),
  });
  type Situation = typeof situation extends fc.Arbitrary<infer S> ? S : never;

  function play({ bidders: told, job, max, slots, running }: Situation, order: readonly number[]) {
    const made = told.map(({ id, ...rest }) => bidder(`d${String(id).padStart(2, "0")}`, rest));
    const marks = new Map(made.map(({ daemon }, index) => [daemon, told[index]]));
    const book = bookOf(
      order.map((index) => itemAt(made, index)),
      ({ daemon }) => marks.get(daemon)?.free === true,
    );
    const load = { slots, running, queued: 0 };
    const demand = demandOf(load, parameters);
    if (demand === null) throw new Error("a pool with slots has a demand");
    const question = { job: jobOf(job), max: nanoUsd(max), demand };
    const isEligible = ({ daemon }: Bidder) => marks.get(daemon)?.eligible === true;
    const auction = holdAuction(question, book, isEligible, draws, parameters);
    const rivals = made.filter((each) => isEligible(each) && marks.get(each.daemon)?.free === true);
    return { auction, rivals, question, load };
  }
  const inTurn = ({ bidders: told }: Situation) => told.map((_, index) => index);
  const shuffled = (situation: Situation) => {
    const key = (index: number) => ((index + 1) * 7_919 * (situation.seed + 1)) % 10_007;
    return inTurn(situation).sort((a, b) => key(a) - key(b) || a - b);
  };

  it("has the same outcome in whatever order the asks came", () => {
    fc.assert(
      fc.property(situation, (each) => {
        expect(play(each, shuffled(each)).auction).toEqual(play(each, inTurn(each)).auction);
      }),
    );
  });

  it("is won by the lowest ask, unless a newcomer was drawn, who asks at most 1.25 times that", () => {
    fc.assert(
      fc.property(situation, (each) => {
        const { auction, rivals, question } = play(each, inTurn(each));
        const ask = (rival: Bidder) => askAt(rival.standing, question.demand);
        const lowest = Math.min(...rivals.map(ask));
        if (auction === null) {
          expect(lowest).toBeGreaterThan(question.max);
          return;
        }
        const { winner, winningAsk, secondAsk, draw } = auction;
        expect(winningAsk).toBe(ask(winner));
        expect(winningAsk).toBeLessThanOrEqual(question.max);
        const others = rivals.filter(({ daemon }) => daemon !== winner.daemon).map(ask);
        expect(secondAsk).toBe(others.length === 0 ? null : Math.min(...others));
        const could = rivals.filter(
          (rival) => rival.newcomer && ask(rival) * 4 <= lowest * 5 && ask(rival) <= question.max,
        );
        expect(draw === null).toBe(could.length === 0);
        if (draw?.drawn === true) {
          expect(could.map(({ daemon }) => daemon)).toContain(winner.daemon);
          return;
        }
        expect(winningAsk).toBe(lowest);
        const tied = rivals.filter((rival) => ask(rival) === lowest);
        const best = tied.toSorted(
          (a, b) =>
            b.quality - a.quality ||
            a.running - b.running ||
            a.idleSince - b.idleSince ||
            (a.daemon < b.daemon ? -1 : 1),
        );
        expect(winner.daemon).toBe(best[0]?.daemon);
      }),
      { numRuns: 1_000 },
    );
  });

  it("is recomputed from its record, with the day's secret and without", () => {
    fc.assert(
      fc.property(situation, (each) => {
        const { auction, question, load } = play(each, inTurn(each));
        if (auction === null) return;
        const setting = { pool: "eu/tiny", at: 1, load, standingAsks: each.bidders.length };
        const record = recordAuction(question, setting, auction, parameters);
        const before = JSON.parse(JSON.stringify(record)) as typeof record;
        expect(recomputeAuction(before, secret)).toEqual(record);
        expect(recomputeAuction(before, null)).toEqual(record);
      }),
    );
  });
});
