import { describe, expect, it } from "vitest";
import { extensionsOf } from "../../../core/account/extension.ts";
import { type AccountState, apply, dump, emptyAccount, type Hold, restore } from "../../../core/account/state.ts";
import { epochOf, epochStart } from "../../../core/allotment/epochs.ts";
import type { JobId } from "../../../core/ids.ts";
import { DAY_MS } from "../../../core/time.ts";

const DAY = epochOf(Date.UTC(2028, 1, 29));
const BEGIN = epochStart(DAY);
const END = BEGIN + DAY_MS;

function account(...ends: number[]): AccountState {
  const state = emptyAccount();
  for (const [index, expiresAt] of ends.entries()) {
    const lot = { id: `p${index}`, kind: "package", backing: "usdc", granted: 100, expiresAt, concurrency: 2 } as const;
    apply(state, { type: "credited", lot }, BEGIN - DAY_MS);
  }
  return state;
}

const expire = (state: AccountState, lot: string, amount: number, at: number) =>
  apply(state, { type: "lot_expired", lot, amount }, at);
const extensions = (state: AccountState, creditedAt = BEGIN) => extensionsOf(state, DAY, () => creditedAt);
const extend = (state: AccountState, at = END) => apply(state, { type: "extended", parts: extensions(state) }, at);

describe("a missed day extends a package", () => {
  it.each<[string, number, number, boolean]>([
    ["that lasts longer than it", END + 5, BEGIN - 5, true],
    ["that ended during it", BEGIN + 1, BEGIN - 5, true],
    ["that came during it", END + 5, END - 1, true],
    ["not if it had ended before", BEGIN, BEGIN - 5, false],
    ["not if it came after", END + 5, END, false],
  ])("%s", (_, expiresAt, creditedAt, expected) => {
    const parts = extensions(account(expiresAt), creditedAt);
    expect(parts).toEqual(
      expected
        ? [
            {
              lot: "p0",
              kind: "package",
              backing: "usdc",
              amount: 0,
              concurrency: 2,
              from: expiresAt,
              expiresAt: expiresAt + DAY_MS,
            },
          ]
        : [],
    );
  });

  it("every one of them, and no other lot", () => {
    const state = account(END + 1, END + 2, BEGIN - 1);
    const topup = { id: "t", kind: "topup", backing: "usdc", granted: 5, expiresAt: END, concurrency: 0 } as const;
    apply(state, { type: "credited", lot: topup }, BEGIN);
    expect(extensions(state).map(({ lot }) => lot)).toEqual(["p0", "p1"]);
  });

  it("also where it is over by then, with all that has expired of it", () => {
    const state = account(BEGIN + 1);
    const job = "job" as JobId;
    const draws = [{ lot: "p0", kind: "package", backing: "usdc", amount: 30 }] as const;
    apply(state, { type: "held", hold: { job, order: 1, key: "k", price: 30, draws } as unknown as Hold }, BEGIN);
    expire(state, "p0", 70, BEGIN + 1);
    // An open job holds the rest.
    expect(extensions(state)).toMatchObject([{ lot: "p0", amount: 70, expiresAt: BEGIN + 1 + DAY_MS }]);
    apply(state, { type: "voided", job, reason: "" }, BEGIN + 2);
    expire(state, "p0", 30, BEGIN + 2);
    expect([state.lots.size, state.lapsed.get("p0")?.amount]).toEqual([0, 100]);
    extend(state);
    expect(state.lots.get("p0")).toMatchObject({
      available: 100,
      held: 0,
      concurrency: 2,
      expiresAt: BEGIN + 1 + DAY_MS,
    });
    expect(state.lapsed.size).toBe(0);
  });

  it("a day for each missed one, and what of it has expired between two days comes back once", () => {
    const state = account(BEGIN + 1);
    expire(state, "p0", 100, BEGIN + 1);
    extend(state);
    apply(state, { type: "extended", parts: extensionsOf(state, DAY + 1, () => BEGIN) }, END + 1);
    expect(state.lots.get("p0")).toMatchObject({ available: 100, expiresAt: BEGIN + 1 + 2 * DAY_MS });
    expect(state.extended.get("p0")).toBe(BEGIN + 1 + 2 * DAY_MS);
  });

  it("that nothing is left of not at all", () => {
    const state = account(END + 1);
    apply(
      state,
      { type: "sent", transfer: "t", draws: [{ lot: "p0", kind: "package", backing: "usdc", amount: 100 }] },
      BEGIN,
    );
    expect(extensions(state)).toEqual([]);
    expect(() => extend(state)).not.toThrow();
    const gone = { lot: "p0", kind: "package", backing: "usdc", amount: 0, concurrency: 1, expiresAt: null } as const;
    expect(() => apply(state, { type: "extended", parts: [gone] }, END)).toThrow("no lot p0");
  });
});

it("remembers packages that ended and days of `dedicated` over a snapshot, and not for ever", () => {
  const state = account(BEGIN + 1, END + 40 * DAY_MS);
  expire(state, "p0", 100, BEGIN + 1);
  const begin = (at: number, more: Partial<Hold>) => {
    const hold = { job: `${at}`, order: 1, key: "k", price: 0, draws: [], at, lane: "dedicated", ...more };
    apply(state, { type: "held", hold: hold as unknown as Hold }, at);
  };
  begin(BEGIN + 5, {});
  begin(BEGIN + 6, {});
  begin(END, { lane: "public" });
  expect(state.dedicatedDays).toEqual([DAY]);
  const again = restore(dump(state));
  expect([again.dedicatedDays, [...again.lapsed], [...again.extended]]).toEqual([[DAY], [...state.lapsed], []]);
  for (let day = 1; day <= 40; day++) begin(BEGIN + day * DAY_MS, {});
  expect(state.dedicatedDays).toHaveLength(31);
  expire(state, "p1", 100, END + 40 * DAY_MS);
  expect([...state.lapsed.keys()]).toEqual(["p1"]);
});
