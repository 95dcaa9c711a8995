/** The accounts and daemons of a simulated market. */

import type { AccountId, DaemonId, JobId, NetworkId } from "../../core/ids.ts";
import { LANE_TABLE, type Lane } from "../../core/lanes.ts";
import { GENESIS_PARAMETERS } from "../../core/parameters.ts";
import { perThousand, scaledRate, type Tokens } from "../../core/pricing.ts";
import type { Random } from "../../core/random.ts";
import { NEW_SCORE } from "../../core/routing/score.ts";
import { UNMEASURED } from "../../core/routing/speed.ts";
import type { DaemonRecord } from "../../core/routing/standings.ts";
import type { DaemonOffer } from "../../core/scheduler/daemon.ts";
import type { QueuedJob } from "../../core/scheduler/waiting-job.ts";
import { between } from "../soak/random.ts";
import { exponential, oneOf, streamOf, whole } from "./draws.ts";
import type { Scenario } from "./scenario.ts";

const [ACCOUNT, DAEMON, ORDER] = [1, 2, 3];

export interface Account {
  readonly id: AccountId;
  readonly lane: Lane;
  /** What it weighs in its lane. */
  readonly weight: number;
  readonly reserved: boolean;
  /** Jobs that it always has waiting; 0 where it comes in bursts. */
  readonly depth: number;
  /** Jobs a second on average, where it comes in bursts. */
  readonly rate: number;
  readonly random: Random;
  /** What its jobs are like: some accounts ask for much longer answers than others. */
  readonly size: number;
}

export interface SimulatedDaemon {
  readonly offer: DaemonOffer;
  readonly random: Random;
  readonly isFlapping: boolean;
  readonly isLying: boolean;
  readonly isNewcomer: boolean;
}

/** What a job is said to need at its hold, and what it comes to. */
export interface JobSize {
  readonly estimate: Tokens;
  readonly used: Tokens;
}

/** Jobs after which an owner is no newcomer any more. */
export const KNOWN_JOBS = GENESIS_PARAMETERS.newcomerJobs;
/** What a model's daemons do in a second at least and at most, tokens a slot; a prompt is read ten times as fast. */
const SPEED = { least: 20, most: 60 };
export const PREFILL = 10;
const SLOTS = { least: 1, most: 5 };
/** What their power costs for 1,000 tokens, in nanoUSD. */
const LEAST_FLOOR = 10_000;
const NANO_USD_PER_KWH = 120_000_000;
const CAPS: readonly (readonly [tokens: number, chance: number])[] = [
  [256, 0.3],
  [1_024, 0.6],
  [4_096, 0.1],
];
/** The part of its cap that an answer has on average, and that a prompt has of its bound. */
const USED = 0.3;
const PROMPT = { least: 50, most: 1_500, part: 0.5 };
const OVERHEAD_MS = 100;

const CONTEXT = 8_192;
const RATE = { completion: 80_000, prompt: 20_000, per: 1_000 };
/** What a job pays at most where its lane has no fixed price. */
const MOST_BASIS_POINTS = 15_000;
const HOLD_MS = 780_000;
/** Whose members' jobs are private. All daemons serve them beside the others. */
const NETWORK = "ptn_market" as NetworkId;

/** The next job of an account: its bounds are far above what is used, or just that where a scenario says so. */
export function nextSize({ random, size }: Account, { isForeseen }: Scenario): JobSize {
  const cap = oneOf(random, CAPS);
  const completion = Math.min(cap, Math.max(1, Math.round(exponential(random, USED * cap * size))));
  const prompt = whole(random, PROMPT.least, PROMPT.most);
  const used = { prompt: Math.ceil(prompt * PROMPT.part), completion };
  return { estimate: isForeseen ? used : { prompt, completion: cap }, used };
}

/** The largest estimate that any job has. */
export function largestOf({ isForeseen }: Scenario): Tokens {
  const completion = Math.max(...CAPS.map(([cap]) => cap));
  return { prompt: isForeseen ? Math.ceil(PROMPT.most * PROMPT.part) : PROMPT.most, completion };
}

/** Whoever bids pays what is asked, however many wait: it is shares and waits that are looked at, not who can pay. */
const ANY_ASK = scaledRate(RATE, 100_000);

/** A job as it comes to the market. */
export function jobOf({ id, lane, weight, reserved }: Account, job: JobId, estimate: Tokens, now: number): QueuedJob {
  const { price, queueLimit } = LANE_TABLE[lane];
  return {
    job,
    account: id,
    flow: { lane, account: id, weight },
    network: lane === "private" ? NETWORK : null,
    reserved,
    rate: RATE,
    maxRate: price === "effective" ? scaledRate(RATE, MOST_BASIS_POINTS) : price === "ask" ? ANY_ASK : RATE,
    maxPrice: price === "ask" ? perThousand(ANY_ASK) : null,
    allotment: null,
    estimate,
    unbacked: false,
    context: estimate.prompt + estimate.completion,
    features: [],
    quantizations: null,
    only: null,
    ignore: [],
    excluded: [],
    enqueuedAt: now,
    waitUntil: now + GENESIS_PARAMETERS[queueLimit],
    holdExpiresAt: now + HOLD_MS,
  };
}

