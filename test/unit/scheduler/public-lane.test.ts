/** The public lane of a pool: auctions, and who may wait (economics.md §4). */

import { describe, expect, it } from "vitest";
import { drawSecret } from "../../../core/auction/draw.ts";
import { recomputeAuction } from "../../../core/auction/record.ts";
import type { JobId } from "../../../core/ids.ts";
import { LIMITS } from "../../../core/limits.ts";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import { priceAtRate, priceOf } from "../../../core/pricing.ts";
import { nanoUsd } from "../../../core/units.ts";
import { daemon, fences, job, type Offer, poolOf, START } from "./support.ts";

/** Each asks 33,440 nanoUSD at rest, 66,880 where all slots are in use, and 100,320 at most. */
const pool = (daemons: readonly Offer[]) => poolOf(daemons, 1, GENESIS_PARAMETERS);
const most = (price: number) => ({
  maxPrice: nanoUsd(price),
  maxRate: { completion: 4 * price, prompt: price, per: 4_000 },
});

describe("a job of the public lane", () => {
  it("is dispatched at the winner's ask, with a record that anybody recomputes", () => {
    const market = pool([daemon("a"), daemon("b", { floor: { ...daemon("b").floor, watts: 30 } })]);
    market.enqueue(job("job"));
    const [dispatch] = market.dispatch(START, fences());
    expect(dispatch?.daemon.daemon).toBe("b");
    expect(dispatch?.auction).toMatchObject({ asks: 2, winningAsk: 26_400, secondAsk: 33_440 });
    const { terms } = dispatch ?? {};
    expect(terms).toMatchObject({ rate: { completion: 105_600, prompt: 26_400, per: 4_000 }, floor: { watts: 30 } });
    for (const tokens of [
      { prompt: 0, completion: 7 },
      { prompt: 1_001, completion: 0 },
      { prompt: 3, completion: 3 },
    ]) {
      if (terms) expect(priceOf(terms, tokens)).toBe(priceAtRate(terms.rate, tokens));
    }
    const record = dispatch?.auction?.record("local/model");
    if (record === undefined) throw new Error("there was an auction");
    expect(recomputeAuction(record, drawSecret(new Uint8Array(32), record.draw?.day ?? 0))).toEqual(record);
  });

  it("costs more the more there is to do", () => {
    const market = pool([daemon("a", { slots: 10 })]);
    const asks: (number | undefined)[] = [];
    const next = fences();
    for (let number = 0; number < 10; number++) {
      market.enqueue(job(`job ${number}`, most(200_000)));
      asks.push(market.dispatch(START, next)[0]?.auction?.winningAsk);
    }
    expect(asks.slice(0, 7)).toEqual(Array.from({ length: 7 }, () => 33_440));
    expect(asks.slice(7)).toEqual([41_800, 50_160, 58_520]);
  });

  it("waits while a busy daemon's ask is within its maximum, and is told the lowest ask where none is", () => {
    const market = pool([daemon("a")]);
    const next = fences();
    market.enqueue(job("runs"));
    market.dispatch(START, next);
    expect(market.enqueue(job("waits", most(66_880)))).toBeNull();
    expect(market.dispatch(START, next)).toEqual([]);
    expect(market.rejections(START)).toEqual([]);
    expect(market.enqueue(job("poor", most(100_319)))).toMatchObject({
      code: "no_bid",
      metadata: { lowest_ask: "0.000100320", max_price: "0.000100319" },
    });
    expect(market.waiting).toBe(1);
    market.ended("runs" as JobId, 1, null, START);
    expect(market.dispatch(START, next)[0]?.auction?.winningAsk).toBe(33_440);
  });

  it("gives way where others pay more, the last that came first", () => {
    const market = pool([daemon("a", { slots: 4 })]);
    const next = fences();
    for (const name of ["1", "2", "3", "4"]) market.enqueue(job(name, most(200_000)));
    expect(market.dispatch(START, next)).toHaveLength(4);
    // Beside one that waits demand is 2.25: what these two would pay.
    expect(market.enqueue(job("early", { ...most(75_240), enqueuedAt: START }))).toBeNull();
    expect(market.enqueue(job("late", { ...most(75_240), enqueuedAt: START + 1 }))).toBeNull();
    expect(market.rejections(START)).toEqual([]);
    expect(market.enqueue(job("rich", most(200_000)))).toBeNull();
    expect(market.rejections(START).map(({ job: { job: id }, refusal }) => [id, refusal.code])).toEqual([
      ["late", "no_bid"],
    ]);
    expect(market.waiting).toBe(2);
  });

  it("is passed over while it is too dear, and served when demand has fallen", () => {
    const market = pool([daemon("cheap"), daemon("dear", { floor: { ...daemon("x").floor, watts: 60 } })]);
    const next = fences();
    market.enqueue(job("first"));
    market.dispatch(START, next);
    // The dear one asks 52,800 at rest and 1.0 of demand; half of the slots are in use.
    market.enqueue(job("second", most(52_799)));
    expect(market.dispatch(START, next)).toEqual([]);
    expect(market.waiting).toBe(1);
    market.ended("first" as JobId, 1, null, START);
    expect(market.dispatch(START, next)[0]?.daemon.daemon).toBe("cheap");
  });

  it("is served by a dearer daemon once others that waited have left", () => {
    const cheap = daemon("cheap", { floor: { ...daemon("x").floor, watts: 10 } });
    const market = pool([cheap, daemon("dear", { floor: { ...daemon("x").floor, watts: 60 } })]);
    const next = fences();
    market.enqueue(job("runs"));
    market.dispatch(START, next);
    expect(market.enqueue(job("poor", most(20_000)))).toBeNull();
    // Beside one that waits every slot is in use: the dear one asks twice its 52,800, and the cheap one is busy.
    expect(market.enqueue(job("rich", most(52_800)))).toBeNull();
    expect(market.dispatch(START, next)).toEqual([]);
    market.withdraw("poor" as JobId, START);
    expect(market.dispatch(START, next)[0]?.auction).toMatchObject({ winningAsk: 52_800 });
  });

  it("is not refused for a price while daemons that have just gone may come back", () => {
    const market = pool([daemon("cheap"), daemon("dear", { floor: { ...daemon("x").floor, watts: 600 } })]);
    const next = fences();
    market.enqueue(job("first"));
    market.dispatch(START, next);
    expect(market.enqueue(job("second"))).toBeNull();
    market.unregister("cheap" as never, "relay/0", START + 1);
    expect(market.rejections(START + 1)).toEqual([]);
    expect(market.nextDue(START + 1)).toBeLessThanOrEqual(START + 1 + LIMITS.emptyPoolMs);
    const codes = market.rejections(START + 1 + LIMITS.emptyPoolMs).map(({ refusal }) => refusal.code);
    expect(codes).toEqual(["no_bid"]);
  });

  it("that names no maximum pays the formula's price, or the cheapest floor · 1.1 as far as its hold covers it", () => {
    const cheap = { rate: { completion: 100, prompt: 25, per: 1_000 } };
    const dear = pool([daemon("a")]);
    expect(dear.enqueue(job("held for less", cheap))).toMatchObject({
      code: "no_bid",
      metadata: { max_price: "0.000000100" },
    });
    const held = { ...cheap, maxRate: { completion: 4 * 40_000, prompt: 40_000, per: 4_000 } };
    expect(dear.enqueue(job("held", held))).toBeNull();
    expect(dear.dispatch(START, fences())[0]?.auction?.record("p").max).toBe(33_440);
  });

  it("is never offered to its own account's daemons", () => {
    const market = pool([
      daemon("own", { provider: "consumer" as never }),
      daemon("other", { margin: 20_000 as never }),
    ]);
    market.enqueue(job("job"));
    expect(market.dispatch(START, fences())[0]?.auction).toMatchObject({ winningAsk: 60_800, secondAsk: null });
  });
});

it("tells what is asked, and what each lane waits for, runs and was served", () => {
  const market = pool([daemon("a"), daemon("b", { slots: 3, margin: 20_000 as never })]);
  const next = fences();
  for (const name of ["1", "2", "3"]) market.enqueue(job(name));
  market.dispatch(START, next);
  expect(market.prices).toMatchObject({
    count: 2,
    lowest: 45_980,
    demand: 13_750,
    least: 33_440,
  });
  market.ended("1" as JobId, 1, { prompt: 10, completion: 5 }, START);
  const served = (now: number) => market.lanes(now).find(({ lane }) => lane === "public");
  expect(served(START)).toEqual({ lane: "public", waiting: 0, running: 2, units: 20 });
  expect(served(START + 11 * 60_000)?.units).toBe(0);
});
