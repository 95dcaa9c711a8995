/** The report as tables in Markdown, aligned so that they can be read in a terminal too. */

import { isCall } from "../run/counts.ts";
import { type Line, noiseLine, type Report } from "./summary.ts";
import { targetsOf } from "./targets.ts";

type Cell = string | number | null;

/** A table whose first column is text and whose others are numbers. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const text = [head, ...rows].map((row) => row.map((cell) => (cell === null ? "–" : String(cell))));
  const widths = head.map((_, column) => Math.max(...text.map((row) => [...(row[column] ?? "")].length), 3));
  const lines = text.map(
    (row) => `| ${row.map((cell, column) => pad(cell, widths[column] ?? 0, column)).join(" | ")} |`,
  );
  const rule = `| ${widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`;
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

function pad(cell: string, width: number, column: number): string {
  const space = " ".repeat(width - [...cell].length);
  return column === 0 ? cell + space : space + cell;
}

const round = (value: number | null | undefined, digits = 0): string | null =>
  value === null || value === undefined || Number.isNaN(value) ? null : value.toFixed(digits);

/** The whole report. */
export function renderReport(report: Report): string {
  const parts = [
    `${report.date}, ${report.machine}\n${report.versions}; state in ${report.state}; ${report.rounds} rounds of ${report.seconds} s`,
    ...report.missing.map(({ system, reason }) => `NOT MEASURED, as ${system} could not be started: ${reason}`),
    fullSpeedTable(report.fullSpeed),
    firstTokenTable(report.firstToken),
    memoryTable(report),
    countsTable(report),
    costTable(report),
    partsTable(report),
    `Targets\n\n${table(
      ["target", "wanted", "measured", "reached"],
      targetsOf(report).map(({ name, wanted, measured, reached }) => [
        name,
        wanted,
        measured,
        reached === null ? null : reached ? "yes" : "NO",
      ]),
    )}`,
    noiseLine(report),
  ];
  return parts.filter((part) => part !== null && part !== "").join("\n\n");
}

function fullSpeedTable(lines: readonly Line[]): string {
  if (lines.length === 0) return "";
  const head = [
    "32 at a time",
    "jobs/s",
    "min–max",
    "× hello",
    "× Portkey",
    "CPU µs/job",
    "× hello",
    "× Portkey",
    "errors",
  ];
  const rows = lines.map((line) => [
    line.name,
    round(line.jobsPerSecond.median),
    `${round(line.jobsPerSecond.min)}–${round(line.jobsPerSecond.max)}`,
    round(line.ratioToHello, 3),
    round(line.ratioToPortkey, 2),
    round(line.cpuMicros?.median),
    round(line.cpuToHello, 1),
    round(line.cpuToPortkey, 2),
    line.errors,
  ]);
  const errors = lines.flatMap(({ name, error }) => (error === null ? [] : [`${name}: ${error}`]));
  return [table(head, rows), ...errors].join("\n");
}

function firstTokenTable(lines: readonly Line[]): string {
  if (lines.length === 0) return "";
  const engine = lines.find(({ name }) => name === "engine-paced");
  const rows = lines.map(({ name, firstMs: { p50, p99 }, cpuMicros, errors }) => [
    name,
    round(p50, 2),
    round(p99, 2),
    engine === undefined ? null : round(p50 - engine.firstMs.p50, 2),
    engine === undefined ? null : round(p99 - engine.firstMs.p99, 2),
    round(cpuMicros?.median),
    errors,
  ]);
  return table(
    ["8 streams of 20 frames/s, first token", "p50 ms", "p99 ms", "added p50", "added p99", "CPU µs/job", "errors"],
    rows,
  );
}

function memoryTable({ peakBytes }: Report): string {
  const rows = Object.entries(peakBytes).map(([name, bytes]) => [name, round(bytes / 1e6)]);
  return rows.length === 0 ? "" : table(["peak memory (workerd, or Portkey's Node)", "MB"], rows);
}

function countsTable({ counts }: Report): string {
  if (counts === null) return "";
  const { perJob, commits, socket, operations } = counts;
  const count = (name: string) => round(perJob[name] ?? 0, 3);
  const calls = Object.keys(perJob).filter(isCall).sort();
  const rows: Cell[][] = [
    ...["Account", "Scheduler", "Relay", "D1"].flatMap((name) => [
      [`${name}: rows written`, count(`${name} rows written`)],
      [`${name}: rows read`, count(`${name} rows read`)],
    ]),
    ["alarms set", count("Account alarms set")],
    ["commits of accounts", round(commits.accounts, 3)],
    ["commits of D1", round(commits.d1, 3)],
    ...calls.map((name) => [`call ${name}`, count(name)]),
    ["messages from the daemon", count("Relay.webSocketMessage")],
    ["queue messages", count("queue messages")],
    ["queue bytes", count("queue bytes")],
    ["R2 writes", count("R2 puts")],
    ["bytes from the daemon for each token", round(socket.fromDaemon, 2)],
    ["bytes to the daemon for each token", round(socket.toDaemon, 2)],
    ["CPU ms", round(operations.cpuMs, 2)],
  ];
  return table([`a job of 5 s and 250 tokens does (mean of ${counts.jobs})`, "count"], rows);
}

function costTable({ cost }: Report): string {
  if (cost === null) return "";
  const rows: Cell[][] = cost.lines.map(({ name, sum, usd }) => [name, sum, usd.toFixed(3)]);
  return table(
    ["a million jobs cost", "for each job", "USD"],
    [
      ...rows,
      ["together", "", cost.usd.toFixed(2)],
      ["together, with ten times the traffic", "batches shared by ten times the jobs", cost.usdAtTenfold.toFixed(2)],
    ],
  );
}

function partsTable({ relay, log, signatures, decisions }: Report): string {
  const rows: Cell[][] = [];
  if (relay !== null) {
    rows.push([`one relay, ${relay.streams} streams: frames/s delivered`, round(relay.framesPerSecond)]);
    rows.push(["… of", round(relay.wantedFramesPerSecond)]);
    rows.push(["… share of one core", round(relay.cpuShare, 2)]);
    rows.push(["… ms late at the end, p99", round(relay.lateMs)]);
  }
  if (log !== null) {
    rows.push([`queue → R2 and D1: receipts/s of ${log.receipts}`, round(log.perSecond)]);
    rows.push(["… in the consumer's own time", round(log.consumerPerSecond)]);
    rows.push(["… CPU µs a receipt, with sending", round(log.cpuMicrosEach)]);
  }
  if (signatures !== null) {
    rows.push(["µs to sign", round(signatures.signMicros, 1)], ["µs to verify", round(signatures.verifyMicros, 1)]);
  }
  if (decisions !== null) {
    const { accounts, daemons, together, ended, enqueue, dispatch, call, toCall } = decisions;
    rows.push([`µs a decision, ${accounts} accounts waiting, ${daemons} daemons free`, round(together, 1)]);
    rows.push([
      "… to end a job, to take one in, to dispatch one",
      [ended, enqueue, dispatch].map((each) => round(each, 1)).join(", "),
    ]);
    rows.push(["µs of one call of an object", round(call, 1)], ["… decision × call", round(toCall, 3)]);
  }
  return rows.length === 0 ? "" : table(["single parts", "measured"], rows);
}
