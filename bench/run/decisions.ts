/** What a scheduler's decision costs beside one call of an object. */

import { setTimeout as pause } from "node:timers/promises";
import { type DecisionCost, timeDecisions } from "../market/decisions.ts";
import { median } from "../measure/statistics.ts";
import type { Network } from "../servers/network.ts";

/** Microseconds. */
export interface DecisionResult extends DecisionCost {
  readonly accounts: number;
  readonly daemons: number;
  /** One call of an object that answers at once, and the decision as a part of it. */
  readonly call: number;
  readonly toCall: number;
}

const SIZE = { accounts: 10_000, daemons: 1_000, rounds: 20 };
const ROUNDS = 5;
const CALLS = 2_000;

/** Times both in turns, so that what the machine does meanwhile meets both alike. */
export async function measureDecisions(network: Network): Promise<DecisionResult> {
  await callMicros(network);
  const rounds: { readonly cost: DecisionCost; readonly call: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const cost = timeDecisions(SIZE);
    // Meanwhile connections that were closed must be noticed.
    await pause(0);
    rounds.push({ cost, call: await callMicros(network) });
  }
  const of = (value: (round: (typeof rounds)[number]) => number): number => median(rounds.map(value));
  return {
    ...SIZE,
    ended: of(({ cost }) => cost.ended),
    enqueue: of(({ cost }) => cost.enqueue),
    dispatch: of(({ cost }) => cost.dispatch),
    together: of(({ cost }) => cost.together),
    call: of(({ call }) => call),
    toCall: of(({ cost, call }) => cost.together / call),
  };
}

/** Calls that a Worker makes one after the other, asked for over its socket. */
async function callMicros({ origin }: Network): Promise<number> {
  const start = performance.now();
  const response = await fetch(`${origin}/bench/calls`, { method: "POST", body: String(CALLS) });
  if (!response.ok) throw new Error(`calls were not answered: ${await response.text()}`);
  await response.text();
  return (1_000 * (performance.now() - start)) / CALLS;
}
