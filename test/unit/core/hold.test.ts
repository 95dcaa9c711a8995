import { describe, expect, it } from "vitest";
import { balanceOf } from "../../../core/account/balance.ts";
import { decideHold, type HoldCommand, spendableIn } from "../../../core/account/hold.ts";
import type { Backing, LotKind } from "../../../core/account/lots.ts";
import { chargeHold } from "../../../core/account/resolve.ts";
import { type AccountState, apply, emptyAccount, type Hold } from "../../../core/account/state.ts";
import type { JobId, KeyId } from "../../../core/ids.ts";
import { LIMITS } from "../../../core/limits.ts";
import { GENESIS_PARAMETERS, withParameters } from "../../../core/parameters.ts";
import { perThousand } from "../../../core/pricing.ts";
import { GENESIS_PEG } from "../../../core/units.ts";
import { TEST_TERMS } from "../../support/receipts.ts";

const NOW = 1_000_000;
/** 80 nanoUSD a completion token, 20 a prompt token. */
const command: HoldCommand = {
  job: "job" as JobId,
  key: { id: "key" as KeyId, models: null, budget: null },
  lane: "public",
  lanes: ["included", "public"],
  choosesProvider: false,
  mostBasisPoints: null,
  maxAsk: perThousand(TEST_TERMS.rate),
  allowPaid: false,
  model: "maker/eight",
  body: "00",
  rate: TEST_TERMS.rate,
  promptBound: 100,
  completion: 1_000,
  completionDefault: 2_048,
  choices: 1,
  expiresAt: NOW + 780_000,
  peg: GENESIS_PEG,
};

function account(...lots: [LotKind, Backing, number, (number | null)?][]): AccountState {
  const state = emptyAccount();
  for (const [index, [kind, backing, granted, expiresAt = null]] of lots.entries()) {
    apply(
      state,
      { type: "credited", lot: { id: `lot ${index}`, kind, backing, granted, expiresAt, concurrency: 2 } },
      NOW,
    );
  }
  return state;
}

const decide = (state: AccountState, change: Partial<HoldCommand> = {}, parameters = GENESIS_PARAMETERS) =>
  decideHold(state, { ...command, ...change }, parameters, NOW);

describe("a hold", () => {
  it("reserves the worst case: the prompt's bound and the completion that the request names", () => {
    const decision = decide(account(["topup", "usdc", 1_000_000]));
    expect(decision).toMatchObject({ type: "held", hold: { price: 82_000, completionCap: 1_000, order: 1, at: NOW } });
    expect(decision.type === "held" && decision.hold.draws).toEqual([
      { lot: "lot 0", kind: "topup", backing: "usdc", amount: 82_000 },
    ]);
  });

  it("counts every choice", () => {
    expect(decide(account(["topup", "usdc", 1_000_000]), { choices: 3 })).toMatchObject({ hold: { price: 242_000 } });
  });

  it.each([
    ["the model's default where the balance affords it", 1_000_000, 2_048],
    ["what the balance affords where that is less", 42_000, 500],
    ["at least 256, if the balance covers that", 22_480, 256],
  ])("without a named completion is capped at %s", (_, balance, cap) => {
    const decision = decide(account(["topup", "usdc", balance]), { completion: null });
    expect(decision).toMatchObject({ type: "held", hold: { completionCap: cap } });
  });

  it("stops softly, with what is needed, there and missing, and reserves nothing in part", () => {
    const state = account(["topup", "usdc", 22_479]);
    const decision = decide(state, { completion: null });
    expect(decision).toMatchObject({
      type: "soft_stop",
      stop: { required: 22_480, balance: 22_479, shortfall: 1 },
      refusal: { code: "insufficient_credits" },
    });
    expect(decision.type === "soft_stop" && decision.refusal.message).toContain("22.480 credits");
    expect(balanceOf(state, GENESIS_PEG, NOW)).toMatchObject({ available: 22_479, held: 0 });
  });

  it("needs the minimum balance, which counts the lane's lots alone", () => {
    const state = account(["topup", "usdc", 4_999], ["allotment", "usdc", 100_000, NOW + 1]);
    expect(decide(state, { allowPaid: true })).toMatchObject({
      type: "soft_stop",
      refusal: { code: "below_minimum_balance" },
    });
    expect(spendableIn(state, "included", GENESIS_PEG, NOW)).toBe(100_000);
    expect(decide(state, { lane: "included" })).toMatchObject({ type: "held" });
    const free = withParameters({ minimumBalanceMillicredits: 0 });
    expect(decide(state, { completion: 10, allowPaid: true }, free)).toMatchObject({ type: "held" });
  });

  it("draws bonus before received before earned before top-up, and expired lots never", () => {
    const state = account(
      ["topup", "usdc", 50_000],
      ["earned", "none", 20_000],
      ["bonus", "none", 10_000, NOW + 1],
      ["bonus", "none", 90_000, NOW],
      ["received", "none", 5_000],
    );
    const decision = decide(state);
    expect(decision.type === "held" && decision.hold.draws.map(({ kind, amount }) => [kind, amount])).toEqual([
      ["bonus", 10_000],
      ["received", 5_000],
      ["earned", 20_000],
      ["topup", 47_000],
    ]);
  });

  it("is refused when as many are open as one account may have", () => {
    const state = account(["topup", "usdc", 1_000_000]);
    const open = { ...(decide(state) as { hold: Hold }).hold, draws: [] };
    for (let index = 0; index < LIMITS.openHolds; index++) state.holds.set(`job ${index}` as JobId, open);
    expect(decide(state)).toMatchObject({ type: "refused", refusal: { code: "concurrency_limit" } });
  });
});

describe("a charge", () => {
  const hold = (state: AccountState) => (decide(state) as { hold: Hold }).hold;
  const tokens = { prompt: 10, completion: 100 };

  it("is the price of the tokens, listed by kind and backing", () => {
    const mixed = hold(account(["bonus", "none", 5_000], ["bonus", "none", 6_000], ["topup", "usdc", 90_000]));
    expect(chargeHold(mixed, "completed", TEST_TERMS, { prompt: 0, completion: 150 })).toMatchObject({
      nanoUsd: 12_000,
      parts: [
        { kind: "bonus", backing: "none", nano_usd: 11_000, millicredits: 11_000 },
        { kind: "topup", backing: "usdc", nano_usd: 1_000, millicredits: 0 },
      ],
    });
  });

  it("is never more than the hold", () => {
    const held = hold(account(["topup", "usdc", 90_000]));
    expect(chargeHold(held, "completed", TEST_TERMS, { prompt: 0, completion: 1e6 }).nanoUsd).toBe(held.price);
  });

  it.each([
    ["completed", 8_200],
    ["cancelled", 8_200],
    ["timed_out", 8_200],
    ["failed", 0],
    ["expired", 0],
    ["unverified", 0],
  ] as const)("of a job that %s is %i nanoUSD", (outcome, due) => {
    expect(chargeHold(hold(account(["topup", "usdc", 90_000])), outcome, TEST_TERMS, tokens).nanoUsd).toBe(due);
  });

  it("without a hold is nothing", () => {
    expect(chargeHold(undefined, "completed", TEST_TERMS, tokens)).toMatchObject({ nanoUsd: 0, parts: [], draws: [] });
  });
});
