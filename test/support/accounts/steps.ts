/** What the model does to a network of accounts, and what befalls each command on its way. */

import * as fc from "fast-check";
import { type Backing, LOT_KINDS, type LotKind } from "../../../core/account/lots.ts";
import { LANES, type Lane } from "../../../core/lanes.ts";
import { OUTCOMES, type Outcome } from "../../../core/outcome.ts";
import { GENESIS_PEG, type Peg } from "../../../core/units.ts";

export const MOST_ACCOUNTS = 6;
/** Providers that are none of the accounts. */
export const MOST_OUTSIDERS = 3;

/**
 * What befalls a command before its caller has an answer: nothing; it comes twice; its answer is lost with the object's
 * memory, and it comes again; or one of its writes fails, with the memory or without, and it comes again.
 */
export type Fate =
  | { readonly type: "none" | "twice" | "lost" }
  | { readonly type: "unwritten"; readonly writes: number; readonly restarted: boolean };

/** Spans of time that a wait may take: those of the calendar end with its next day, week or month. */
export type Wait = "moment" | "minute" | "hours" | "day" | "week" | "month";

type Action =
  | {
      do: "credit";
      who: number;
      kind: Exclude<LotKind, "allotment">;
      backing: Backing;
      amount: number;
      lives: number | null;
      concurrency: number;
    }
  | { do: "allot"; who: number; amount: number; concurrency: number }
  | {
      do: "hold";
      who: number;
      key: number;
      lane: Lane | null;
      completion: number | null;
      prompt: number;
      choices: number;
      allowPaid: boolean;
      /** The only provider that may serve it, and the one that is dispatched first where more than one may. */
      only: number | null;
      favourite: number;
      most: number | null;
      peg: Peg;
      lives: number;
      /** Which of an account's idempotency keys it carries, and with which of two bodies. */
      keyed: number | null;
      body: number;
    }
  | { do: "post"; which: number; outcome: Outcome; prompt: number; completion: number; late: boolean }
  | { do: "void"; which: number; late: boolean }
  | { do: "advance"; which: number; favourite: number }
  | { do: "reverse"; which: number }
  | { do: "send"; who: number; to: number; amount: number }
  | { do: "send again"; which: number }
  | { do: "bring"; which: number; confirmed: boolean; again: boolean }
  | { do: "earn"; who: number; peg: Peg }
  | { do: "restart"; who: number }
  | { do: "snapshot"; who: number }
  | { do: "sweep"; who: number }
  | { do: "wait"; span: Wait; ms: number };
export type Step = Action & { readonly fate: Fate };
export type StepOf<Name extends Step["do"]> = Extract<Step, { do: Name }>;

/** How a run begins: how many accounts, who else serves, and which providers see no unbacked job or cost more than the rate. */
export interface Setting {
  readonly accounts: number;
  readonly outsiders: number;
  readonly usdcOnly: readonly boolean[];
  readonly costly: readonly boolean[];
  /** Who takes credits for backed shares, too. */
  readonly takesCredits: readonly boolean[];
  /** What accounts have from the beginning, so that few calls are in vain. */
  readonly means: readonly { readonly topup: number; readonly bonus: number; readonly allotment: number }[];
}

