/** What can be done to a network, as data: drawn at random, shrunk, printed, and written down for what was found. */

import * as fc from "fast-check";
import { CLAIMS, type ClaimKind } from "./attempt.ts";
import { PARTS, type Part } from "./history.ts";
import { FORGETS, type Forgets } from "./machine.ts";
import { DISTURBED, type Disturbance, METHODS, type Method } from "./wire.ts";

/** Counts what there is at the moment, and turns around. */
interface Which {
  readonly which: number;
}

interface Actions {
  call: { readonly consumer: number; readonly stream: boolean; readonly cap: number | null; readonly choices: number };
  /** One of few Idempotency-Keys; `other` brings another body under the same key. */
  "call with key": { readonly consumer: number; readonly key: number; readonly other: boolean };
  /** The consumer leaves again after some real milliseconds. */
  "call and leave": { readonly consumer: number; readonly stream: boolean; readonly afterMs: number };
  accept: Which;
  decline: Which;
  say: Which & { readonly text: string; readonly tokens: number; readonly choice: number };
  claim: Which & { readonly kind: ClaimKind };
  fail: Which & { readonly code: string };
  abort: Which;
  delete: Which;
  connect: { readonly machine: number; readonly forgets: Forgets };
  disconnect: { readonly machine: number };
  drain: { readonly machine: number };
  /** A part loses its memory, open requests and sockets, or only its memory while it has nothing to do. */
  lose: Which & { readonly part: Part };
  sleep: Which & { readonly part: Part };
  /** The next call of a method by the network fails, before the account has done it or after. */
  disturb: { readonly method: Method; readonly when: Disturbance; readonly retryable: boolean };
  "repeat call": Which;
  "repeat claim": Which;
  "repeat credit": Which;
  "void what was posted": Which;
  "speak for an old attempt": Which & { readonly restarted: boolean };
  credit: { readonly consumer: number; readonly kind: "bonus" | "topup"; readonly amount: number };
  deliver: { readonly count: number; readonly from: number; readonly again: boolean };
  queue: { readonly up: boolean };
  /** An account's alarm. */
  ring: { readonly consumer: number };
  pass: { readonly ms: number };
}

type Action = { [Name in keyof Actions]: { readonly do: Name } & Actions[Name] }[keyof Actions];

/** `hurry`: the next step follows at once, while this one is still on its way. */
export type Step = Action & { readonly hurry?: true };

/** The step of one or more names. */
export type StepOf<Name extends keyof Actions> = Extract<Action, { readonly do: Name }>;

/** Around the bounds of acceptance, free cancels, flushes, leases, claims and first tokens; and those of waiting, deadlines and holds. */
const SHORT_MS = [1, 250, 500, 999, 1_000, 1_000, 4_000, 5_000, 9_000, 9_000];
const LONG_MS = [15_000, 60_000, 600_000, 900_000];

const which = fc.nat(11);
const consumer = fc.constantFrom(0, 0, 1, 1, 2);
const machine = fc.nat(2);
const part = fc.constantFrom<Part>(...PARTS);
const stream = fc.boolean();
/** The first one twice as often as each of the others. */
const seldom = <T>(often: T, ...others: readonly T[]) => fc.constantFrom<T>(often, often, ...others);

/** An action, how often it is drawn among all, and what its fields are drawn from. */
function draw<Name extends keyof Actions>(
  name: Name,
  weight: number,
  fields: { [Field in keyof Actions[Name]]: fc.Arbitrary<Actions[Name][Field]> },
): { weight: number; arbitrary: fc.Arbitrary<Action> } {
  const arbitrary = fc.record({ do: fc.constant(name), ...fields }) as unknown as fc.Arbitrary<Action>;
  return { weight, arbitrary };
}

const action = fc.oneof(
  draw("call", 12, { consumer, stream, cap: seldom<number | null>(null, 1, 20, 60), choices: seldom(1, 2) }),
  draw("call with key", 3, { consumer, key: fc.nat(1), other: seldom(false, true) }),
  draw("call and leave", 2, { consumer, stream, afterMs: fc.nat(4) }),
  draw("accept", 5, { which }),
  draw("decline", 1, { which }),
  draw("say", 9, {
    which,
    text: fc.constantFrom("one", "two words", "", "x"),
    tokens: fc.constantFrom(1, 2, 40),
    choice: seldom(0, 1),
  }),
  draw("claim", 8, { which, kind: seldom<ClaimKind>("true", ...CLAIMS) }),
  draw("fail", 2, { which, code: fc.constantFrom("engine_error", "invalid_request") }),
  draw("abort", 3, { which }),
  draw("delete", 3, { which }),
  draw("connect", 3, { machine, forgets: seldom<Forgets>(...FORGETS) }),
  draw("disconnect", 2, { machine }),
  draw("drain", 1, { machine }),
  draw("lose", 4, { part, which }),
  draw("sleep", 2, { part, which }),
  draw("disturb", 3, {
    method: fc.constantFrom<Method>(...METHODS),
    when: fc.constantFrom<Disturbance>(...DISTURBED),
    retryable: fc.boolean(),
  }),
  draw("repeat call", 1, { which }),
  draw("repeat claim", 1, { which }),
  draw("repeat credit", 1, { which }),
  draw("void what was posted", 1, { which }),
  draw("speak for an old attempt", 2, { which, restarted: fc.boolean() }),
  draw("credit", 1, {
    consumer,
    kind: fc.constantFrom("bonus", "topup"),
    amount: fc.integer({ min: 1, max: 40_000 }),
  }),
  draw("deliver", 1, { count: fc.integer({ min: 1, max: 3 }), from: fc.nat(5), again: fc.boolean() }),
  draw("queue", 1, { up: fc.boolean() }),
  draw("ring", 1, { consumer }),
  draw("pass", 6, {
    ms: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...SHORT_MS) },
      { weight: 2, arbitrary: fc.constantFrom(...LONG_MS) },
    ),
  }),
);

/** Any step; every fourth is followed in a hurry. */
export const step: fc.Arbitrary<Step> = fc
  .tuple(action, fc.nat(3))
  .map(([drawn, pace]) => (pace === 0 ? { ...drawn, hurry: true } : drawn));
