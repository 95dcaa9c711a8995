/** From rounds to the numbers that are shown. */

import type { CostLine } from "../measure/cost.ts";
import { noiseOf, percentile, ratioOf, type Spread, spreadOf } from "../measure/statistics.ts";
import type { Counts } from "../run/counts.ts";
import type { DecisionResult } from "../run/decisions.ts";
import type { LogResult, RelayResult, SignatureResult } from "../run/parts.ts";
import type { Measured } from "../run/rounds.ts";

/** One scenario over its rounds. */
export interface Line {
  readonly name: string;
  readonly jobsPerSecond: Spread;
  /** CPU of the serving process tree for a job; null where it cannot be read. */
  readonly cpuMicros: Spread | null;
  /** Jobs per second and CPU as multiples of hello's in the same rounds. */
  readonly ratioToHello: number | null;
  readonly cpuToHello: number | null;
  /** The same as multiples of Portkey's with the same answer; null where it has none. */
  readonly ratioToPortkey: number | null;
  readonly cpuToPortkey: number | null;
  readonly firstMs: { readonly p50: number; readonly p99: number };
  readonly errors: number;
  readonly error: string | null;
}

export interface Report {
  readonly date: string;
  readonly machine: string;
  readonly versions: string;
  readonly state: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly missing: readonly { readonly system: string; readonly reason: string }[];
  readonly fullSpeed: readonly Line[];
  readonly firstToken: readonly Line[];
  /** Peak resident bytes of each system: of workerd alone where it is what serves. */
  readonly peakBytes: Readonly<Record<string, number>>;
  readonly relay: RelayResult | null;
  readonly counts: Counts | null;
  readonly cost: { readonly lines: readonly CostLine[]; readonly usd: number; readonly usdAtTenfold: number } | null;
  readonly log: LogResult | null;
  readonly signatures: SignatureResult | null;
  readonly decisions: DecisionResult | null;
}

/** Sums up all scenarios of one kind of round, each beside hello and Portkey of the same rounds. */
export function linesOf(measured: readonly Measured[]): Line[] {
  const find = (name: string) => measured.find(({ scenario }) => scenario.name === name) ?? null;
  const hello = find("hello");
  return measured.map((one) => {
    const portkey = find(one.scenario.name.replace(/^\w+-/, "portkey-"));
    const results = one.rounds;
    const cpu = cpuOf(one);
    const first = results.flatMap(({ firstMs }) => firstMs);
    return {
      name: one.scenario.name,
      jobsPerSecond: spreadOf(rateOf(one)),
      cpuMicros: cpu === null ? null : spreadOf(cpu),
      ratioToHello: hello === null ? null : ratioOf(rateOf(one), rateOf(hello)),
      cpuToHello: compared(cpu, hello),
      ratioToPortkey: portkey === null ? null : ratioOf(rateOf(one), rateOf(portkey)),
      cpuToPortkey: compared(cpu, portkey),
      firstMs: { p50: percentile(first, 0.5), p99: percentile(first, 0.99) },
      errors: results.reduce((sum, { errors }) => sum + errors, 0),
      error: results.find(({ error }) => error !== null)?.error ?? null,
    };
  });
}

function rateOf({ rounds }: Measured): number[] {
  return rounds.map(({ jobs, seconds }) => jobs / seconds);
}

function cpuOf({ rounds }: Measured): number[] | null {
  const known = rounds.flatMap(({ cpuMicros, jobs }) =>
    cpuMicros === null || cpuMicros === 0 ? [] : [cpuMicros / jobs],
  );
  return known.length === rounds.length ? known : null;
}

function compared(cpu: readonly number[] | null, other: Measured | null): number | null {
  const others = other === null ? null : cpuOf(other);
  return cpu === null || others === null ? null : ratioOf(cpu, others);
}

/** The spread of hello over its rounds, for whoever reads this by machine; null where hello did not run. */
export function noiseLine({ fullSpeed }: Report): string | null {
  const hello = fullSpeed.find(({ name }) => name === "hello");
  if (hello === undefined) return null;
  const { median, min, max } = hello.jobsPerSecond;
  return `noise hello_jobs_per_second=${median.toFixed(0)} min=${min.toFixed(0)} max=${max.toFixed(0)} spread=${noiseOf(hello.jobsPerSecond).toFixed(3)}`;
}
