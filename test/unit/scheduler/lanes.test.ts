import { describe, expect, it } from "vitest";
import type { NetworkId } from "../../../core/ids.ts";
import { isFloorWithin, scaledRate } from "../../../core/pricing.ts";
import { nanoUsd } from "../../../core/units.ts";
import { daemon, fences, job, order, poolOf, START } from "./support.ts";

/** Who may serve a job: those that do in one of forty pools, which differ in their draws. */
function servers(daemons: Parameters<typeof poolOf>[0], waiting: ReturnType<typeof job>): string[] {
  const served = Array.from({ length: 40 }, (_, seed) => {
    const pool = poolOf(daemons, seed);
    pool.enqueue(waiting);
    return pool.dispatch(START, fences()).map(({ daemon: { provider } }) => provider);
  });
  return [...new Set(served.flat())].toSorted();
}

const allotment = (granted: number, ...paid: [string, number][]) => ({
  granted: nanoUsd(granted),
  paid: paid.map(([payee, amount]) => [payee, nanoUsd(amount)] as const),
});

describe("one payee's part of an allotment", () => {
  const owned = (...names: string[]) => names.map((name) => daemon(name, { provider: name as never }));

  it.each([
    ["may grow below a half of two", [["a", 499]], ["a", "b"]],
    ["ends at a half of two", [["a", 500]], ["b"]],
    [
      "leaves nobody when both have had theirs",
      [
        ["a", 500],
        ["b", 500],
      ],
      [],
    ],
  ] as const)("%s", (_, paid, expected) => {
    const waiting = job("j", {
      lane: "included",
      allotment: allotment(1_000, ...paid.map((each) => [...each] as [string, number])),
    });
    expect(servers(owned("a", "b"), waiting)).toEqual(expected);
  });

  it("is all of it for the only one there", () => {
    const waiting = job("j", { lane: "included", allotment: allotment(1_000, ["a", 999]) });
    expect(servers(owned("a"), waiting)).toEqual(["a"]);
  });

  it("is a fifth where there are many", () => {
    const waiting = job("j", { lane: "included", allotment: allotment(1_000, ["a", 200], ["b", 199]) });
    expect(servers(owned("a", "b", "c", "d", "e", "f"), waiting)).toEqual(["b", "c", "d", "e", "f"]);
  });
});

describe("a dedicated job", () => {
  // A floor of 100,000 nanoUSD for 1,000 tokens, where the catalog says 80,000.
  const floor = {
    watts: 125,
    nano_usd_per_kwh: 120_000_000,
    decode_millitokens_per_second: 50_000,
    prefill_millitokens_per_second: 500_000,
  };

  it("is served above the catalog's rate, and pays the provider's floor", () => {
    const pool = poolOf([daemon("a", { floor })]);
    const waiting = job("j", { lane: "dedicated" });
    pool.enqueue({ ...waiting, maxRate: scaledRate(waiting.rate, 15_000) });
    const [dispatch] = pool.dispatch(START, fences());
    expect(dispatch?.terms).toEqual({ rate: waiting.rate, floor });
  });

  it("goes to the cheaper of two rather than to the dearer", () => {
    const waiting = job("j", { lane: "dedicated" });
    const dear = { ...floor, nano_usd_per_kwh: 2 * floor.nano_usd_per_kwh };
    // Weights as 1 to 0.4: the dearer one serves where both draws name it.
    const served = Array.from({ length: 400 }, (_, seed) => {
      const pool = poolOf([daemon("cheap"), daemon("dear", { floor: dear })], seed);
      pool.enqueue({ ...waiting, maxRate: scaledRate(waiting.rate, 30_000) });
      return pool.dispatch(START, fences())[0]?.daemon.daemon;
    });
    const share = served.filter((name) => name === "dear").length / served.length;
    expect(share).toBeGreaterThan(0.04);
    expect(share).toBeLessThan(0.16);
  });

  it.each(["included", "public"] as const)("is what a job in %s is not", (lane) => {
    expect(servers([daemon("a", { floor })], job("j", { lane }))).toEqual([]);
  });
});

