/**
 * The service level of `dedicated` (economics.md §10): how long an account's jobs in reserved slots waited, by the days that
 * they were queued in. It follows from the account's entries alone, so whoever has those computes the same.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { epochOf } from "../allotment/epochs.ts";
import { type JobId, jobTime } from "../ids.ts";
import type { Parameters } from "../parameters.ts";
import type { ReceiptBody } from "../receipt/body.ts";
import { bytesToHex, hexToBytes } from "../receipt/canonical.ts";

/** What an entry tells of the time in queue of one job that counts. */
export interface Waited {
  /** The day that it was queued in, as an epoch's number. */
  readonly day: number;
  readonly waitMs: number;
}

/** What was measured of one day. */
export interface ServiceLevel {
  readonly day: number;
  readonly jobs: number;
  /** What 95 of 100 of them waited at most, by the nearest rank; null for no jobs. */
  readonly p95Ms: number | null;
  /** The entries of the first and the last of them; null for no jobs. */
  readonly first: number | null;
  readonly last: number | null;
  /** SHA-256 over the SHA-256 (32 bytes each) of those entries' bodies, in the order of their chain; hex. */
  readonly digest: string;
}

/** The void of a job that nobody took in time. It has no receipt, and waited longer than any that has one. */
const TIMED_OUT = "queue_timeout";

/**
 * The time in queue that a receipt tells, from when the job had a reserved slot; null where it does not count. However the
 * job ended, it was dispatched; one that moved waited until its last dispatch. A receipt that came after its hold's end
 * may come long after its day, and does not count.
 */
export function waitOfReceipt(receipt: Pick<ReceiptBody, "outcome" | "reserved" | "times">): Waited | null {
  const { outcome, reserved, times } = receipt;
  if (reserved === undefined || outcome === "expired") return null;
  return { day: epochOf(times.queued), waitMs: Math.max(0, times.dispatched - reserved) };
}

/** What the end of a hold without a receipt says. */
export interface Release {
  readonly type: string;
  readonly at: number;
  readonly job: string;
  readonly reason: string;
  readonly reserved?: number | undefined;
}

/** The time in queue that a void tells: only of a job that waited until the queue's limit; null where it does not count. */
export function waitOfRelease({ type, at, job, reason, reserved }: Release): Waited | null {
  if (type !== "void" || reserved === undefined || reason !== TIMED_OUT) return null;
  return { day: epochOf(jobTime(job as JobId)), waitMs: Math.max(0, at - reserved) };
}

/** Whether a day's level is below what was promised. */
export function isMissed({ jobs, p95Ms }: Pick<ServiceLevel, "jobs" | "p95Ms">, parameters: Parameters): boolean {
  return p95Ms !== null && jobs >= parameters.serviceLevelJobs && p95Ms > parameters.serviceLevelMs;
}

/** Measures days as it is given the entries that count, in the order of their chain. */
export class ServiceMeter {
  readonly #days = new Map<number, DayMeter>();

  /** `hash` is the SHA-256 of the entry's body, hex. */
  add({ day, waitMs }: Waited, seq: number, hash: string): void {
    let meter = this.#days.get(day);
    if (meter === undefined) this.#days.set(day, (meter = new DayMeter(day)));
    meter.add(waitMs, seq, hash);
  }

  /** What was measured of a day so far. */
  level(day: number): ServiceLevel {
    return (this.#days.get(day) ?? new DayMeter(day)).level();
  }

  /** Drops all days before one. */
  forgetBefore(day: number): void {
    for (const known of this.#days.keys()) if (known < day) this.#days.delete(known);
  }
}

class DayMeter {
  readonly #day: number;
  /** How many waited how long: far fewer numbers than jobs on a busy day. */
  readonly #waits = new Map<number, number>();
  readonly #digest = sha256.create();
  #jobs = 0;
  #first: number | null = null;
  #last: number | null = null;

  constructor(day: number) {
    this.#day = day;
  }

  add(waitMs: number, seq: number, hash: string): void {
    this.#waits.set(waitMs, (this.#waits.get(waitMs) ?? 0) + 1);
    this.#digest.update(hexToBytes(hash));
    this.#jobs += 1;
    this.#first ??= seq;
    this.#last = seq;
  }

  level(): ServiceLevel {
    return {
      day: this.#day,
      jobs: this.#jobs,
      p95Ms: this.#p95(),
      first: this.#first,
      last: this.#last,
      digest: bytesToHex(this.#digest.clone().digest()),
    };
  }

  /** The least time that 95 of 100 jobs did not pass. */
  #p95(): number | null {
    const rank = Math.ceil((95 * this.#jobs) / 100);
    let passed = 0;
    for (const [waitMs, jobs] of [...this.#waits].sort(([a], [b]) => a - b)) {
      passed += jobs;
      if (passed >= rank) return waitMs;
    }
    return null;
  }
}
