/** The command's flags. */

import { parseArgs } from "node:util";

export interface AccountsSoakOptions {
  readonly runs: number;
  readonly seed: number;
  readonly workers: number;
  readonly json: boolean;
}

const RUNS = 1_000_000;

export const ACCOUNTS_SOAK_USAGE = `npm run soak:accounts -- [--runs N] [--seed S] [--workers W] [--json]

  --runs     networks of accounts that everything happens to (${RUNS.toLocaleString("en")})
  --seed     a number that decides what happens (drawn, and printed)
  --workers  processes that share the runs (one for each core)
  --json     the numbers as JSON instead of tables`;

/** Reads the flags. Throws an error that says which one is wrong. */
export function readAccountsSoakOptions(args: readonly string[], drawn: number, cores: number): AccountsSoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: "string" },
      seed: { type: "string" },
      workers: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const whole = (name: "runs" | "seed" | "workers", least: number, otherwise: number): number => {
    const text = values[name];
    const value = text === undefined ? otherwise : Number(text);
    if (!Number.isSafeInteger(value) || value < least) throw new Error(`--${name}: ${text} is no such number`);
    return value;
  };
  return {
    runs: whole("runs", 1, RUNS),
    seed: whole("seed", 0, drawn),
    workers: whole("workers", 1, cores),
    json: values.json,
  };
}
