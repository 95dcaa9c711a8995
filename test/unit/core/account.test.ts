import { describe, expect, it } from "vitest";
import {
  type AccountEvent,
  type AccountState,
  apply,
  dump,
  emptyAccount,
  type Hold,
  restore,
} from "../../../core/account/state.ts";
import type { JobId } from "../../../core/ids.ts";

describe("an event that does not fit throws", () => {
  const credited = (granted = 100): AccountState => {
    const state = emptyAccount();
    apply(
      state,
      { type: "credited", lot: { id: "a", kind: "topup", backing: "usdc", granted, expiresAt: null, concurrency: 0 } },
      1,
    );
    return state;
  };
  const job = "job" as JobId;
  const hold = (amount: number) =>
    ({ job, order: 1, draws: [{ lot: "a", kind: "topup", backing: "usdc", amount }] }) as unknown as Hold;
  const posted = (lot: string, amount: number): AccountEvent => ({
    type: "posted",
    job,
    n: 0,
    draws: [{ lot, kind: "topup", backing: "usdc", amount }],
  });

  it.each<[string, AccountEvent]>([
    [
      "a second lot of one id",
      {
        type: "credited",
        lot: { id: "a", kind: "bonus", backing: "none", granted: 1, expiresAt: null, concurrency: 0 },
      },
    ],
    ["a hold of more than there is", { type: "held", hold: hold(101) }],
    ["a charge without its hold", posted("a", 1)],
    ["a void without a hold", { type: "voided", job, reason: "" }],
    ["an expiry without a hold", { type: "hold_expired", job }],
    ["an expiry of more than there is", { type: "lot_expired", lot: "a", amount: 101 }],
    ["an expiry of no lot", { type: "lot_expired", lot: "b", amount: 1 }],
  ])("%s", (_, event) => {
    expect(() => apply(credited(), event, 2)).toThrow();
  });

  it.each([
    ["more than was held", posted("a", 51)],
    ["a lot that was not held", posted("b", 1)],
  ])("a charge of %s", (_, event) => {
    const state = credited();
    apply(state, { type: "held", hold: hold(50) }, 2);
    expect(() => apply(state, event, 3)).toThrow();
  });
});

it("a receipt that comes after its hold expired moves nothing but the chain", () => {
  const state = emptyAccount();
  apply(state, { type: "posted", job: "late" as JobId, n: 0, draws: [] }, 5, { seq: 1, head: "h" });
  expect(state).toEqual({ ...emptyAccount(), seq: 1, head: "h", clock: 5 });
});

it("time never runs backwards", () => {
  const state = emptyAccount();
  const lot = (id: string) =>
    ({
      type: "credited",
      lot: { id, kind: "topup", backing: "usdc", granted: 1, expiresAt: null, concurrency: 0 },
    }) as const;
  apply(state, lot("a"), 10);
  apply(state, lot("b"), 4);
  expect(state.clock).toBe(10);
});

it("knows what keys have reserved in a state from before that was kept", () => {
  const state = emptyAccount();
  const lot = { id: "a", kind: "topup", backing: "usdc", granted: 100, expiresAt: null, concurrency: 0 } as const;
  apply(state, { type: "credited", lot }, 1);
  const draws = [{ lot: "a", kind: "topup", backing: "usdc", amount: 40 }] as const;
  const hold = { job: "job", order: 1, key: "key", price: 40, draws, at: 1 } as unknown as Hold;
  apply(state, { type: "held", hold }, 1);
  const { spending: _, allotment: _none, ...old } = JSON.parse(dump(state)) as Record<string, unknown>;
  const restored = restore(JSON.stringify(old));
  expect(restored.spending).toEqual(state.spending);
  apply(restored, { type: "voided", job: "job" as JobId, reason: "test" }, 2);
  expect(restored.spending.get("key" as never)?.held).toBe(0);
});
