import { describe, expect, it } from "vitest";
import type { DaemonId } from "../../../core/ids.ts";
import { LIMITS } from "../../../core/limits.ts";
import { whyNobody } from "../../../core/scheduler/why-nobody.ts";
import { daemon, job, type Offer, poolOf, START } from "./support.ts";

const SETTLED = START + LIMITS.settledPoolMs;

const told = (offers: readonly Offer[], changes: Parameters<typeof job>[1]) =>
  whyNobody(poolOf(offers).daemons.values(), job("job", changes));

/** What is enqueued at a time, and what it is told. */
const asked = (pool: ReturnType<typeof poolOf>, now: number, changes: Parameters<typeof job>[1]) =>
  pool.enqueue(job(`at ${now}`, { enqueuedAt: now, waitUntil: now + 60_000, ...changes }));

describe("a demand that nobody meets", () => {
  it.each([
    ["context", "messages", { context: 9_000 }, {}, { tokens: 9_000, largest: 4_096 }],
    ["network", "network", { lane: "private" as const, network: "n" as never }, {}, {}],
    ["quantization", "provider.quantizations", { quantizations: ["fp16"] }, {}, {}],
    ["provider", "provider.only", { only: ["nobody"] }, {}, {}],
    ["provider", "provider.ignore", { ignore: ["owner of a", "owner of b"] }, {}, {}],
    ["feature", "seed", { features: [{ feature: "seed", param: "seed" }] }, {}, {}],
    ["takes_unbacked_credits", null, {}, { accepts: "usdc" as const }, {}],
    ["other_account", null, {}, { provider: "consumer" as never }, {}],
  ])("is named: %s, made by %s", (demand, param, changes, offer, more) => {
    const refusal = told([daemon("a", offer), daemon("b", offer)], changes);
    const demands = refusal.metadata?.["demands"] as { demand: string; met_by: number }[];
    expect(refusal.code).toBe("no_provider");
    expect(refusal.param).toBe(param ?? undefined);
    expect(demands.filter(({ met_by }) => met_by === 0)).toEqual([{ demand, param, met_by: 0, ...more }]);
    expect(refusal.metadata?.["daemons"]).toBe(2);
    expect(refusal.message).toContain("Now 2 daemons serve this model, and none meets ");
    if (param !== null && demand !== "context") expect(refusal.message).toContain(`\`${param}\``);
  });

  it("is told with all others that nobody meets", () => {
    const refusal = told([daemon("a")], { context: 9_000, quantizations: ["q8"] });
    expect(refusal.message).toContain(
      "Now one daemon serves this model, and none meets `provider.quantizations` and a context of 9000 tokens (the largest has 4096).",
    );
  });
});

it("tells how many meet each of the demands that nobody meets together", () => {
  const offers = [daemon("large", { context: 32_768 }), daemon("q8", { quantization: "q8" }), daemon("small")];
  const refusal = told(offers, { context: 9_000, quantizations: ["q8"] });
  expect(refusal.message).toContain(
    "none meets all of the request together: `provider.quantizations` (1) and a context of 9000 tokens (the largest has 32768) (1).",
  );
  expect(refusal.param).toBeUndefined();
  expect(refusal.metadata).toEqual({
    daemons: 3,
    demands: [
      { demand: "other_account", param: null, met_by: 3 },
      { demand: "quantization", param: "provider.quantizations", met_by: 1 },
      { demand: "context", param: "messages", met_by: 1, tokens: 9_000, largest: 32_768 },
      { demand: "takes_unbacked_credits", param: null, met_by: 3 },
      { demand: "price", param: "provider.max_price", met_by: 3 },
    ],
    passed_over: ["quantization", "context"],
  });
});

it("counts nobody among those that serve who takes no jobs", () => {
  const refusal = told([daemon("a", { draining: true })], { context: 9_000 });
  expect(refusal.message).toMatch(/^No provider serves this model at the moment\./);
  expect(refusal.metadata).toEqual({ daemons: 0, demands: [], passed_over: ["draining"] });
});

describe("a pool that has had its daemons for a while", () => {
  it("refuses at once what none of them can serve, and waits for nobody", () => {
    const pool = poolOf([daemon("a")]);
    expect(asked(pool, SETTLED - 1, { context: 9_000 })).toBeNull();
    expect(asked(pool, SETTLED, { context: 9_000 })).toMatchObject({ code: "no_provider", param: "messages" });
    const dear = { lane: "included" as const, rate: { completion: 1_000, prompt: 0, per: 1_000 } };
    expect(asked(pool, SETTLED, dear)).toMatchObject({ code: "no_bid", metadata: { lowest_ask: "0.000030400" } });
    expect(asked(pool, SETTLED, {})).toBeNull();
  });

  it("waits for one that has just left and could, for one that is started anew, and for nobody else", () => {
    const pool = poolOf([daemon("a"), daemon("large", { context: 32_768 })]);
    pool.unregister("large" as DaemonId, "relay/0", SETTLED);
    expect(asked(pool, SETTLED + 1, { context: 9_000 })).toBeNull();
    expect(asked(pool, SETTLED + 1, { context: 99_000 })?.code).toBe("no_provider");
    expect(asked(pool, SETTLED + LIMITS.settledPoolMs, { context: 9_000 })?.code).toBe("no_provider");
    pool.register(daemon("large", { context: 32_768, draining: true }), SETTLED);
    expect(asked(pool, SETTLED + LIMITS.settledPoolMs, { context: 9_000 })).toBeNull();
  });
});
