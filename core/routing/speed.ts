/** How fast a daemon is, measured over its verified jobs (economics.md §2). */

import type { ElectricityFloor } from "../pricing.ts";

/** Tokens a second; null where a job was too short to tell. */
export interface SpeedSample {
  readonly decode: number | null;
  readonly prefill: number | null;
}

interface Average {
  /** Jobs that it was measured over. */
  readonly jobs: number;
  readonly tokensPerSecond: number;
}

export interface Speeds {
  readonly decode: Average;
  readonly prefill: Average;
}

const NONE: Average = { jobs: 0, tokensPerSecond: 0 };
export const UNMEASURED: Speeds = { decode: NONE, prefill: NONE };

/** Measured speeds count once there are as many jobs; until then what the daemon declares does. */
const TELLING_JOBS = 5;
/** What a job more weighs in an average, at least. */
const WEIGHT = 0.2;
/** Shorter ones would measure the way between daemon and relay, and how frames are cut, rather than the engine. */
const LEAST_COMPLETION = 32;
const LEAST_PROMPT = 256;
/** Far above any engine; it bounds what a clock that stood still makes of an answer. */
const FASTEST = 1_000_000;

/** What a relay saw of a job: its verified tokens, and its times in milliseconds since 1970. */
export interface Timed {
  readonly prompt: number;
  readonly completion: number;
  /** Tokens of the first frame, which came with its time. */
  readonly firstFrame: number;
  readonly acceptedAt: number;
  readonly firstTokenAt: number;
  readonly lastTokenAt: number;
}

/** How fast a job was read and answered. */
export function speedOf(job: Timed): SpeedSample {
  const { prompt, completion, firstFrame, acceptedAt, firstTokenAt, lastTokenAt } = job;
  return {
    decode: completion < LEAST_COMPLETION ? null : perSecond(completion - firstFrame, lastTokenAt - firstTokenAt),
    prefill: prompt < LEAST_PROMPT ? null : perSecond(prompt, firstTokenAt - acceptedAt),
  };
}

function perSecond(tokens: number, ms: number): number | null {
  return tokens <= 0 || ms <= 0 ? null : Math.min((tokens * 1_000) / ms, FASTEST);
}

/** Speeds with one more job: the mean of the first ones, and then an average that forgets. */
export function measured({ decode, prefill }: Speeds, sample: SpeedSample): Speeds {
  return { decode: averaged(decode, sample.decode), prefill: averaged(prefill, sample.prefill) };
}

function averaged(before: Average, sample: number | null): Average {
  if (sample === null) return before;
  const jobs = before.jobs + 1;
  const weight = Math.max(WEIGHT, 1 / jobs);
  return { jobs, tokensPerSecond: before.tokensPerSecond + (sample - before.tokensPerSecond) * weight };
}

/** A measured speed in tokens a second, or null while too few jobs tell it. */
export function told({ jobs, tokensPerSecond }: Average): number | null {
  return jobs < TELLING_JOBS ? null : tokensPerSecond;
}

/** A floor as it was declared, with the speeds that are measured in place of those. */
export function measuredFloor(declared: ElectricityFloor, speeds: Speeds): ElectricityFloor {
  const decode = told(speeds.decode);
  const prefill = told(speeds.prefill);
  return {
    ...declared,
    ...(decode === null ? {} : { decode_millitokens_per_second: milli(decode) }),
    ...(prefill === null ? {} : { prefill_millitokens_per_second: milli(prefill) }),
  };
}

/** Speeds closer than this are taken for the same, so that a price does not move with every job. */
const LIKE = 0.05;

/** Whether two floors of a daemon are of much the same speeds. */
export function isLike(a: ElectricityFloor, b: ElectricityFloor): boolean {
  const close = (x: number, y: number): boolean => Math.abs(x - y) <= LIKE * y;
  return (
    close(a.decode_millitokens_per_second, b.decode_millitokens_per_second) &&
    close(a.prefill_millitokens_per_second, b.prefill_millitokens_per_second)
  );
}

function milli(tokensPerSecond: number): number {
  return Math.max(1, Math.round(tokensPerSecond * 1_000));
}
