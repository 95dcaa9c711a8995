/** The soak's report as tables. */

import { table } from "../report/tables.ts";
import type { Check, Outcome } from "./checks.ts";
import type { SoakOptions } from "./options.ts";
import type { Memory, Sample } from "./sample.ts";

/** Rows of the table over time; with --json all samples are there. */
const ROWS = 16;

export interface SoakReport extends Pick<Outcome, "before" | "samples" | "after"> {
  readonly date: string;
  readonly options: SoakOptions;
  /** How long the load lasted, and how long it took until nothing was open any more. */
  readonly loadSeconds: number;
  readonly drainSeconds: number;
  /** Receipts by their outcome. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly checks: readonly Check[];
}

export function renderSoak(report: SoakReport): string {
  const { options, after, checks, loadSeconds, drainSeconds, outcomes } = report;
  const { minutes, streams, daemons, seed } = options;
  const { clients, supply } = after;
  const counts = (record: Readonly<Record<string, number>>) =>
    Object.entries(record)
      .map(([name, count]) => `${count} ${name}`)
      .join(", ") || "none";
  const jobs = [
    ["begun", clients.begun],
    ["whole", clients.whole],
    ["left before the first token", clients.leftBeforeToken],
    ["left after it", clients.leftAfterToken],
    ["given up, as nothing was read", clients.givenUp],
    ["failed", Object.values(clients.failed).reduce((sum, count) => sum + count, 0)],
    ["broken", clients.broken.length],
    ["jobs/s", (clients.begun / loadSeconds).toFixed(1)],
  ] as const;
  return [
    `${report.date}; ${minutes} minutes, ${streams} streams, ${daemons} daemons, seed ${seed}`,
    timeTable(report),
    table(["calls", "count"], jobs),
    `errors: ${counts(clients.failed)}
receipts: ${counts(outcomes)}
restarts: ${counts(supply.restarts)}; ${supply.lost} jobs lost with them, ${supply.broughtAgain} claims brought again
claims: ${supply.settled} settled, refused: ${counts(supply.refused)}; ${supply.pauses} pauses
drained in ${drainSeconds.toFixed(1)} s`,
    table(
      ["what has to hold", "detail", "holds"],
      checks.map(({ name, detail, ok }) => [name, detail, ok ? "yes" : "NO"]),
    ),
  ].join("\n\n");
}

function timeTable({ before, samples, after }: SoakReport): string {
  const step = Math.max(1, Math.ceil(samples.length / ROWS));
  const shown = samples.filter((_, index) => index % step === 0 || index === samples.length - 1);
  const mb = (bytes: number | null) => (bytes === null ? null : (bytes / 1e6).toFixed(1));
  const memory = ({ residentBytes, heapBytes, simulatorBytes, sockets }: Memory) => [
    mb(residentBytes),
    mb(heapBytes),
    mb(simulatorBytes),
    sockets,
  ];
  const row = (name: string, sample: Sample) => {
    const { clients } = sample;
    const failed = Object.values(clients.failed).reduce((sum, count) => sum + count, 0);
    const left = clients.leftBeforeToken + clients.leftAfterToken;
    return [
      name,
      ...memory(sample),
      sample.openHolds,
      sample.waiting,
      `${sample.free}/${sample.slots}`,
      clients.whole,
      left,
      failed,
      sample.logged,
    ];
  };
  return table(
    [
      "seconds",
      "RSS MB",
      "heap MB",
      "simulators MB",
      "sockets",
      "holds",
      "waiting",
      "free",
      "whole",
      "left",
      "failed",
      "logged",
    ],
    [
      ["before", ...memory(before), null, null, null, null, null, null, null],
      ...shown.map((sample) => row(sample.at.toFixed(0), sample)),
      row("drained", after),
    ],
  );
}

/** One line while it runs. */
export function progressLine(sample: Sample): string {
  const { clients, supply } = sample;
  const failed = Object.values(clients.failed).reduce((sum, count) => sum + count, 0);
  const mb = (bytes: number | null) => (bytes === null ? "?" : (bytes / 1e6).toFixed(0));
  return (
    `${sample.at.toFixed(0)} s: ${mb(sample.residentBytes)} MB, heap ${mb(sample.heapBytes)} MB; ` +
    `${clients.open} open, ${sample.openHolds} holds, ${sample.waiting} waiting, ${sample.free}/${sample.slots} free; ` +
    `${clients.whole} whole, ${clients.leftBeforeToken + clients.leftAfterToken} left, ${failed} failed, ` +
    `${clients.broken.length} broken; ${supply.connected} daemons, ${sample.logged} logged`
  );
}
