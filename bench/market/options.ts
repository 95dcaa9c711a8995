/** The command's flags. */

import { parseArgs } from "node:util";
import { FULL, type Scale, SMALL, scenariosAt } from "./scenario.ts";

export interface MarketOptions {
  readonly seed: number;
  readonly scale: Scale;
  /** Names of scenarios; null is all of them. */
  readonly only: ReadonlySet<string> | null;
  readonly json: boolean;
}

const NAMES = scenariosAt(FULL).map(({ name }) => name);

export const MARKET_USAGE = `npm run market -- [--seed S] [--small] [--only name,name] [--json]

  --seed   a number that decides what happens (7)
  --small  few accounts and daemons: seconds rather than minutes
  --only   some of: ${NAMES.join(", ")}
  --json   the numbers as JSON instead of tables`;

/** Reads the flags. Throws an error that says which one is wrong. */
export function readMarketOptions(args: readonly string[]): MarketOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: "string", default: "7" },
      small: { type: "boolean", default: false },
      only: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error(`--seed: ${values.seed} is no such number`);
  const only = values.only === undefined ? null : new Set(values.only.split(","));
  for (const name of only ?? []) if (!NAMES.includes(name)) throw new Error(`--only: there is nothing called ${name}`);
  return { seed, scale: values.small ? SMALL : FULL, only, json: values.json };
}
