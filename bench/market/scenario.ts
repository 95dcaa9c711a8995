/** What a simulated market is like: how large, who asks for how much, and who serves how well. */

import type { Lane } from "../../core/lanes.ts";

/** The accounts of one lane. */
export interface LanePlan {
  readonly lane: Lane;
  /** Accounts that always have jobs waiting, as many at a time as is drawn for each of them. */
  readonly backlogged: number;
  /** Of those, accounts whose jobs run in slots that their packages reserve. */
  readonly reserved?: number;
  /** Accounts that ask in bursts: on for a while, then off. */
  readonly bursty: number;
  /** The part of the network's capacity that those who come in bursts ask for on average. */
  readonly load: number;
}

export interface Scenario {
  readonly name: string;
  readonly about: string;
  readonly lanes: readonly LanePlan[];
  readonly daemons: number;
  /** How long it goes on, and from when on it is measured. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** Whether all daemons are alike: slots, speed, power and what they ask for. */
  readonly isUniform: boolean;
  /** Whether what a job uses is known before, so that nothing has to be corrected. */
  readonly isForeseen: boolean;
  /** What the power of 1,000 tokens costs the dearest daemon, in nanoUSD; the catalog's price is 80,000. */
  readonly mostFloor: number;
  /** Whether queues that know of no shares are played, too. */
  readonly isCompared: boolean;
  /** How much the load of a day goes up and down, as a part of its mean; the day is as long as the simulation. */
  readonly swing: number;
  /** Times at which very many accounts ask at once. */
  readonly rushes: number;
  /** The parts of all daemons that come and go, whose claims fail, and whose owners have never served before. */
  readonly flapping: number;
  readonly lying: number;
  readonly newcomers: number;
}

/** How large all is: the full size, or a small one that takes a second. */
export interface Scale {
  /** What the accounts and daemons of the full size are divided by. */
  readonly divisor: number;
  readonly seconds: number;
}

export const FULL: Scale = { divisor: 1, seconds: 60 };
export const SMALL: Scale = { divisor: 50, seconds: 30 };

/** Lanes by their shares where all wait, with accounts that always do in the full size: so many that each is served often. */
const LANE_PARTS: readonly (readonly [lane: Lane, load: number, backlogged: number])[] = [
  ["private", 0.7, 2_000],
  ["included", 0.045, 300],
  ["dedicated", 0.09, 500],
  ["public", 0.15, 1_000],
  ["league", 0.015, 100],
];
const ACCOUNTS = 100_000;
const DAEMONS = 10_000;
const WARM_UP = 0.2;
/** What those ask for who come in bursts beside those who always wait. */
const BESIDE = 0.1;

function lasting(seconds: number): Pick<Scenario, "seconds" | "warmUpSeconds"> {
  return { seconds, warmUpSeconds: WARM_UP * seconds };
}

/** All scenarios at a scale, by their names. */
export function scenariosAt({ divisor, seconds }: Scale): Scenario[] {
  const few = (count: number, least: number): number => Math.max(least, Math.round(count / divisor));
  const base = {
    daemons: few(DAEMONS, 40),
    ...lasting(seconds),
    isUniform: false,
    isForeseen: false,
    mostFloor: 75_000,
    isCompared: false,
    swing: 0,
    rushes: 0,
    flapping: 0,
    lying: 0,
    newcomers: 0,
  };
  /** Every lane with accounts that always wait, and others who come beside them. */
  const saturated = (lanes: typeof LANE_PARTS): LanePlan[] =>
    lanes.map(([lane, part, backlogged]) => ({
      lane,
      backlogged: few(backlogged, 10),
      ...(lane === "dedicated" ? { reserved: few(50, 2) } : {}),
      bursty: few(ACCOUNTS / lanes.length - backlogged, 20),
      load: BESIDE * part,
    }));
  const bursty = (load: number, accounts = ACCOUNTS): LanePlan[] =>
    LANE_PARTS.map(([lane, part]) => ({
      lane,
      backlogged: 0,
      bursty: few(accounts / LANE_PARTS.length, 40),
      load: load * part,
    }));
  return [
    {
      ...base,
      name: "reference",
      about: "every lane always has jobs waiting, and estimates are what is used",
      lanes: saturated(LANE_PARTS),
      isForeseen: true,
      isCompared: true,
    },
    {
      ...base,
      name: "saturated",
      about: "every lane always has jobs waiting, and estimates are far above what is used",
      lanes: saturated(LANE_PARTS),
    },
    {
      ...base,
      name: "day",
      about: "a day's load at 85 % of what can be served, with rushes",
      lanes: bursty(0.85),
      mostFloor: 100_000,
      isCompared: true,
      swing: 0.2,
      rushes: 3,
    },
    {
      ...base,
      name: "idle class",
      about: "private has no jobs, the open lanes always do",
      lanes: saturated(LANE_PARTS.filter(([lane]) => lane !== "private")),
    },
    {
      ...base,
      name: "alike",
      about: "daemons with equal asks, speed and quality, at 85 %",
      lanes: bursty(0.85, ACCOUNTS / 10),
      // Few of them for long: each has so many jobs that their sizes alone make none much larger than another.
      daemons: few(DAEMONS / 10, 40),
      ...lasting(20 * seconds),
      isUniform: true,
    },
    {
      ...base,
      name: "unreliable",
      about: "a fifth of the daemons comes and goes, 2 % hand in false claims, 5 % are new",
      lanes: bursty(0.75),
      // So long that newcomers can become known.
      ...lasting(5 * seconds),
      mostFloor: 100_000,
      flapping: 0.2,
      lying: 0.02,
      newcomers: 0.05,
    },
  ];
}

/** A scenario by its name. */
export function scenarioOf(name: string, scale: Scale): Scenario {
  const found = scenariosAt(scale).find((scenario) => scenario.name === name);
  if (found === undefined) throw new Error(`there is no scenario called ${name}`);
  return found;
}
