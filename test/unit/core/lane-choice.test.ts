import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decideHold, type HoldCommand, type HoldDecision } from "../../../core/account/hold.ts";
import type { Backing, LotKind } from "../../../core/account/lots.ts";
import { chargeHold } from "../../../core/account/resolve.ts";
import { packageSlots, slotsIn } from "../../../core/account/slots.ts";
import { type AccountState, apply, emptyAccount, type Hold } from "../../../core/account/state.ts";
import type { JobId, KeyId } from "../../../core/ids.ts";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import { isFloorWithin, perThousand, priceAtRate, priceOf, scaledRate, type Tokens } from "../../../core/pricing.ts";
import { GENESIS_PEG } from "../../../core/units.ts";
import { TEST_TERMS } from "../../support/receipts.ts";

const NOW = 1_000_000;
const TODAY = NOW + 1_000;

/** A job of 1,000 tokens at 80 nanoUSD each. */
const command: HoldCommand = {
  job: "job" as JobId,
  key: { id: "key" as KeyId, models: null, budget: null },
  lane: null,
  lanes: ["included", "public"],
  choosesProvider: false,
  mostBasisPoints: null,
  maxAsk: perThousand(TEST_TERMS.rate),
  allowPaid: false,
  model: "maker/eight",
  body: "00",
  rate: TEST_TERMS.rate,
  promptBound: 0,
  completion: 1_000,
  completionDefault: 8_192,
  choices: 1,
  expiresAt: NOW + 780_000,
  peg: GENESIS_PEG,
};

type LotRow = [LotKind, Backing, number, (number | null)?, number?];
const allotment = (amount: number, concurrency = 2): LotRow => ["allotment", "usdc", amount, TODAY, concurrency];
const pack = (amount: number, slots = 1): LotRow => ["package", "usdc", amount, TODAY, slots];
const topup = (amount: number): LotRow => ["topup", "usdc", amount];

function account(...lots: LotRow[]): AccountState {
  const state = emptyAccount();
  for (const [index, [kind, backing, granted, expiresAt = null, concurrency = 0]] of lots.entries()) {
    const lot = { id: `lot ${index}`, kind, backing, granted, expiresAt, concurrency };
    apply(state, { type: "credited", lot }, NOW);
  }
  return state;
}

const decide = (state: AccountState, change: Partial<HoldCommand> = {}, now = NOW) =>
  decideHold(state, { ...command, ...change }, GENESIS_PARAMETERS, now);

/** Where a decision came to: its lane and the kinds that pay, or the code of the refusal. */
function outcome(decision: HoldDecision): string {
  if (decision.type !== "held") return decision.refusal.code;
  const { lane, draws } = decision.hold;
  return `${lane}: ${draws.map(({ kind, amount }) => `${kind} ${amount}`).join(", ")}`;
}

function open(state: AccountState, change: Partial<HoldCommand> = {}, job = `job ${state.order}`): Hold {
  const decision = decide(state, { ...change, job: job as JobId });
  if (decision.type !== "held") throw new Error(decision.refusal.code);
  apply(state, { type: "held", hold: decision.hold }, NOW);
  return decision.hold;
}

