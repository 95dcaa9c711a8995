/** What the models of the network and of accounts play. Tests in workerd see no environment, so its settings are provided to them. */

import "vitest";

declare module "vitest" {
  interface ProvidedContext {
    readonly model: ModelSettings;
    readonly accountModel: Pick<ModelSettings, "runs" | "seed">;
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
const ACCOUNT_RUNS = 150;
/** A fifth of a minute. */
const ACCOUNTS_RUNS = 5_000;
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

/** The same for test/workers/account/model. */
export function accountModelSettings(environment: Readonly<Record<string, string | undefined>>) {
  const { ACCOUNT_MODEL_RUNS, ACCOUNT_MODEL_SEED } = environment;
  const { runs, seed } = modelSettings({ MODEL_RUNS: ACCOUNT_MODEL_RUNS, MODEL_SEED: ACCOUNT_MODEL_SEED });
  return { runs: ACCOUNT_MODEL_RUNS === undefined ? ACCOUNT_RUNS : runs, seed };
}

/** The same for test/unit/accounts. */
export function accountsModelSettings(
  environment: Readonly<Record<string, string | undefined>>,
): Omit<ModelSettings, "replayPath"> {
  const { ACCOUNTS_MODEL_RUNS, ACCOUNTS_MODEL_SEED, ACCOUNTS_MODEL_PATH } = environment;
  const { runs, seed } = modelSettings({ MODEL_RUNS: ACCOUNTS_MODEL_RUNS, MODEL_SEED: ACCOUNTS_MODEL_SEED });
  return {
    runs: ACCOUNTS_MODEL_RUNS === undefined ? ACCOUNTS_RUNS : runs,
    seed,
    path: ACCOUNTS_MODEL_PATH ?? null,
  };
}
