/** What the model does to accounts, and what befalls each command on its way. */

import * as fc from "fast-check";
import { type Backing, LOT_KINDS, type LotKind } from "../../../../core/account/lots.ts";
import { LANES, type Lane } from "../../../../core/lanes.ts";
import { OUTCOMES, type Outcome } from "../../../../core/outcome.ts";

export const ACCOUNTS = 3;

/**
 * What befalls a command before its caller has an answer: nothing; it comes five times at once; its answer is lost with the
 * object's life; the object is lost while it runs; or nothing can be written. The caller asks again until it is answered.
 */
const FATES = ["none", "none", "none", "crowd", "unanswered", "aborted", "unwritable"] as const;
export type Fate = (typeof FATES)[number];

export type KeyChange = "create" | "update" | "rotate" | "revoke";

type Action =
  | { do: "credit"; who: number; kind: LotKind; backing: Backing; amount: number; lives: number | null }
  | { do: "hold"; who: number; app: boolean; lane: Lane | null; completion: number; allowPaid: boolean; lives: number }
  | { do: "post"; which: number; outcome: Outcome; completion: number; late: boolean }
  | { do: "void"; which: number; late: boolean }
  | { do: "advance"; which: number }
  | { do: "reverse"; which: number }
  | { do: "send"; who: number; to: number; amount: number; away: boolean }
  | { do: "bring"; which: number }
  | { do: "key"; who: number; change: KeyChange }
  | { do: "alarm"; who: number }
  | { do: "evict"; who: number }
  | { do: "wait"; ms: number };
export type Step = Action & { readonly fate: Fate };
export type StepOf<Name extends Step["do"]> = Extract<Step, { do: Name }>;

const HOUR = 3_600_000;
const who = fc.nat(ACCOUNTS - 1);
const which = fc.nat(20);
const lives = fc.constantFrom(60_000, 600_000, 30 * HOUR);
const late = fc.boolean();
const fate = fc.constantFrom(...FATES);
const shape = <Name extends Step["do"]>(
  name: Name,
  rest: { [K in Exclude<keyof StepOf<Name>, "do" | "fate">]: fc.Arbitrary<StepOf<Name>[K]> },
) => fc.record({ do: fc.constant(name), fate, ...rest }) as unknown as fc.Arbitrary<Step>;

export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: shape("credit", {
      who,
      kind: fc.constantFrom(...LOT_KINDS),
      backing: fc.constantFrom<Backing>("usdc", "none"),
      amount: fc.integer({ min: 1, max: 200_000 }),
      lives: fc.option(lives),
    }),
  },
  {
    weight: 8,
    arbitrary: shape("hold", {
      who,
      app: fc.boolean(),
      lane: fc.option(fc.constantFrom(...LANES)),
      completion: fc.integer({ min: 1, max: 1_500 }),
      allowPaid: fc.boolean(),
      lives,
    }),
  },
  {
    weight: 6,
    arbitrary: shape("post", {
      which,
      outcome: fc.constantFrom(...OUTCOMES.slice(0, -1)),
      completion: fc.nat(1_500),
      late,
    }),
  },
  { weight: 2, arbitrary: shape("void", { which, late }) },
  { weight: 2, arbitrary: shape("advance", { which }) },
  { weight: 2, arbitrary: shape("reverse", { which }) },
  {
    weight: 5,
    arbitrary: shape("send", { who, to: who, amount: fc.integer({ min: 900, max: 150_000 }), away: fc.boolean() }),
  },
  { weight: 2, arbitrary: shape("bring", { which }) },
  {
    weight: 2,
    arbitrary: shape("key", { who, change: fc.constantFrom<KeyChange>("create", "update", "rotate", "revoke") }),
  },
  { weight: 2, arbitrary: shape("alarm", { who }) },
  { weight: 2, arbitrary: shape("evict", { who }) },
  { weight: 2, arbitrary: shape("wait", { ms: fc.constantFrom(1, 61_000, 601_000, 25 * HOUR) }) },
);
