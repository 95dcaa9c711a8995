import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  isMissed,
  ServiceMeter,
  type Waited,
  waitOfReceipt,
  waitOfRelease,
} from "../../../core/account/service-level.ts";
import { epochOf } from "../../../core/allotment/epochs.ts";
import { newJobId } from "../../../core/ids.ts";
import { GENESIS_PARAMETERS, withParameters } from "../../../core/parameters.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import { seedOf } from "../../support/receipts.ts";

const DAY = epochOf(Date.UTC(2026, 10, 24));

/** The level of a day on which jobs waited so long. */
function levelOf(waits: readonly number[]) {
  const meter = new ServiceMeter();
  for (const [index, waitMs] of waits.entries()) meter.add({ day: DAY, waitMs }, index + 1, hashText(`entry ${index}`));
  return meter.level(DAY);
}

const many = (jobs: number, waitMs: number): number[] => Array.from({ length: jobs }, () => waitMs);
const missed = (waits: readonly number[], parameters = GENESIS_PARAMETERS) => isMissed(levelOf(waits), parameters);

describe("the 95th percentile", () => {
  it.each<[string, number[], number | null]>([
    ["of no jobs is none", [], null],
    ["of one job is its time", [7], 7],
    ["of 19 jobs is the longest time", [...many(18, 1), 9], 9],
    ["of 20 jobs is the second longest", [...many(18, 1), 5, 9], 5],
    ["of 21 jobs is the second longest", [...many(19, 1), 5, 9], 5],
    ["of 100 jobs is the 95th", Array.from({ length: 100 }, (_, index) => 100 - index), 95],
    ["of 101 jobs is the 96th", Array.from({ length: 101 }, (_, index) => index + 1), 96],
  ])("%s", (_, waits, p95) => {
    expect(levelOf(waits)).toMatchObject({ jobs: waits.length, p95Ms: p95 });
  });

  it("is the least time that 95 of 100 did not pass, in whatever order they came", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 120 }), (waits) => {
        const { p95Ms } = levelOf(waits);
        const within = (ms: number) => waits.filter((wait) => wait <= ms).length * 100 >= 95 * waits.length;
        expect(within(p95Ms ?? -1)).toBe(true);
        expect(within((p95Ms ?? 0) - 1)).toBe(false);
        expect(waits).toContain(p95Ms);
      }),
    );
  });
});

describe("a day is missed", () => {
  it.each<[string, number[], boolean]>([
    ["by 20 jobs that waited too long", many(20, 2_001), true],
    ["not by 19 of them", many(19, 2_001), false],
    ["not by 20 that waited exactly as long as they may", many(20, 2_000), false],
    ["not by one of 20", [...many(19, 2_000), 60_000], false],
    ["by two of 20", [...many(18, 0), 2_001, 60_000], true],
  ])("%s", (_, waits, expected) => {
    expect(missed(waits)).toBe(expected);
  });

  it("by what the parameters say", () => {
    expect(missed(many(20, 2_001), withParameters({ serviceLevelMs: 2_001 }))).toBe(false);
    expect(missed(many(20, 2_001), withParameters({ serviceLevelJobs: 21 }))).toBe(false);
    expect(missed(many(1, 2_001), withParameters({ serviceLevelJobs: 1 }))).toBe(true);
  });
});

describe("what a receipt tells", () => {
  const times = (queued: number, dispatched: number) => ({ queued, dispatched, first_token: null, completed: queued });
  const receiptOf = (queued: number, wait: number, reserved = queued) =>
    ({ outcome: "completed", reserved, times: times(queued, queued + wait) }) as const;
  const waited = (queued: number, wait: number) => waitOfReceipt(receiptOf(queued, wait));

  it("is nothing for a job without a reserved slot", () => {
    expect(waitOfReceipt({ outcome: "completed", times: times(0, 9_000) })).toBeNull();
  });

  it("is the time since the job was given the slot", () => {
    expect(waitOfReceipt(receiptOf(1_000, 9_000, 8_000))).toEqual({ day: 0, waitMs: 2_000 });
  });

  it.each(["completed", "cancelled", "failed", "timed_out", "unverified"] as const)("counts where it %s", (outcome) => {
    expect(waitOfReceipt({ ...receiptOf(0, 7), outcome })).toEqual({ day: 0, waitMs: 7 });
  });

  it("is nothing where it came after its hold's end", () => {
    expect(waitOfReceipt({ ...receiptOf(0, 7), outcome: "expired" })).toBeNull();
  });

  it("belongs to the UTC day that the job was queued in", () => {
    const midnight = Date.UTC(2026, 10, 25);
    expect(waited(midnight - 1, 60_000)).toEqual({ day: DAY, waitMs: 60_000 });
    expect(waited(midnight, 0)).toEqual({ day: DAY + 1, waitMs: 0 });
    const leap = epochOf(Date.UTC(2028, 1, 29));
    expect([waited(Date.UTC(2028, 1, 29), 1)?.day, waited(Date.UTC(2028, 1, 29, 23, 59, 59, 999), 1)?.day]).toEqual([
      leap,
      leap,
    ]);
    expect(waited(Date.UTC(2028, 2, 1), 1)?.day).toBe(leap + 1);
  });

  it("is no time below zero, though clocks differ", () => {
    expect(waited(1_000, -5)?.waitMs).toBe(0);
  });
});

it("counts a void of a job that nobody took in time, and no other end of a hold", () => {
  const queued = Date.UTC(2026, 10, 24, 23, 59, 30);
  const job = newJobId(queued, seedOf("job").subarray(0, 10));
  const release = { type: "void", at: queued + 60_000, job, reason: "queue_timeout", reserved: queued };
  expect(waitOfRelease(release)).toEqual({ day: DAY, waitMs: 60_000 } satisfies Waited);
  expect(waitOfRelease({ ...release, reserved: queued + 45_000 })).toEqual({ day: DAY, waitMs: 15_000 });
  expect(waitOfRelease({ ...release, reserved: undefined })).toBeNull();
  expect(waitOfRelease({ ...release, reason: "consumer_gone" })).toBeNull();
  expect(waitOfRelease({ ...release, reason: "no_provider" })).toBeNull();
  expect(waitOfRelease({ ...release, type: "hold_expired", reason: "expired" })).toBeNull();
});

it("keeps days apart, and names what each was measured by", () => {
  const meter = new ServiceMeter();
  const hashes = ["a", "b", "c"].map(hashText);
  for (const [index, day] of [DAY, DAY + 1, DAY].entries()) {
    meter.add({ day, waitMs: index }, 10 + index, hashes[index] ?? "");
  }
  const over = (...parts: string[]) =>
    createHash("sha256")
      .update(Buffer.from(parts.join(""), "hex"))
      .digest("hex");
  const [a = "", b = "", c = ""] = hashes;
  expect(meter.level(DAY)).toEqual({ day: DAY, jobs: 2, p95Ms: 2, first: 10, last: 12, digest: over(a, c) });
  expect(meter.level(DAY + 1)).toEqual({ day: DAY + 1, jobs: 1, p95Ms: 1, first: 11, last: 11, digest: over(b) });
  meter.forgetBefore(DAY + 1);
  expect([meter.level(DAY).jobs, meter.level(DAY).first, meter.level(DAY + 1).jobs]).toEqual([0, null, 1]);
});
