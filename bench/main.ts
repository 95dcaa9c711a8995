/** `npm run bench`: measures this checkout beside a hello Worker, a plain proxy and Portkey's gateway (docs/performance.md). */

import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { atTraffic, costOfMillion, type JobOperations } from "./measure/cost.ts";
import { peakBytes, runtimesOf, treeOf } from "./processes/usage.ts";
import { type Line, linesOf, type Report } from "./report/summary.ts";
import { renderReport } from "./report/tables.ts";
import { countJobs } from "./run/counts.ts";
import { measureDecisions } from "./run/decisions.ts";
import { type Options, readOptions, USAGE } from "./run/options.ts";
import { measureLog, measureRelay, measureSignatures } from "./run/parts.ts";
import { runRounds } from "./run/rounds.ts";
import { FIRST_TOKEN, FULL_SPEED, PARTS, type Part, type System } from "./run/scenarios.ts";
import { Systems } from "./run/systems.ts";
import { ROOT } from "./servers/bundle.ts";

const TMPFS = "/dev/shm";

/** The systems that what was chosen runs on. */
function systemsFor(chosen: (name: string) => boolean): Set<System> {
  const systems = [...FULL_SPEED, ...FIRST_TOKEN].filter(({ name }) => chosen(name)).map(({ system }) => system);
  if (chosen("relay")) systems.push("tollmill");
  if (["counts", "log", "signatures", "decisions"].some(chosen)) systems.push("account");
  return new Set(systems);
}

async function measure(options: Options, folder: string, state: string): Promise<Report> {
  const chosen = (name: string): boolean => options.only?.has(name) ?? true;
  const progress = (text: string): void => void process.stderr.write(`  ${text}\n`);
  const systems = new Systems(folder);
  try {
    progress(`bundling and starting; state in ${state}`);
    await systems.start(systemsFor(chosen));
    const { plain, counted } = systems;
    /** Does a part where it was chosen and what it runs on is there. */
    const part = async <N, T>(name: Part, network: N | null, work: (network: N) => Promise<T>): Promise<T | null> => {
      if (!PARTS.includes(name) || !chosen(name) || network === null) return null;
      progress(name);
      return await work(network);
    };
    // First of all, while the databases' logs are short enough to tell every commit.
    const counts = await part("counts", counted, (network) => countJobs(systems, network, join(folder, "counted")));
    const scenarios = (all: typeof FULL_SPEED) => all.filter(({ name }) => chosen(name));
    const fullSpeed = linesOf(await runRounds(systems, scenarios(FULL_SPEED), options, progress));
    const firstToken = linesOf(await runRounds(systems, scenarios(FIRST_TOKEN), options, progress));
    const relay = await part("relay", plain, () => measureRelay(systems, options.seconds));
    const signatures = await part("signatures", counted, measureSignatures);
    const decisions = await part("decisions", counted, measureDecisions);
    const log = await part("log", counted, measureLog);
    return {
      date: new Date().toISOString().slice(0, 10),
      machine: machine(),
      versions: versions(),
      state,
      rounds: options.rounds,
      seconds: options.seconds,
      missing: [...systems.missing].map(([system, reason]) => ({ system, reason })),
      fullSpeed,
      firstToken,
      peakBytes: peaks(systems),
      relay,
      counts,
      cost: counts === null ? null : costOf(counts.operations, fullSpeed),
      log,
      signatures,
      decisions,
    };
  } finally {
    await systems.stop();
  }
}

/**
 * What the counted job costs. The Worker's CPU is that of a whole job at full speed, where it was measured: while jobs are
 * counted the runtime is hardly warm, and what objects do with 60 frames is not billed by its CPU.
 */
function costOf(counted: JobOperations, fullSpeed: readonly Line[]): Report["cost"] {
  const micros = fullSpeed.find(({ name }) => name === "tollmill-16")?.cpuMicros?.median;
  const job = micros === undefined ? counted : { ...counted, cpuMs: micros / 1_000 };
  return { ...costOfMillion(job), usdAtTenfold: costOfMillion(atTraffic(job, 10)).usd };
}

function peaks(systems: Systems): Record<string, number> {
  const peaks: Record<string, number> = {};
  for (const [name, { pid }] of systems.endpoints) {
    const bytes = pid === null || name === "account" ? null : peakBytes(runtimesOf(treeOf(pid)));
    if (bytes !== null) peaks[name] = bytes;
  }
  return peaks;
}

function machine(): string {
  const [first] = cpus();
  return `${cpus().length} × ${first?.model.trim() ?? "unknown CPU"}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform}`;
}

function versions(): string {
  const versionOf = (name: string, folder = join(ROOT, "node_modules")) => {
    const file = join(folder, name, "package.json");
    return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version : "not installed";
  };
  const portkey = versionOf("@portkey-ai/gateway", join(ROOT, "bench", ".portkey", "node_modules"));
  return `Node ${process.versions.node}, workerd ${versionOf("workerd")}, miniflare ${versionOf("miniflare")}, Portkey ${portkey}`;
}

async function main(): Promise<void> {
  let options: Options;
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exitCode = 1;
    return;
  }
  const fast = existsSync(TMPFS);
  const folder = await mkdtemp(join(fast ? TMPFS : tmpdir(), "tollmill-bench-"));
  try {
    const report = await measure(options, folder, fast ? "memory (tmpfs)" : "the temporary folder (no tmpfs here)");
    console.log(options.json ? JSON.stringify(report, null, 2) : renderReport(report));
    if (report.missing.length > 0) process.exitCode = 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await main();