it("serves a job in a reserved slot ahead of everything, and leaves the lanes' shares as they are", () => {
  const pool = poolOf([daemon("a")]);
  for (const name of ["one", "two"]) pool.enqueue(job(name));
  for (const name of ["mine", "mine too"]) pool.enqueue(job(name, { lane: "dedicated", weight: 2, reserved: true }));
  expect(pool.position("mine" as never)).toBe(1);
  expect(order(pool).map(({ job: id }) => id)).toEqual(["mine", "mine too", "one", "two"]);
  expect(pool.withdraw("mine" as never, START)).toBe(false);
});

describe("a private network", () => {
  const [home, other] = ["home", "other"] as unknown as [NetworkId, NetworkId];
  const inside = daemon("inside", { networks: [other, home] });
  const outside = daemon("outside", { networks: [other] });
  const mine = (name = "j") => job(name, { lane: "private", network: home });

  it("has its jobs served by its members' daemons alone, however busy they are", () => {
    const pool = poolOf([outside, inside, daemon("a")]);
    for (const name of ["one", "two"]) pool.enqueue(mine(name));
    const dispatched = pool.dispatch(START, fences());
    expect(dispatched.map((each) => [each.job.job, each.daemon.daemon])).toEqual([["one", "inside"]]);
    expect(dispatched[0]?.terms).toEqual({ rate: mine().rate, floor: null });
  });

  it("keeps none of its daemons from the open lanes", () => {
    expect(servers([inside], job("j"))).toEqual(["owner of inside"]);
  });

  it("leaves its jobs to nobody else when its last daemon has gone, and says why", () => {
    const pool = poolOf([outside, inside]);
    pool.register({ ...inside, networks: [other] }, START);
    pool.enqueue(mine());
    expect(pool.dispatch(START, fences())).toEqual([]);
    const [rejection] = pool.rejections(START + 60_000 - 1);
    expect(rejection?.refusal).toMatchObject({ code: "no_provider", metadata: { passed_over: ["not_member"] } });
  });

  it("waits for its own daemons without holding another network's jobs back", () => {
    const pool = poolOf([daemon("theirs", { networks: [other] }), { ...inside, networks: [home] }]);
    pool.enqueue(mine("first"));
    pool.enqueue(mine("waits"));
    pool.enqueue(job("goes", { lane: "private", network: other }));
    expect(pool.dispatch(START, fences()).map((each) => each.job.job)).toEqual(["first", "goes"]);
  });

  it("pays no daemon less than its power", () => {
    const rate = { completion: 30_399, prompt: 20_000, per: 1_000 };
    expect(servers([inside], { ...mine(), rate, maxRate: rate })).toEqual([]);
  });
});

describe("a floor", () => {
  const rate = { completion: 80_000, prompt: 20_000, per: 1_000 };
  const floor = (decode: number, prefill: number) => ({
    watts: 100,
    nano_usd_per_kwh: 120_000_000,
    decode_millitokens_per_second: decode,
    prefill_millitokens_per_second: prefill,
  });

  // 4,000 nanoUSD a second: 80 a token at 50 tokens a second, 20 at 200.
  it.each([
    ["is within a rate at which both kinds of token pay for their power", 50_000, 200_000, true],
    ["is not where a completion's token does not", 49_999, 200_000, false],
    ["is not where a prompt's token does not, however cheap the others are", 900_000, 199_999, false],
  ])("%s", (_, decode, prefill, expected) => {
    expect(isFloorWithin(floor(decode, prefill), rate)).toBe(expected);
  });

  it("of a prompt's token is the provider's own where the catalog gives prompts away, but not in dedicated", () => {
    const offer = daemon("a", { floor: floor(50_000, 1) });
    const free = { rate: { ...rate, prompt: 0 } };
    expect(servers([offer], job("j", { ...free, lane: "included" }))).toEqual(["owner of a"]);
    expect(servers([offer], job("j", { ...free, lane: "dedicated" }))).toEqual([]);
  });
});