describe("a request that names no lane", () => {
  it.each<[string, LotRow[], Partial<HoldCommand>, string]>([
    ["is public without an allotment, paid credits included", [topup(90_000)], {}, "public: topup 80000"],
    ["is included while the allotment covers it", [allotment(80_000), topup(90_000)], {}, "included: allotment 80000"],
    [
      "is public when the allotment does not cover it, from what was not paid for",
      [allotment(79_999), ["bonus", "none", 90_000], topup(90_000)],
      {},
      "public: bonus 80000",
    ],
    ["spends no paid credits of a holder by surprise", [allotment(79_999), topup(90_000)], {}, "below_minimum_balance"],
    [
      "spends them where that was allowed",
      [allotment(79_999), topup(90_000)],
      { allowPaid: true },
      "public: topup 80000",
    ],
    [
      "is public for a model that no allotment pays",
      [allotment(80_000), ["earned", "none", 90_000]],
      { lanes: ["public"] },
      "public: earned 80000",
    ],
    [
      "is public when it asks for more than an allotment gives a job",
      [allotment(900_000), ["earned", "none", 900_000]],
      { completion: 4_097 },
      "public: earned 327760",
    ],
    [
      "is public when it chooses its provider",
      [allotment(80_000), ["received", "none", 90_000]],
      { choosesProvider: true },
      "public: received 80000",
    ],
    [
      "is dedicated while a package is live: allotment at the catalog's rate, the package for what is beyond",
      [allotment(100_000), pack(100_000)],
      {},
      "dedicated: allotment 80000, package 40000",
    ],
    ["is dedicated for every model", [pack(120_000)], { lanes: ["public"] }, "dedicated: package 120000"],
    [
      "is dedicated from the package alone when it chooses its provider",
      [allotment(100_000), pack(120_000)],
      { choosesProvider: true },
      "dedicated: package 120000",
    ],
    [
      "falls to the allotment when the package does not carry it",
      [allotment(80_000), pack(39_999)],
      {},
      "included: allotment 80000",
    ],
  ])("%s", (_, lots, change, expected) => {
    expect(outcome(decide(account(...lots), change))).toBe(expected);
  });

  it("knows the holder's allotment after it is used up, until it ends", () => {
    const state = account(allotment(80_000), topup(500_000));
    const hold = open(state);
    const { draws } = chargeHold(hold, "completed", TEST_TERMS, { prompt: 0, completion: 1_000 });
    apply(state, { type: "posted", job: hold.job, n: 0, draws, payee: "p" }, NOW);
    expect(state.lots.size).toBe(1);
    const decision = decide(state);
    expect(decision).toMatchObject({ type: "soft_stop", stop: { balance: 0, unused: 500_000 } });
    expect(decision.type === "soft_stop" && decision.refusal.message).toContain("500.000 paid credits are not spent");
    expect(outcome(decide(state, {}, TODAY))).toBe("public: topup 80000");
  });

  it("waits for the stake's slots rather than spend something else", () => {
    const state = account(allotment(900_000), ["bonus", "none", 900_000]);
    open(state);
    open(state);
    const decision = decide(state);
    expect(decision).toMatchObject({
      type: "refused",
      refusal: { code: "concurrency_limit", metadata: { limit: 2, open: 2, lane: "included" } },
    });
    expect(decision.type === "refused" && decision.refusal.message).toBe(
      'The stake behind the allotment carries 2 jobs at a time, and 2 are open; `lane: "public"` runs more on other ' +
        "credits. Wait until one of them ends.",
    );
    expect(outcome(decide(state, { lane: "public" }))).toBe("public: bonus 80000");
  });
});

describe("a request that names its lane", () => {
  it.each<[string, LotRow[], Partial<HoldCommand>, string]>([
    ["takes no other", [allotment(10_000), ["bonus", "none", 900_000]], { lane: "included" }, "insufficient_credits"],
    ["needs an allotment for included", [topup(900_000)], { lane: "included" }, "lane_unavailable"],
    ["needs a live package for dedicated", [topup(900_000)], { lane: "dedicated" }, "lane_unavailable"],
    [
      "is private at the network's rate, from credits of its own, paid ones too beside an allotment",
      [allotment(900_000), pack(900_000), ["bonus", "none", 30_000], topup(900_000)],
      { lane: "private", lanes: ["private"], rate: { completion: 50_000, prompt: 0, per: 1_000 } },
      "private: bonus 30000, topup 20000",
    ],
    ["needs a league", [topup(900_000)], { lane: "league", lanes: ["league"] }, "lane_unavailable"],
    [
      "needs a model that is served there",
      [topup(900_000)],
      { lane: "public", lanes: ["included"] },
      "lane_unavailable",
    ],
    [
      "may not choose its provider on an allotment",
      [allotment(900_000)],
      { lane: "included", choosesProvider: true },
      "invalid_request",
    ],
    ["is bounded on an allotment", [allotment(900_000)], { lane: "included", completion: 4_097 }, "invalid_request"],
  ])("%s", (_, lots, change, expected) => {
    expect(outcome(decide(account(...lots), change))).toBe(expected);
  });

  it("is capped on an allotment at 4,096 tokens where it names none", () => {
    const decision = decide(account(allotment(9_000_000)), { completion: null });
    expect(decision).toMatchObject({ type: "held", hold: { lane: "included", completionCap: 4_096 } });
  });
});