/** How long a daemon takes for a job, in milliseconds. */
export function serviceMs({ tokensPerSecond }: DaemonOffer, { prompt, completion }: Tokens): number {
  return OVERHEAD_MS + (1_000 * (completion + prompt / PREFILL)) / tokensPerSecond;
}

export function daemonsOf(scenario: Scenario, seed: number): SimulatedDaemon[] {
  const daemons: SimulatedDaemon[] = [];
  for (let owner = 0; daemons.length < scenario.daemons; owner++) {
    const random = streamOf(seed, DAEMON, owner);
    const conduct = random();
    const isLying = conduct < scenario.lying;
    const isFlapping = !isLying && conduct < scenario.lying + scenario.flapping;
    const isNewcomer = random() < scenario.newcomers;
    // Most owners have one daemon, some have a few.
    const own = scenario.isUniform || isNewcomer ? 1 : Math.min(whole(random, 1, 3), whole(random, 1, 3));
    for (let index = 0; index < own && daemons.length < scenario.daemons; index++) {
      const offer = offerOf(scenario, random, `p${owner}` as AccountId, `d${owner}.${index}` as DaemonId);
      daemons.push({ offer, random, isFlapping, isLying, isNewcomer });
    }
  }
  return daemons;
}

/** What is known of the daemons that have served before: nearly all of their jobs were good. */
export function recordsOf(daemons: readonly SimulatedDaemon[]): DaemonRecord[] {
  const known = daemons.filter(({ isNewcomer }) => !isNewcomer);
  return known.map(({ offer: { daemon, provider: owner } }) => ({
    daemon,
    owner,
    score: { ...NEW_SCORE, alpha: 98, beta: 2, verified: KNOWN_JOBS },
    speeds: UNMEASURED,
    quarantine: null,
  }));
}

function offerOf(
  { isUniform, mostFloor }: Scenario,
  random: Random,
  provider: AccountId,
  daemon: DaemonId,
): DaemonOffer {
  const speed = isUniform ? (SPEED.least + SPEED.most) / 2 : between(random, SPEED.least, SPEED.most);
  const floor = isUniform ? LEAST_FLOOR : between(random, LEAST_FLOOR, mostFloor);
  const slots = isUniform ? 3 : whole(random, SLOTS.least, SLOTS.most);
  return {
    daemon,
    relay: "relay/0",
    provider,
    quantization: "q4",
    slots,
    sharedSlots: slots,
    elsewhere: 0,
    context: CONTEXT,
    features: ["tools"],
    tokensPerSecond: speed,
    floor: {
      watts: Math.floor((floor * speed * 3.6e6) / (1_000 * 1.2 * NANO_USD_PER_KWH)),
      nano_usd_per_kwh: NANO_USD_PER_KWH,
      decode_millitokens_per_second: Math.round(1_000 * speed),
      prefill_millitokens_per_second: Math.round(1_000 * PREFILL * speed),
    },
    margin: null,
    accepts: "any",
    networks: [NETWORK],
    loaded: true,
    draining: false,
  };
}

export function accountsOf(scenario: Scenario, daemons: readonly SimulatedDaemon[], seed: number): Account[] {
  const capacity = capacityOf(daemons);
  const accounts: Account[] = [];
  for (const { lane, backlogged, bursty, load, reserved = 0 } of scenario.lanes) {
    for (let index = 0; index < backlogged + bursty; index++) {
      const random = streamOf(seed, ACCOUNT, accounts.length);
      const isBacklogged = index < backlogged;
      accounts.push({
        id: `a${accounts.length}` as AccountId,
        lane,
        weight: weightIn(lane, random),
        reserved: index < reserved,
        // Some flood: a queue by arrival would give them more than the others.
        depth: isBacklogged
          ? oneOf(random, [
              [2, 0.9],
              [4, 0.1],
            ] as const)
          : 0,
        rate: isBacklogged ? 0 : (load * capacity) / bursty,
        random,
        // And some ask for long answers: a queue in turns would give them more.
        size: oneOf(random, [
          [0.5, 0.5],
          [1.5, 0.5],
        ] as const),
      });
    }
  }
  // They come in no order, so that a queue by arrival has no lane behind another one.
  const order = streamOf(seed, ORDER, 0);
  return accounts
    .map((account) => ({ account, at: order() }))
    .sort((a, b) => a.at - b.at)
    .map(({ account }) => account);
}

function weightIn(lane: Lane, random: Random): number {
  if (lane === "included") return whole(random, 200, 1_000) * 1_000_000;
  return lane === "dedicated"
    ? oneOf(random, [
        [1, 0.7],
        [4, 0.3],
      ] as const)
    : 1;
}

/** Jobs a second that all daemons together can serve. */
export function capacityOf(daemons: readonly SimulatedDaemon[]): number {
  const completion = CAPS.reduce((sum, [cap, chance]) => sum + chance * cap * meanPart(), 0);
  const prompt = (PROMPT.part * (PROMPT.least + PROMPT.most)) / 2;
  return daemons.reduce((sum, { offer }) => sum + (1_000 * offer.slots) / serviceMs(offer, { prompt, completion }), 0);
}

/** What is used of a cap on average, by accounts of both sizes, as nothing goes beyond the cap. */
function meanPart(): number {
  const of = (mean: number) => mean * (1 - Math.exp(-1 / mean));
  return (of(0.5 * USED) + of(1.5 * USED)) / 2;
}
