/** What a soak of accounts came to, as tables. */

import { table } from "../report/tables.ts";
import type { Failure, Played } from "./batches.ts";
import type { AccountsSoakOptions } from "./options.ts";

export interface AccountsSoakReport {
  readonly date: string;
  readonly options: AccountsSoakOptions;
  readonly runs: number;
  readonly seconds: number;
  readonly events: Readonly<Record<string, number>>;
  readonly answers: Readonly<Record<string, number>>;
  readonly failures: readonly Failure[];
}

type Sums = Pick<AccountsSoakReport, "runs" | "events" | "answers" | "failures">;
export const NOTHING: Sums = { runs: 0, events: {}, answers: {}, failures: [] };

/** What was played so far, with one more batch. */
export function withBatch(sums: Sums, { runs, events, answers, failure }: Played): Sums {
  return {
    runs: sums.runs + runs,
    events: added(sums.events, events),
    answers: added(sums.answers, answers),
    failures: failure === null ? sums.failures : [...sums.failures, failure],
  };
}

function added(counts: Readonly<Record<string, number>>, more: Readonly<Record<string, number>>) {
  const sums: Record<string, number> = { ...counts };
  for (const [name, count] of Object.entries(more)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}

const whole = (count: number): string => count.toLocaleString("en");
const total = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

/** One line while it runs. */
export function accountsProgress({ runs, events, failures }: Sums, wanted: number, seconds: number): string {
  const speed = runs / Math.max(1, seconds);
  return `${seconds.toFixed(0)} s: ${whole(runs)} of ${whole(wanted)} runs, ${speed.toFixed(0)} a second, ${whole(total(events))} events, ${failures.length} failures`;
}

export function renderAccountsSoak(report: AccountsSoakReport): string {
  const { date, options, runs, seconds, events, answers, failures } = report;
  const byCount = (counts: Readonly<Record<string, number>>) =>
    Object.entries(counts)
      .sort((a, b) => b[1] - a[1])
      .map(([name, count]) => [name, whole(count)] as const);
  return [
    `${date}; seed ${options.seed}, ${options.workers} workers`,
    table(
      ["what", "count"],
      [
        ["runs", whole(runs)],
        ["events", whole(total(events))],
        ["seconds", seconds.toFixed(0)],
        ["runs a second", (runs / seconds).toFixed(0)],
        ["failures", whole(failures.length)],
      ],
    ),
    table(["events", "count"], byCount(events)),
    table(["answers", "count"], byCount(answers)),
    ...failures.map(renderFailure),
  ].join("\n\n");
}

function renderFailure({ seed, path, error, steps }: Failure): string {
  return `FAILED: ${error}
  play it again: ACCOUNTS_MODEL_SEED=${seed} ACCOUNTS_MODEL_PATH=${path} npm test -- unit test/unit/accounts/model.test.ts
  its steps: ${steps}`;
}
