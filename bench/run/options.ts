/** The command's flags. */

import { parseArgs } from "node:util";
import { FIRST_TOKEN, FULL_SPEED, PARTS } from "./scenarios.ts";

export interface Options {
  readonly rounds: number;
  readonly seconds: number;
  /** Names of scenarios and parts; null is all of them. */
  readonly only: ReadonlySet<string> | null;
  readonly json: boolean;
}

export const USAGE = `npm run bench -- [--rounds N] [--seconds S] [--only name,name] [--json]

  --rounds   rounds of every scenario, one after the other in each round (5)
  --seconds  how long each scenario runs in a round, after a second of warm-up (5)
  --only     some of: ${[...FULL_SPEED, ...FIRST_TOKEN].map(({ name }) => name).join(", ")},
             ${PARTS.join(", ")}
  --json     the numbers as JSON instead of tables`;

/** Reads the flags. Throws an error that says which one is wrong. */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "5" },
      only: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const known = new Set<string>([
    ...FULL_SPEED.map(({ name }) => name),
    ...FIRST_TOKEN.map(({ name }) => name),
    ...PARTS,
  ]);
  const only = values.only === undefined ? null : new Set(values.only.split(","));
  for (const name of only ?? []) if (!known.has(name)) throw new Error(`--only: there is nothing called ${name}`);
  return {
    rounds: positive("rounds", values.rounds),
    seconds: positive("seconds", values.seconds),
    only,
    json: values.json,
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0) || (name === "rounds" && !Number.isInteger(value)))
    throw new Error(`--${name}: ${text} is no such number`);
  return value;
}
