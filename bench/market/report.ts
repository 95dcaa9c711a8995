/** What a simulated market came to, as tables. */

import { table } from "../report/tables.ts";
import { type Target, target } from "../report/targets.ts";
import type { Played } from "./play.ts";
import type { MarketResult } from "./simulation.ts";

export interface MarketReport {
  readonly date: string;
  readonly seed: number;
  readonly seconds: number;
  readonly played: readonly Played[];
}

const percent = (part: number, digits = 1): string => `${(100 * part).toFixed(digits)} %`;
const whole = (count: number): string => count.toLocaleString("en");
const seconds = (ms: number): string => (ms / 1_000).toFixed(2);

export function renderMarket({ date, seed, seconds: took, played }: MarketReport): string {
  const names = [...new Set(played.map(({ scenario }) => scenario.name))];
  const parts = names.map((name) => renderScenario(played.filter(({ scenario }) => scenario.name === name)));
  const goals = goalsOf(played).map(({ name, wanted, measured, reached }) => [
    name,
    wanted,
    measured,
    reached === null ? null : reached ? "yes" : "NO",
  ]);
  return [
    `${date}; seed ${seed}; ${took.toFixed(0)} s`,
    ...parts,
    `Goals\n\n${table(["goal", "wanted", "measured", "reached"], goals)}`,
  ].join("\n\n");
}

/** The goals, and what they came to where their scenario was played. */
export function goalsOf(played: readonly Played[]): Target[] {
  const of = (name: string): MarketResult | undefined =>
    played.find(({ scenario, queue }) => scenario.name === name && queue === "core")?.result;
  const gaps = (of("reference")?.lanes ?? []).map(({ gap }) => gap?.stretch ?? 0);
  const idle = of("idle class")?.slots.wasted;
  return [
    target(
      "reference: widest gap in service, in largest charges",
      "≤",
      2,
      gaps.length === 0 ? null : Math.max(...gaps),
    ),
    target(
      "reference: a lane's share of any 1,000 dispatches off its weight, beyond one charge",
      "≤",
      1,
      of("reference")?.shareError.beyondOneCharge,
      " points",
    ),
    target("idle class: slots idle while a job waits", "≤", 0, idle === undefined ? null : 100 * idle, " %"),
    target("alike: the largest provider's part, × an equal one", "≤", 1.2, of("alike")?.largestProvider),
  ];
}

function renderScenario(played: readonly Played[]): string {
  const [first] = played;
  if (first === undefined) return "";
  const { name, about, daemons, lanes } = first.scenario;
  const accounts = lanes.reduce((sum, { backlogged, bursty }) => sum + backlogged + bursty, 0);
  return [
    `${name}: ${about}; ${whole(accounts)} accounts, ${whole(daemons)} daemons`,
    lanesTable(played),
    poolTable(played),
  ].join("\n\n");
}

function lanesTable(played: readonly Played[]): string {
  const rows = played.flatMap(({ queue, result }) =>
    result.lanes.map(({ lane, share, wanted, gap, jain, dispatched, p50, p99 }) => [
      `${queue}: ${lane}`,
      percent(share, 2),
      percent(wanted, 2),
      gap?.apart.toFixed(2) ?? null,
      gap?.stretch.toFixed(2) ?? null,
      jain?.toFixed(3) ?? null,
      whole(dispatched),
      seconds(p50),
      seconds(p99),
    ]),
  );
  return table(["lane", "used", "weight", "apart, U", "stretch, U", "Jain", "jobs", "p50 s", "p99 s"], rows);
}

function poolTable(played: readonly Played[]): string {
  const [{ scenario } = {}] = played;
  const rows: string[][] = [];
  const add = (name: string, valueOf: (result: MarketResult) => string): void => {
    rows.push([name, ...played.map(({ result }) => valueOf(result))]);
  };
  add("jobs asked for, served", ({ counts }) => `${whole(counts.asked)}, ${whole(counts.served)}`);
  add("refused: queue full, waited too long", ({ counts }) => `${whole(counts.full)}, ${whole(counts.late)}`);
  add("slots busy", ({ slots }) => percent(slots.busy));
  add("slots idle while a job waits", ({ slots }) => percent(slots.wasted));
  // Lanes have their shares only while all of them have jobs.
  if (scenario?.lanes.every(({ backlogged }) => backlogged > 0) === true) {
    add("a lane's share of 1,000 dispatches off its weight, points", ({ shareError }) => shareError.points.toFixed(2));
    add("… beyond one charge", ({ shareError }) => shareError.beyondOneCharge.toFixed(2));
  }
  if (scenario?.isUniform === true) {
    add("the largest provider, × an equal part", ({ largestProvider }) => largestProvider.toFixed(2));
  }
  if ((scenario?.flapping ?? 0) > 0) {
    add("lost with a daemon, moved", ({ counts }) => `${whole(counts.failed)}, ${whole(counts.moved)}`);
  }
  if ((scenario?.lying ?? 0) > 0) {
    add("false claims", ({ counts }) => whole(counts.unverified));
    add("… of the jobs of each quarter", ({ falsely }) => falsely.map((part) => percent(part, 2)).join(", "));
  }
  if ((scenario?.newcomers ?? 0) > 0) {
    add("newcomers with 50 jobs", ({ newcomers: { known, owners } }) => `${known} of ${owners}`);
    add("… after seconds, p50, p90", ({ newcomers: { known, p50, p90 } }) =>
      known === 0 ? "–" : `${p50.toFixed(0)}, ${p90.toFixed(0)}`,
    );
  }
  return table(["all of it", ...played.map(({ queue }) => queue)], rows);
}
