/** The closed loop in lives that somebody would choose who wants USDC for nothing, step by step. */

import { expect, it } from "vitest";
import { play } from "../../support/accounts/play.ts";
import type { Fate, Setting, Step, StepOf } from "../../support/accounts/steps.ts";
import type { World } from "../../support/accounts/world.ts";

const fate: Fate = { type: "none" };
const ONE = { millicredits: 1, nanoUsd: 1 };
const SEVEN_THIRDS = { millicredits: 7, nanoUsd: 3 };
const never = Array.from({ length: 9 }, () => false);

/** Three accounts with nothing, and whoever else serves. */
const setting = (outsiders = 0, changes: Partial<Setting> = {}): Setting => ({
  accounts: 3,
  outsiders,
  usdcOnly: never,
  costly: never,
  takesCredits: never,
  means: Array.from({ length: 6 }, () => ({ topup: 0, bonus: 0, allotment: 0 })),
  ...changes,
});

const credit = (changes: Partial<StepOf<"credit">>): Step => ({
  do: "credit",
  fate,
  who: 0,
  kind: "bonus",
  backing: "none",
  amount: 1_000,
  lives: null,
  concurrency: 0,
  ...changes,
});
/** A job of a hundred completion tokens: 175 nanoUSD. */
const hold = (changes: Partial<StepOf<"hold">> = {}): Step => ({
  do: "hold",
  fate,
  who: 0,
  key: 0,
  lane: null,
  completion: 100,
  prompt: 0,
  choices: 1,
  allowPaid: false,
  only: null,
  favourite: 1,
  most: null,
  peg: ONE,
  lives: 3_600_000,
  keyed: null,
  body: 0,
  ...changes,
});
const post = (changes: Partial<StepOf<"post">> = {}): Step => ({
  do: "post",
  fate,
  which: 0,
  outcome: "completed",
  prompt: 0,
  completion: 100,
  late: false,
  ...changes,
});
const send = (who: number, to: number, amount: number): Step[] => [
  { do: "send", fate, who, to, amount },
  { do: "bring", fate, which: 0, confirmed: true, again: false },
];
const job = (changes: Partial<StepOf<"hold">> = {}): Step[] => [hold(changes), post()];
const allot = (amount: number): Step => ({ do: "allot", fate, who: 0, amount, concurrency: 9 });

/** nanoUSD, or millicredits, that receipts owe to everybody who is one of the accounts or serves beside them. */
function owed(world: World, backing: "usdc" | "none"): number {
  const shares = world.market.providers.map(({ provider }) => world.sums.of("shares", provider, backing));
  return shares.reduce((sum, each) => sum + each, 0);
}
const owedTo = (world: World, index: number) => world.sums.of("shares", world.market.accountAt(index), "usdc");

it("pays no USDC for a bonus, however often it is served, earned, sent and spent again", () => {
  const round = (who: number, to: number): Step[] => [
    hold({ who, favourite: to }),
    post(),
    { do: "earn", fate, who: to, peg: ONE },
    ...send(to, who, 100),
  ];
  const world = play(setting(), [credit({}), ...round(0, 1), ...round(0, 2), ...round(0, 1), ...round(0, 2)]);
  expect(world.events.get("posted")).toBe(4);
  expect(owed(world, "none")).toBe(4 * 166);
  expect(owed(world, "usdc")).toBe(0);
});

it("pays no USDC for a top-up that was sent, and for what its buyer spends itself no more than it paid", () => {
  const bought = credit({ kind: "topup", backing: "usdc", amount: 350 });
  const sent = play(setting(), [bought, ...send(0, 1, 350), hold({ who: 1, favourite: 2 }), post()]);
  expect([owed(sent, "none"), owed(sent, "usdc")]).toEqual([166, 0]);
  expect(sent.sums.of("system", "pool", "usdc")).toBe(350);
  const spent = play(setting(), [bought, ...job(), ...job()]);
  expect([owed(spent, "none"), owed(spent, "usdc")]).toEqual([0, 2 * 166]);
});

it("gives one payee a fifth of an allotment, or its part where fewer may serve", () => {
  const jobs = (count: number) => Array.from({ length: count }, () => job()).flat();
  // A fifth of 1,750 are two jobs; with six who may serve, others get the next ones.
  const many = play(setting(3, { accounts: 4 }), [allot(1_750), ...jobs(8)]);
  expect(many.reached.get("a payee is at its cap")).toBeGreaterThan(0);
  expect(owedTo(many, 1)).toBe(2 * 166);
  expect(owed(many, "usdc")).toBe(8 * 166);
  // Of two who may serve, each may have half.
  const few = play(setting(), [allot(1_750), ...jobs(10)]);
  expect([owedTo(few, 1), owedTo(few, 2)]).toEqual([5 * 166, 5 * 166]);
});

it("lets jobs overshoot that ran when their payee came to its part", () => {
  const running = Array.from({ length: 6 }, () => hold());
  const ended = Array.from({ length: 6 }, () => post());
  const last = ended.map((_, which) => post({ which }));
  const world = play(setting(3), [allot(1_750), ...running, ...last, ...job()]);
  expect(owedTo(world, 1)).toBe(6 * 166);
  expect(owed(world, "usdc")).toBe(7 * 166);
});

it("lets an allotment pay nobody whom its holder has chosen", () => {
  const world = play(setting(), [allot(1_750), hold({ only: 1 }), hold({ only: 1, lane: "included" })]);
  expect(world.events.get("held")).toBeUndefined();
  const slot = credit({ kind: "package", backing: "usdc", amount: 500, concurrency: 1 });
  const sponsored = play(setting(), [allot(1_750), slot, ...job({ only: 1, most: 10_000 })]);
  expect(sponsored.account(0).book.lot("c-1").spent).toBe(175);
});

it("takes back in each backing what a job of both was charged at another peg, and owes nobody for it", () => {
  const steps: Step[] = [
    credit({ amount: 200 }),
    credit({ kind: "topup", backing: "usdc", amount: 500 }),
    ...job({ lane: "public", allowPaid: true, peg: SEVEN_THIRDS }),
  ];
  const charged = play(setting(), steps);
  // 200 millicredits are worth 85 nanoUSD, for which 199 are taken; the top-up has the other 90.
  expect(["c-0", "c-1"].map((lot) => charged.account(0).book.left(lot))).toEqual([1, 410]);
  expect([owed(charged, "none"), owed(charged, "usdc")]).toEqual([189, 86]);
  const reversed = play(setting(), [...steps, { do: "reverse", fate, which: 0 }]);
  expect(["c-0", "c-1"].map((lot) => reversed.account(0).book.left(lot))).toEqual([200, 500]);
  expect([owed(reversed, "none"), owed(reversed, "usdc")]).toEqual([0, 0]);
});

it("gives a payee its part of an allotment once more when it was taken back", () => {
  const steps = [allot(350), ...job({ favourite: 1 })];
  const back: Step = { do: "reverse", fate, which: 0 };
  const world = play(setting(), [...steps, back, ...job({ favourite: 1 }), ...job({ favourite: 1 })]);
  expect([owedTo(world, 1), owedTo(world, 2)]).toEqual([166, 166]);
});
