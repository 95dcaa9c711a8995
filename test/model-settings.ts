/** What test/workers/model/model.test.ts plays. Tests in workerd see no environment, so its settings are provided to them. */

import "vitest";

declare module "vitest" {
  interface ProvidedContext {
    readonly model: ModelSettings;
  }
}

export interface ModelSettings {
  readonly runs: number;
  readonly seed: number;
  /** Where in the seed a failure lies, and which of its steps had been played: as a failure prints them. */
  readonly path: string | null;
  readonly replayPath: string | null;
}

/** As many as run in half a minute on two quiet cores. */
const RUNS = 100;
/** A check of a change plays the same each time, so that what it says is about the change. */
const SEED = 7;

/** The settings of the environment: a new seed for a run that is longer than a change's check, unless one is named. */
export function modelSettings(environment: Readonly<Record<string, string | undefined>>): ModelSettings {
  const { MODEL_RUNS, MODEL_SEED, MODEL_PATH, MODEL_REPLAY } = environment;
  return {
    runs: Number(MODEL_RUNS ?? RUNS),
    seed: Number(MODEL_SEED ?? (MODEL_RUNS === undefined ? SEED : Math.trunc(Math.random() * 2 ** 31))),
    path: MODEL_PATH ?? null,
    replayPath: MODEL_REPLAY ?? null,
  };
}