it("never charges a dedicated job beyond its hold, its allotment's rate, or 1.5 times the catalog's price", () => {
  const tokens = fc.record({ prompt: fc.nat(4_000), completion: fc.nat(1_000) });
  const floors = fc.record({
    watts: fc.integer({ min: 1, max: 3_000 }),
    nano_usd_per_kwh: fc.integer({ min: 1, max: 600_000_000 }),
    decode_millitokens_per_second: fc.integer({ min: 1_000, max: 1_000_000 }),
    prefill_millitokens_per_second: fc.integer({ min: 1_000, max: 10_000_000 }),
  });
  const rates = fc.record({
    completion: fc.nat(320_000),
    prompt: fc.nat(80_000),
    per: fc.integer({ min: 1, max: 4_000 }),
  });
  let within = 0;
  fc.assert(
    fc.property(tokens, floors, rates, fc.nat(500_000), (used, floor, rate, allotted) => {
      const most = scaledRate(rate, 15_000);
      if (!isFloorWithin(floor, most)) return;
      within += 1;
      const state = account(pack(9_000_000_000), ...(allotted === 0 ? [] : [allotment(allotted)]));
      const decision = decide(state, { rate, promptBound: 4_000, completion: 1_000 });
      if (decision.type !== "held") throw new Error(decision.refusal.code);
      const charge = chargeHold(decision.hold, "completed", { rate, floor }, used);
      expect(charge.nanoUsd).toBe(priceOf({ rate, floor }, used));
      expect(charge.nanoUsd).toBeLessThanOrEqual(priceAtRate(most, used));
      const paid = charge.parts.find(({ kind }) => kind === "allotment")?.nano_usd ?? 0;
      // A unit may be left to it where prices round up.
      expect(paid).toBeLessThanOrEqual(priceAtRate(rate, used) + 1);
    }),
    { numRuns: 2_000 },
  );
  expect(within).toBeGreaterThan(100);
});

describe("a package", () => {
  it("reserves as many slots as it was sold with; what is beyond queues with the others", () => {
    const state = account(pack(400_000, 1), pack(400_000, 1));
    expect([1, 2, 3].map(() => open(state).reserved)).toEqual([true, true, false]);
    expect(packageSlots(state, NOW)).toEqual({ slots: 2, inUse: 2 });
  });

  it("gives a free slot to the next job, however many run beyond the slots", () => {
    const state = account(pack(9_000_000, 2));
    const running = [open(state), open(state), open(state)];
    // Always one job more than there are slots: two of each three have one.
    for (let n = 0; n < 20; n++) {
      const ended = running.shift();
      if (ended === undefined) throw new Error("nothing runs");
      apply(state, { type: "voided", job: ended.job, reason: "test" }, NOW);
      running.push(open(state));
      expect(running.filter(({ reserved }) => reserved)).toHaveLength(2);
    }
  });

  it("is live while a job holds all that is left of it, and not when it is used up", () => {
    const state = account(pack(120_000), topup(900_000));
    const { job } = open(state);
    expect(packageSlots(state, NOW)).toEqual({ slots: 1, inUse: 1 });
    expect(outcome(decide(state, { lane: "dedicated" }))).toBe("below_minimum_balance");
    expect(outcome(decide(state))).toBe("public: topup 80000");
    const draws = [{ lot: "lot 0", kind: "package", backing: "usdc", amount: 120_000 }] as const;
    apply(state, { type: "posted", job, n: 0, draws }, NOW);
    expect(packageSlots(state, NOW)).toBeNull();
    expect(outcome(decide(state, { lane: "dedicated" }))).toBe("lane_unavailable");
    // What is taken back is the package's again, and so are its slots.
    const refund = { ...draws[0], expiresAt: TODAY, concurrency: 1 };
    apply(state, { type: "reversed", job, n: 1, refunds: [refund], payee: "p" }, NOW);
    expect([packageSlots(state, NOW), open(state).reserved]).toEqual([{ slots: 1, inUse: 0 }, true]);
  });

  it("takes its slots along when its time is over; jobs that outlast it have theirs still", () => {
    const later = TODAY + 1_000;
    const state = account(pack(9_000_000, 2), ["package", "usdc", 9_000_000, later, 1]);
    const running = [1, 2, 3, 4].map(() => open(state));
    expect(running.map(({ reserved }) => reserved)).toEqual([true, true, true, false]);
    expect(packageSlots(state, TODAY)).toEqual({ slots: 1, inUse: 3 });
    for (const { job } of running.slice(0, 2)) apply(state, { type: "voided", job, reason: "test" }, TODAY);
    expect(decide(state, {}, TODAY)).toMatchObject({ type: "held", hold: { lane: "dedicated", reserved: false } });
    for (const { job } of running.slice(2, 3)) apply(state, { type: "hold_expired", job }, TODAY);
    expect(decide(state, {}, TODAY)).toMatchObject({ type: "held", hold: { lane: "dedicated", reserved: true } });
    expect(packageSlots(state, later)).toBeNull();
    expect(outcome(decide(state, {}, later))).toBe("below_minimum_balance");
  });

  it("has no slot for what is not dedicated", () => {
    const state = account(pack(900_000, 1), allotment(900_000), topup(900_000));
    expect(open(state, { lane: "included" }).reserved).toBe(false);
    expect(open(state, { lane: "public", allowPaid: true }).reserved).toBe(false);
    expect([slotsIn(state, "dedicated", NOW), slotsIn(state, "included", NOW), slotsIn(state, "public", NOW)]).toEqual([
      { slots: 1, inUse: 0 },
      { slots: 2, inUse: 1 },
      null,
    ]);
    expect(open(state).reserved).toBe(true);
  });

  it("pays what the provider's floor is above the catalog's rate, never the allotment", () => {
    const state = account(allotment(100_000), pack(100_000));
    const hold = open(state);
    expect(hold.price).toBe(120_000);
    const floor = {
      watts: 1_000,
      nano_usd_per_kwh: 300_000_000,
      decode_millitokens_per_second: 1_000_000,
      prefill_millitokens_per_second: 1_000_000,
    };
    const charge = (tokens: Tokens) => {
      const { nanoUsd, parts } = chargeHold(hold, "completed", { ...TEST_TERMS, floor }, tokens);
      return [nanoUsd, ...parts.map(({ kind, nano_usd }) => `${kind} ${nano_usd}`)];
    };
    expect(charge({ prompt: 0, completion: 1_000 })).toEqual([100_000, "allotment 80000", "package 20000"]);
    expect(charge({ prompt: 0, completion: 10 })).toEqual([1_000, "allotment 800", "package 200"]);
  });
});

