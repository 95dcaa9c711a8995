/** A soak's runs in batches: each has a seed of its own, so that one that fails can be played again by itself. */

import * as fc from "fast-check";
import { property } from "../../test/support/accounts/play.ts";

export interface Batch {
  readonly seed: number;
  readonly runs: number;
}

export interface Failure {
  readonly seed: number;
  /** Where the failure lies in its seed, made as small as it could be. */
  readonly path: string;
  readonly error: string;
  /** The steps as JSON. */
  readonly steps: string;
}

export interface Played {
  readonly runs: number;
  /** Events of all accounts by type, and answers of their calls. */
  readonly events: Readonly<Record<string, number>>;
  readonly answers: Readonly<Record<string, number>>;
  readonly failure: Failure | null;
}

/** As many as take a few seconds, so that progress shows and little is lost where a failure ends its batch. */
const BATCH_RUNS = 1_000;

/** All batches of a soak. The same seed gives the same ones, whoever plays them in whatever order. */
export function batchesOf(seed: number, runs: number): Batch[] {
  return Array.from({ length: Math.ceil(runs / BATCH_RUNS) }, (_, index) => ({
    seed: seedOf(seed, index),
    runs: Math.min(BATCH_RUNS, runs - index * BATCH_RUNS),
  }));
}

/** Seeds of neighbours must have nothing in common: a multiplicative hash, with the golden ratio of 32 bits. */
function seedOf(seed: number, index: number): number {
  return (Math.imul(seed + index + 1, 0x9e3779b1) ^ Math.imul(index, 0x85ebca6b)) | 0;
}

/** Plays a batch to its end, or to its first failure. */
export function playBatch({ seed, runs }: Batch): Played {
  const [events, answers]: Record<string, number>[] = [{}, {}];
  let played = 0;
  const all = property((world) => {
    played++;
    for (const [sums, counts] of [
      [events, world.events],
      [answers, world.reached],
    ] as const) {
      for (const [name, count] of counts) if (sums !== undefined) sums[name] = (sums[name] ?? 0) + count;
    }
  });
  const result = fc.check(all, { seed, numRuns: runs });
  const failure = result.failed
    ? {
        seed,
        path: result.counterexamplePath ?? "",
        error: String(result.errorInstance),
        steps: JSON.stringify(result.counterexample),
      }
    : null;
  return { runs: failure === null ? runs : played, events: events ?? {}, answers: answers ?? {}, failure };
}
