/** What was aimed at, beside what was measured. */

import { TOKENS } from "../run/scenarios.ts";
import type { Line, Report } from "./summary.ts";

export interface Target {
  readonly name: string;
  readonly wanted: string;
  /** Null where this run has not measured it. */
  readonly measured: string | null;
  readonly reached: boolean | null;
}

type Relation = "≥" | "≤";

/** A bound beside what was measured; null and NaN are what was not. */
export function target(
  name: string,
  relation: Relation,
  bound: number,
  value: number | null | undefined,
  unit = "",
): Target {
  const wanted = `${relation} ${bound.toLocaleString("en")}${unit}`;
  if (value === null || value === undefined || Number.isNaN(value))
    return { name, wanted, measured: null, reached: null };
  const measured = `${Number(value.toPrecision(3)).toLocaleString("en")}${unit}`;
  return { name, wanted, measured, reached: relation === "≥" ? value >= bound : value <= bound };
}

/** All targets of the full path, in the order in which docs/performance.md shows them. */
export function targetsOf(report: Report): Target[] {
  const line = (name: string): Line | undefined =>
    [...report.fullSpeed, ...report.firstToken].find((one) => one.name === name);
  const [sixteen, one, account] = [line("tollmill-16"), line("tollmill-1"), line("hold-post")];
  const [engine, paced] = [line("engine-paced"), line("tollmill-paced")];
  const added = (share: "p50" | "p99") =>
    engine === undefined || paced === undefined ? null : paced.firstMs[share] - engine.firstMs[share];
  const { counts, log, relay, signatures, decisions } = report;
  const each = (name: string) => (counts === null ? null : (counts.perJob[name] ?? 0));
  // The network signs a receipt, and again in the log's consumer to prove it; the relay verifies one claim.
  const signing = signatures === null ? null : 2 * signatures.signMicros + signatures.verifyMicros;
  const cpu = sixteen?.cpuMicros?.median ?? null;
  const keepsUp = relay === null ? null : relay.framesPerSecond / relay.wantedFramesPerSecond;
  return [
    target("streams/s at 16 tokens a frame, × Portkey", "≥", 1.5, sixteen?.ratioToPortkey),
    target("streams/s at 1 token a frame, × Portkey", "≥", 0.9, one?.ratioToPortkey),
    target("CPU a job at 16 tokens a frame, × Portkey", "≤", 0.8, sixteen?.cpuToPortkey),
    target("CPU a job at 16 tokens a frame, × hello", "≤", 15, sixteen?.cpuToHello),
    target("added first-token time, p50", "≤", 2, added("p50"), " ms"),
    target("added first-token time, p99", "≤", 10, added("p99"), " ms"),
    target("hold + post, × hello", "≥", 0.3, account?.ratioToHello),
    target("rows of hold + post", "≤", 2, each("Account rows written")),
    target("commits of hold + post", "≤", 2, counts?.commits.accounts),
    target("queue → R2 and D1, receipts/s", "≥", 10_000, log?.perSecond),
    target(
      `signing and verifying, share of a job's CPU (${TOKENS} tokens, 16 a frame)`,
      "≤",
      15,
      signing === null || cpu === null ? null : (100 * signing) / cpu,
      " %",
    ),
    target("a million jobs", "≤", 4, report.cost?.usd, " USD"),
    target("bytes from the daemon for each output token", "≤", 10, counts?.socket.fromDaemon),
    target(
      `one relay with ${relay?.streams ?? 100} streams at 20 frames/s, frames delivered of frames due`,
      "≥",
      0.98,
      keepsUp,
    ),
    target("the same, share of one core", "≤", 1, relay?.cpuShare),
    target("a scheduler's decision: 10,000 accounts waiting, 1,000 daemons free", "≤", 5, decisions?.together, " µs"),
  ];
}
