import { describe, expect, it } from "vitest";
import { scaledRate } from "../../../core/pricing.ts";
import { nanoUsd } from "../../../core/units.ts";
import { daemon, fences, job, poolOf, START } from "./support.ts";

/** Who serves a job, or nobody. */
function servedBy(pool: ReturnType<typeof poolOf>, waiting: ReturnType<typeof job>): string | null {
  pool.enqueue(waiting);
  const [dispatch] = pool.dispatch(START, fences());
  return dispatch?.daemon.provider ?? null;
}

const allotment = (granted: number, ...paid: [string, number][]) => ({
  granted: nanoUsd(granted),
  paid: paid.map(([payee, amount]) => [payee, nanoUsd(amount)] as const),
});

describe("one payee's part of an allotment", () => {
  const two = () => poolOf([daemon("a", { provider: "a" as never }), daemon("b", { provider: "b" as never })]);

  it.each([
    ["may grow below a half of two", [["a", 499]], "a"],
    ["ends at a half of two", [["a", 500]], "b"],
    [
      "leaves nobody when both have had theirs",
      [
        ["a", 500],
        ["b", 500],
      ],
      null,
    ],
  ] as const)("%s", (_, paid, expected) => {
    const waiting = job("j", {
      lane: "included",
      allotment: allotment(1_000, ...paid.map((each) => [...each] as [string, number])),
    });
    expect(servedBy(two(), waiting)).toBe(expected);
  });

  it("is all of it for the only one there", () => {
    const pool = poolOf([daemon("a", { provider: "a" as never })]);
    expect(servedBy(pool, job("j", { lane: "included", allotment: allotment(1_000, ["a", 999]) }))).toBe("a");
  });

  it("is a fifth where there are many", () => {
    const names = ["a", "b", "c", "d", "e", "f", "g"];
    const pool = poolOf(names.map((name) => daemon(name, { provider: name as never })));
    const waiting = job("j", { lane: "included", allotment: allotment(1_000, ["a", 200], ["b", 199]) });
    expect(servedBy(pool, waiting)).toBe("b");
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

  it.each(["included", "public"] as const)("is what a job in %s is not", (lane) => {
    expect(servedBy(poolOf([daemon("a", { floor })]), job("j", { lane }))).toBeNull();
  });
});