it("remembers what each payee had of today's allotment, and of no other", () => {
  const state = account(allotment(900_000, 9));
  const hold = open(state);
  const { draws } = chargeHold(hold, "completed", TEST_TERMS, { prompt: 0, completion: 500 });
  apply(state, { type: "posted", job: hold.job, n: 0, draws, payee: "a" }, NOW);
  expect([...(state.allotment?.paid ?? [])]).toEqual([["a", 40_000]]);
  const late = open(state);
  const lot = {
    id: "tomorrow",
    kind: "allotment",
    backing: "usdc",
    granted: 5,
    expiresAt: TODAY + 1,
    concurrency: 1,
  } as const;
  apply(state, { type: "credited", lot }, TODAY);
  const end = chargeHold(late, "completed", TEST_TERMS, { prompt: 0, completion: 500 });
  apply(state, { type: "posted", job: late.job, n: 0, draws: end.draws, payee: "a" }, TODAY);
  expect([...(state.allotment?.paid ?? [])]).toEqual([]);
});

describe("a key", () => {
  const key = { id: "key" as KeyId, models: ["maker/nine"], budget: null };

  it("may use its own models only", () => {
    const decision = decide(account(topup(900_000)), { key });
    expect(decision).toMatchObject({ type: "refused", refusal: { code: "forbidden", param: "model" } });
    expect(outcome(decide(account(topup(900_000)), { key, model: "maker/nine" }))).toBe("public: topup 80000");
  });

  it("is stopped by its budget, whatever its account has", () => {
    const state = account(topup(900_000));
    const budget = { nanoUsd: 200_000 as never, reset: "daily" } as const;
    const mine = { key: { ...key, models: null, budget } };
    open(state, mine);
    open(state, mine);
    expect(outcome(decide(state, mine))).toBe("budget_exceeded");
    expect(outcome(decide(state, { key: { ...mine.key, id: "other" as KeyId } }))).toBe("public: topup 80000");
    apply(state, { type: "voided", job: "job 0" as JobId, reason: "test" }, NOW);
    expect(outcome(decide(state, mine))).toBe("public: topup 80000");
  });
});
