/** What can be done to a network, as data: drawn at random, shrunk, printed, and written down for what was found. */

import * as fc from "fast-check";
import { CLAIMS, type ClaimKind } from "./attempt.ts";
import { PARTS, type Part } from "./history.ts";
import { METHODS, type Method } from "./wire.ts";

/** `which` counts what there is at the moment, and turns around. */
type Which = { readonly which: number };

export type Action =
  | {
      readonly do: "call";
      readonly consumer: number;
      readonly stream: boolean;
      readonly cap: number | null;
      readonly choices: number;
    }
  /** A call with one of few Idempotency-Keys; `other` brings another body under the same key. */
  | { readonly do: "call with key"; readonly consumer: number; readonly key: number; readonly other: boolean }
  | ({ readonly do: "accept" | "decline" } & Which)
  | ({ readonly do: "say"; readonly text: string; readonly tokens: number; readonly choice: number } & Which)
  | ({ readonly do: "claim"; readonly kind: ClaimKind } & Which)
  | ({ readonly do: "fail"; readonly code: string } & Which)
  | ({ readonly do: "abort" | "delete" } & Which)
  | { readonly do: "connect"; readonly machine: number; readonly restarted: boolean }
  | { readonly do: "disconnect" | "drain"; readonly machine: number }
  | ({ readonly do: "lose" | "sleep"; readonly part: Part } & Which)
  | { readonly do: "lose answer"; readonly method: Method; readonly retryable: boolean }
  | ({ readonly do: "repeat call" | "repeat claim" | "repeat credit" } & Which)
  | ({ readonly do: "void what was posted" | "speak for an old attempt" } & Which)
  | { readonly do: "credit"; readonly consumer: number; readonly kind: "bonus" | "topup"; readonly amount: number }
  | { readonly do: "deliver"; readonly count: number; readonly from: number; readonly again: boolean }
  | { readonly do: "queue"; readonly up: boolean }
  | { readonly do: "ring"; readonly consumer: number }
  | { readonly do: "pass"; readonly ms: number };

/** `hurry`: the next step follows at once, while this one is still on its way. */
export type Step = Action & { readonly hurry?: true };

/** Around the bounds of acceptance, free cancels, flushes, leases and claims; and around those of waiting, deadlines and holds. */
const SHORT_MS = [1, 250, 500, 999, 1_000, 1_000, 4_000, 5_000];
const LONG_MS = [15_000, 60_000, 600_000, 900_000];

const which = fc.nat(11);
const consumer = fc.constantFrom(0, 0, 1, 1, 2);
const machine = fc.nat(2);
const part = fc.constantFrom<Part>(...PARTS);

const weighted: readonly (readonly [number, fc.Arbitrary<Action>])[] = [
  [
    12,
    fc.record({
      do: fc.constant("call" as const),
      consumer,
      stream: fc.boolean(),
      cap: fc.constantFrom(null, null, 1, 20, 60),
      choices: fc.constantFrom(1, 1, 1, 2),
    }),
  ],
  [
    3,
    fc.record({
      do: fc.constant("call with key" as const),
      consumer,
      key: fc.nat(1),
      other: fc.constantFrom(false, false, true),
    }),
  ],
  [5, fc.record({ do: fc.constant("accept" as const), which })],
  [1, fc.record({ do: fc.constant("decline" as const), which })],
  [
    9,
    fc.record({
      do: fc.constant("say" as const),
      which,
      text: fc.constantFrom("one", "two words", "", "x"),
      tokens: fc.constantFrom(1, 2, 40),
      choice: fc.constantFrom(0, 0, 1),
    }),
  ],
  [
    8,
    fc.record({
      do: fc.constant("claim" as const),
      which,
      kind: fc.constantFrom<ClaimKind>("true", "true", ...CLAIMS),
    }),
  ],
  [2, fc.record({ do: fc.constant("fail" as const), which, code: fc.constantFrom("engine_error", "invalid_request") })],
  [5, fc.record({ do: fc.constantFrom("abort" as const, "delete" as const), which })],
  [3, fc.record({ do: fc.constant("connect" as const), machine, restarted: fc.constantFrom(false, false, true) })],
  [2, fc.record({ do: fc.constantFrom("disconnect" as const, "disconnect" as const, "drain" as const), machine })],
  [5, fc.record({ do: fc.constantFrom("lose" as const, "lose" as const, "sleep" as const), part, which })],
  [
    2,
    fc.record({
      do: fc.constant("lose answer" as const),
      method: fc.constantFrom<Method>(...METHODS),
      retryable: fc.boolean(),
    }),
  ],
  [
    2,
    fc.record({
      do: fc.constantFrom("repeat call" as const, "repeat claim" as const, "repeat credit" as const),
      which,
    }),
  ],
  [2, fc.record({ do: fc.constantFrom("void what was posted" as const, "speak for an old attempt" as const), which })],
  [
    1,
    fc.record({
      do: fc.constant("credit" as const),
      consumer,
      kind: fc.constantFrom("bonus" as const, "topup" as const),
      amount: fc.integer({ min: 1, max: 40_000 }),
    }),
  ],
  [
    1,
    fc.record({
      do: fc.constant("deliver" as const),
      count: fc.integer({ min: 1, max: 3 }),
      from: fc.nat(5),
      again: fc.boolean(),
    }),
  ],
  [1, fc.record({ do: fc.constant("queue" as const), up: fc.boolean() })],
  [1, fc.record({ do: fc.constant("ring" as const), consumer })],
  [
    6,
    fc.record({
      do: fc.constant("pass" as const),
      ms: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom(...SHORT_MS) },
        { weight: 2, arbitrary: fc.constantFrom(...LONG_MS) },
      ),
    }),
  ],
];

/** Any step; some are followed in a hurry. */
export const step: fc.Arbitrary<Step> = fc.oneof(
  ...weighted.map(([weight, action]) => ({
    weight,
    arbitrary: fc
      .tuple(action, fc.nat(3))
      .map(([action, pace]): Step => (pace === 0 ? { ...action, hurry: true } : action)),
  })),
);