const flags = fc.array(
  fc.nat(3).map((drawn) => drawn === 3),
  { minLength: MOST_ACCOUNTS + MOST_OUTSIDERS, maxLength: MOST_ACCOUNTS + MOST_OUTSIDERS },
);
const means = fc.oneof(fc.constant(0), fc.integer({ min: 50, max: 2_000 }), fc.integer({ min: 50, max: 2_000 }));
export const setting: fc.Arbitrary<Setting> = fc.record({
  accounts: fc.integer({ min: 3, max: MOST_ACCOUNTS }),
  outsiders: fc.nat(MOST_OUTSIDERS),
  usdcOnly: flags,
  costly: flags,
  takesCredits: flags,
  means: fc.array(fc.record({ topup: means, bonus: means, allotment: means }), {
    minLength: MOST_ACCOUNTS,
    maxLength: MOST_ACCOUNTS,
  }),
});

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
// One account does half of all, so that much happens to it in a short run.
const who = fc.oneof(fc.constant(0), fc.nat(MOST_ACCOUNTS - 1));
const which = fc.nat(30);
// And one provider is asked for as often as all others together, so that it comes near its cap.
const favourite = fc.oneof(fc.constant(1), fc.nat(MOST_ACCOUNTS + MOST_OUTSIDERS - 1));
/** Null, or once in so many times something else. */
const rarely = <T>(times: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: times - 1, arbitrary: fc.constant(null) }, { weight: 1, arbitrary });
const late = fc.nat(7).map((drawn) => drawn === 7);
const peg = fc.constantFrom<Peg>(
  GENESIS_PEG,
  GENESIS_PEG,
  { millicredits: 7, nanoUsd: 3 },
  { millicredits: 2, nanoUsd: 5 },
  { millicredits: 1_001, nanoUsd: 1_000 },
);
const fate: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Fate>({ type: "none" }) },
  { weight: 1, arbitrary: fc.constant<Fate>({ type: "twice" }) },
  { weight: 1, arbitrary: fc.constant<Fate>({ type: "lost" }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant("unwritten" as const), writes: fc.nat(3), restarted: fc.boolean() }),
  },
);
type Fields<Name extends Step["do"]> = {
  [K in Exclude<keyof StepOf<Name>, "do" | "fate">]: fc.Arbitrary<StepOf<Name>[K]>;
};
function shape<Name extends Step["do"]>(weight: number, name: Name, rest: Fields<Name>) {
  const arbitrary = fc.record({ do: fc.constant(name), fate, ...rest }) as unknown as fc.Arbitrary<Step>;
  return { weight, arbitrary };
}

export const step: fc.Arbitrary<Step> = fc.oneof(
  shape(4, "credit", {
    who,
    kind: fc.constantFrom(...LOT_KINDS.filter((kind) => kind !== "allotment")),
    backing: fc.constantFrom<Backing>("usdc", "none"),
    amount: fc.integer({ min: 1, max: 3_000 }),
    lives: rarely(2, fc.constantFrom(MINUTE, HOUR, 40 * HOUR)),
    concurrency: fc.nat(2),
  }),
  shape(2, "allot", { who, amount: fc.integer({ min: 1, max: 1_500 }), concurrency: fc.integer({ min: 1, max: 6 }) }),
  shape(12, "hold", {
    who,
    key: fc.nat(4),
    lane: rarely(2, fc.constantFrom(...LANES, ...LANES.slice(0, 2), "included", "public", "included", "public")),
    completion: rarely(2, fc.integer({ min: 1, max: 220 })),
    prompt: fc.nat(40),
    choices: fc.integer({ min: 1, max: 2 }),
    allowPaid: fc.boolean(),
    only: rarely(5, fc.nat(MOST_ACCOUNTS + MOST_OUTSIDERS - 1)),
    favourite,
    most: rarely(3, fc.integer({ min: 10_000, max: 20_000 })),
    peg,
    lives: fc.constantFrom(MINUTE, HOUR, 30 * HOUR),
    keyed: rarely(4, fc.nat(1)),
    body: fc.nat(5).map((drawn) => (drawn === 5 ? 1 : 0)),
  }),
  shape(10, "post", {
    which,
    // Half of all jobs complete.
    outcome: fc.oneof(fc.constant<Outcome>("completed"), fc.constantFrom(...OUTCOMES.slice(0, -1))),
    prompt: fc.nat(60),
    completion: fc.nat(300),
    late,
  }),
  shape(2, "void", { which, late }),
  shape(2, "advance", { which, favourite }),
  shape(3, "reverse", { which }),
  shape(4, "send", { who, to: who, amount: fc.integer({ min: 0, max: 2_000 }) }),
  shape(1, "send again", { which }),
  shape(4, "bring", { which, confirmed: fc.boolean(), again: fc.nat(3).map((drawn) => drawn === 3) }),
  shape(2, "earn", { who: fc.nat(MOST_ACCOUNTS + MOST_OUTSIDERS - 1), peg }),
  shape(1, "restart", { who }),
  shape(1, "snapshot", { who }),
  shape(1, "sweep", { who }),
  shape(3, "wait", {
    span: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom<Wait>("moment", "minute", "minute", "hours") },
      { weight: 3, arbitrary: fc.constant<Wait>("day") },
      { weight: 1, arbitrary: fc.constantFrom<Wait>("week", "month") },
    ),
    ms: fc.integer({ min: 0, max: 2 * HOUR }),
  }),
);
