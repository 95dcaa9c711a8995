/** From operations that were counted to what a million jobs cost. */

import { ASSUMPTIONS, PRICES } from "./prices.ts";

/** Operations of one job, or the mean of many. */
export interface JobOperations {
  readonly workerRequests: number;
  /** Batches that the queue delivers; each is a request too. */
  readonly batches: number;
  /** CPU of everything that served the job: more than what is billed, as objects' CPU is not. */
  readonly cpuMs: number;
  /** RPC calls, fetches and alarms of objects. */
  readonly objectCalls: number;
  /** Messages that relays received from daemons. */
  readonly socketMessages: number;
  readonly streamSeconds: number;
  readonly objectRowsWritten: number;
  readonly objectRowsRead: number;
  readonly objectBytesStored: number;
  readonly d1RowsWritten: number;
  /** Rows that are written once a batch. */
  readonly d1RowsOfBatches: number;
  readonly d1RowsRead: number;
  readonly d1BytesStored: number;
  /** Units of 64 KB that messages took in the queue, counted once each. */
  readonly queueUnits: number;
  readonly r2Puts: number;
  readonly r2BytesStored: number;
}

export interface CostLine {
  readonly name: string;
  /** How it was computed, in numbers. */
  readonly sum: string;
  /** USD for a million jobs. */
  readonly usd: number;
}

const MILLION = 1e6;
const GB = 1e9;

/** The bill of a million jobs, line by line. Storage is that of the first month. */
export function costOfMillion(job: JobOperations): { readonly lines: readonly CostLine[]; readonly usd: number } {
  const lines: CostLine[] = [];
  const add = (name: string, amount: number, unit: string, price: number): void => {
    lines.push({ name, sum: `${short(amount)} ${unit} × $${short(price * MILLION)}/M`, usd: amount * price * MILLION });
  };
  const { objectGb, queueOperationsPerMessage, webSocketMessagesPerRequest } = PRICES;
  const { accountAwakeSeconds, schedulerAwakeSeconds, streamsPerRelay } = ASSUMPTIONS;
  const relaySeconds = job.streamSeconds / streamsPerRelay;
  add("Worker requests", job.workerRequests + job.batches, "requests", PRICES.workerRequest);
  add("Worker CPU", job.cpuMs, "ms", PRICES.workerCpuMs);
  add("object calls", job.objectCalls, "calls", PRICES.objectRequest);
  add("daemon messages", job.socketMessages / webSocketMessagesPerRequest, "calls", PRICES.objectRequest);
  add("relay awake", relaySeconds * objectGb, "GB-s", PRICES.objectGbSecond);
  add(
    "account, scheduler awake",
    (accountAwakeSeconds + schedulerAwakeSeconds) * objectGb,
    "GB-s",
    PRICES.objectGbSecond,
  );
  add("object rows written", job.objectRowsWritten, "rows", PRICES.objectRowWritten);
  add("object rows read", job.objectRowsRead, "rows", PRICES.objectRowRead);
  add("D1 rows written, the job's", job.d1RowsWritten, "rows", PRICES.d1RowWritten);
  add("D1 rows written, its batch's", job.d1RowsOfBatches, "rows", PRICES.d1RowWritten);
  add("D1 rows read", job.d1RowsRead, "rows", PRICES.d1RowRead);
  add("queue", job.queueUnits * queueOperationsPerMessage, "operations", PRICES.queueOperation);
  add("R2 writes", job.r2Puts, "writes", PRICES.r2ClassA);
  const stores = [
    ["objects", job.objectBytesStored, PRICES.objectGbMonth],
    ["D1", job.d1BytesStored, PRICES.d1GbMonth],
    ["R2", job.r2BytesStored, PRICES.r2GbMonth],
  ] as const;
  for (const [where, bytes, price] of stores) {
    const usd = ((bytes * MILLION) / GB) * price;
    lines.push({ name: `a month in ${where}`, sum: `${short(bytes)} B × $${price}/GB-month`, usd });
  }
  return { lines, usd: lines.reduce((total, line) => total + line.usd, 0) };
}

/**
 * The same job where `factor` times as many jobs come: batches are made by time, so they grow and each job has a smaller
 * part in one. Everything else stays, as each relay still carries what it carried.
 */
export function atTraffic(job: JobOperations, factor: number): JobOperations {
  return {
    ...job,
    batches: job.batches / factor,
    d1RowsOfBatches: job.d1RowsOfBatches / factor,
    r2Puts: job.r2Puts / factor,
  };
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}
