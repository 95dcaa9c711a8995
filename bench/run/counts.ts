/** What one job of 5 s and 250 tokens does: counted in a network whose bundle has counters around it, and on its sockets. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { bodyFor } from "../engine/answer.ts";
import type { Traffic } from "../engine/daemon.ts";
import type { LoadCall, LoadResult } from "../load.ts";
import type { JobOperations } from "../measure/cost.ts";
import { CommitCounter, readWal, type Wal } from "../measure/wal.ts";
import { MODEL, type Network } from "../servers/network.ts";
import { NATURAL } from "./scenarios.ts";
import { chatOf, type Systems } from "./systems.ts";

/** As many streams as the cost assumes that a relay carries. */
const CLIENTS = 32;
const JOBS_EACH = 3;
/** Longer than a receipt waits in the relay and in the queue. */
const LOG_MS = 8_000;
/** How often the logs of commits are read: far more often than objects are evicted. */
const LOOK_MS = 500;

export interface Counts {
  readonly jobs: number;
  /** Means for each job, by what was counted. */
  readonly perJob: Readonly<Record<string, number>>;
  /** Commits of accounts' storage and of D1's. */
  readonly commits: { readonly accounts: number; readonly d1: number };
  /** Bytes for each output token. */
  readonly socket: { readonly fromDaemon: number; readonly toDaemon: number };
  readonly operations: JobOperations;
}

/** Runs the jobs and counts. The accounts have had a job before, as a busy account's alarm is set long since. */
export async function countJobs(systems: Systems, network: Network, folder: string): Promise<Counts> {
  const warm = { tokens: 16, piece: 16, every: 0 };
  const base = {
    ...chatOf(network),
    method: "POST" as const,
    stream: true,
    clients: CLIENTS,
    seconds: 0,
    warmUpSeconds: 0,
  };
  const run = (call: LoadCall) => systems.load.call<LoadResult>("run", call);
  const before = (await network.status()).log.size;
  await run({ ...base, body: bodyFor(MODEL, warm, true), spreadMs: 0, jobsEach: 1 });
  await network.until(({ log }) => log.size === before + CLIENTS, 30_000);

  const trafficBefore = await trafficOf(systems, network);
  const counter = new CommitCounter();
  counter.look(walsOf(folder), true);
  // An object that rests is evicted, and its log is begun anew.
  const looking = setInterval(() => counter.look(walsOf(folder)), LOOK_MS);
  await fetch(`${network.origin}/bench/begin`);
  const jobs = CLIENTS * JOBS_EACH;
  let result: LoadResult;
  try {
    result = await run({ ...base, body: bodyFor(MODEL, NATURAL, true), spreadMs: 5_000, jobsEach: JOBS_EACH });
    if (result.jobs !== jobs)
      throw new Error(`${jobs - result.jobs} jobs failed while counting: ${result.error ?? ""}`);
    // Nothing is asked while it counts: the answer to whether the log has all would be counted too.
    await pause(LOG_MS);
  } finally {
    clearInterval(looking);
  }
  counter.look(walsOf(folder));
  const trafficAfter = await trafficOf(systems, network);
  const total = (await (await fetch(`${network.origin}/bench/counts`)).json()) as Record<string, number>;
  const { size } = (await network.status()).log;
  if (size !== before + CLIENTS + jobs)
    throw new Error(`${before + CLIENTS + jobs - size} receipts came too late to count`);
  const perJob = Object.fromEntries(Object.entries(total).map(([name, count]) => [name, count / jobs]));
  const perToken = (bytes: number) => bytes / jobs / NATURAL.tokens;
  return {
    jobs,
    perJob,
    commits: { accounts: counter.total("-Account/") / jobs, d1: counter.total("D1DatabaseObject/") / jobs },
    socket: {
      fromDaemon: perToken(trafficAfter.sent - trafficBefore.sent),
      toDaemon: perToken(trafficAfter.received - trafficBefore.received),
    },
    operations: operationsOf(perJob, (result.cpuMicros ?? 0) / jobs / 1_000, result),
  };
}

function operationsOf(perJob: Readonly<Record<string, number>>, cpuMs: number, result: LoadResult): JobOperations {
  const count = (name: string) => perJob[name] ?? 0;
  const objects = ["Account", "Scheduler", "Relay"];
  const all = (what: string) => objects.reduce((sum, name) => sum + count(`${name} ${what}`), 0);
  return {
    workerRequests: 1,
    batches: count("queue batches"),
    cpuMs,
    objectCalls: Object.keys(perJob).reduce((sum, name) => sum + (isCall(name) ? count(name) : 0), 0),
    socketMessages: count("Relay.webSocketMessage"),
    streamSeconds: result.totalMs.reduce((sum, ms) => sum + ms, 0) / result.jobs / 1_000,
    objectRowsWritten: all("rows written") + all("alarms set"),
    objectRowsRead: all("rows read"),
    objectBytesStored: all("bytes"),
    // A job has one row of its own; the segment's and the sums' belong to its batch.
    d1RowsWritten: 1,
    d1RowsOfBatches: count("D1 rows written") - 1,
    d1RowsRead: count("D1 rows read"),
    d1BytesStored: count("D1 bytes"),
    queueUnits: count("queue units"),
    r2Puts: count("R2 puts"),
    r2BytesStored: count("R2 bytes"),
  };
}

/** Calls of objects as they are billed: each RPC and each fetch. */
export function isCall(name: string): boolean {
  return /^(Account|Scheduler|Relay)\.(?!webSocket)/.test(name);
}

async function trafficOf(systems: Systems, network: Network): Promise<Traffic> {
  return await systems.engine.call<Traffic>("traffic", network.seeds.daemon);
}

/** The write-ahead logs of a network's databases by their paths; metadata of the local runtime is left out. */
function walsOf(folder: string): Map<string, Wal | null> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const logs = names.filter((name) => name.endsWith(".sqlite-wal") && !name.endsWith("metadata.sqlite-wal"));
  return new Map(logs.flatMap((name) => walAt(join(folder, name)).map((wal) => [name, wal] as const)));
}

/** The log at a path, or none where its object went to rest since its folder was read. */
function walAt(path: string): (Wal | null)[] {
  try {
    return [readWal(readFileSync(path))];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
