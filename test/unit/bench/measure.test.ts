import { expect, it } from "vitest";
import { atTraffic, costOfMillion, type JobOperations } from "../../../bench/measure/cost.ts";
import { median, noiseOf, percentile, ratioOf, spreadOf } from "../../../bench/measure/statistics.ts";
import { CommitCounter, readWal } from "../../../bench/measure/wal.ts";

it("takes medians, percentiles by nearest rank, and ratios round by round", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  expect([percentile(hundred, 0.5), percentile(hundred, 0.99), percentile([7], 0.99)]).toEqual([50, 99, 7]);
  expect(spreadOf([10, 8, 12])).toEqual({ median: 10, min: 8, max: 12 });
  expect(noiseOf(spreadOf([10, 8, 12]))).toBeCloseTo(0.4);
  // A machine that got slower in the last round changes both, and the ratio hardly.
  expect(ratioOf([10, 10, 2], [20, 20, 4])).toBe(0.5);
});

const JOB: JobOperations = {
  workerRequests: 1,
  batches: 0.1,
  cpuMs: 1,
  objectCalls: 4,
  socketMessages: 60,
  streamSeconds: 5,
  objectRowsWritten: 2,
  objectRowsRead: 0,
  objectBytesStored: 2_000,
  d1RowsWritten: 1,
  d1RowsOfBatches: 0.4,
  d1RowsRead: 0,
  d1BytesStored: 0,
  queueUnits: 0.05,
  r2Puts: 0.1,
  r2BytesStored: 0,
};

it("prices operations line by line, and the lines come to the bill", () => {
  const { lines, usd } = costOfMillion(JOB);
  const of = (name: string) => lines.find((line) => line.name === name)?.usd ?? Number.NaN;
  expect(of("Worker requests")).toBeCloseTo(1.1 * 0.3);
  // 4 RPCs and 60 / 20 socket messages, $0.15 a million each.
  expect(of("object calls") + of("daemon messages")).toBeCloseTo(7 * 0.15);
  // 5 s shared by 32 streams, at 0.128 GB and $12.50 a million GB-s.
  expect(of("relay awake")).toBeCloseTo((5 / 32) * 0.128 * 12.5);
  expect(of("object rows written")).toBeCloseTo(2);
  // 2 kB a job are 2 GB a million, at $0.20.
  expect(of("a month in objects")).toBeCloseTo(0.4);
  expect(lines.reduce((sum, line) => sum + line.usd, 0)).toBeCloseTo(usd);
});

it("shares out a batch's operations, and only those, when there is more traffic", () => {
  const saved = costOfMillion(JOB).usd - costOfMillion(atTraffic(JOB, 10)).usd;
  expect(saved).toBeCloseTo(0.9 * (0.1 * 0.3 + 0.4 * 1 + 0.1 * 4.5));
});

/** A write-ahead log whose frames end a commit or do not. */
function walOf(salt: number, frames: readonly boolean[], stale = 0): Buffer {
  const [header, page] = [Buffer.alloc(32), 512];
  header.writeUInt32BE(0x377f0682);
  header.writeUInt32BE(page, 8);
  header.writeUInt32BE(salt, 16);
  const frame = (commits: boolean, frameSalt: number) => {
    const bytes = Buffer.alloc(24 + page);
    bytes.writeUInt32BE(commits ? 7 : 0, 4);
    bytes.writeUInt32BE(frameSalt, 8);
    return bytes;
  };
  const left = Array.from({ length: stale }, () => frame(true, salt - 1));
  return Buffer.concat([header, ...frames.map((commits) => frame(commits, salt)), ...left]);
}

it("counts commits in a write-ahead log and leaves out frames of the log before", () => {
  const wal = readWal(walOf(9, [false, true, true, false], 2));
  expect(wal).toMatchObject({ commits: 2, frames: 4 });
  expect(readWal(Buffer.alloc(0))).toBeNull();
  expect(readWal(Buffer.alloc(64))).toBeNull();
});

it("counts commits from one reading to the next, also where a log was gone and begun anew", () => {
  const counter = new CommitCounter();
  const look = (bytes: Buffer | null, isFirst = false) =>
    counter.look(new Map([["x-Account/a", bytes === null ? null : readWal(bytes)]]), isFirst);
  look(walOf(1, [true]), true);
  look(walOf(1, [true, false, true]));
  look(walOf(1, [true, false, true]));
  look(null);
  look(walOf(2, [true]));
  counter.look(new Map([["x-Account/b", readWal(walOf(5, [true, true]))]]));
  expect(counter.total("-Account/")).toBe(4);
  expect(counter.total("-Account/b")).toBe(2);
});
