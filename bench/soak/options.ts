/** The command's flags. */

import { parseArgs } from "node:util";

export interface SoakOptions {
  readonly minutes: number;
  readonly streams: number;
  readonly daemons: number;
  /** No more jobs than this are begun, however long it takes. */
  readonly jobs: number;
  /** Short jobs at full speed before anything is measured, which fill the runtime's caches and its stand-ins' heaps. */
  readonly warmUp: number;
  readonly seed: number;
  readonly json: boolean;
}

const DEFAULTS = { minutes: 30, streams: 200, daemons: 6, jobs: 200_000, warmUp: 100_000 } as const;

export const SOAK_USAGE = `npm run soak -- [--minutes M] [--streams N] [--daemons D] [--jobs J] [--warm-up W] [--seed S] [--json]

  --minutes  how long the load lasts (${DEFAULTS.minutes})
  --streams  streams at once (${DEFAULTS.streams})
  --daemons  daemons that share them, two at least (${DEFAULTS.daemons})
  --jobs     the load also ends after this many jobs (${DEFAULTS.jobs})
  --warm-up  short jobs at full speed before anything is measured (${DEFAULTS.warmUp})
  --seed     a number that decides who leaves when and which daemon breaks (drawn, and printed)
  --json     the numbers as JSON instead of tables`;

/** Reads the flags. Throws an error that says which one is wrong. */
export function readSoakOptions(args: readonly string[], drawn: number): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string" },
      streams: { type: "string" },
      daemons: { type: "string" },
      jobs: { type: "string" },
      "warm-up": { type: "string" },
      seed: { type: "string" },
      json: { type: "boolean", default: false },
    },
  });
  const whole = (name: "streams" | "daemons" | "jobs" | "warm-up" | "seed", least: number, otherwise: number) =>
    numberOf(name, values[name], least, otherwise, Number.isSafeInteger);
  return {
    minutes: numberOf("minutes", values.minutes, 0.1, DEFAULTS.minutes, Number.isFinite),
    streams: whole("streams", 1, DEFAULTS.streams),
    daemons: whole("daemons", 2, DEFAULTS.daemons),
    jobs: whole("jobs", 1, DEFAULTS.jobs),
    warmUp: whole("warm-up", 0, DEFAULTS.warmUp),
    seed: whole("seed", 0, drawn),
    json: values.json,
  };
}

function numberOf(
  name: string,
  text: string | undefined,
  least: number,
  otherwise: number,
  isOne: (value: number) => boolean,
): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!isOne(value) || value < least) throw new Error(`--${name}: ${text} is no such number`);
  return value;
}
