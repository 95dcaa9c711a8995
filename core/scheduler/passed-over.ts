/**
 * Why daemons get no jobs (economics.md §9): of one decision in a quarter of a second it is counted for every daemon of
 * the pool whether it was chosen, and what kept it from that. Counts are kept in memory for an hour.
 */

import type { DaemonId } from "../ids.ts";
import { LIMITS } from "../limits.ts";
import { electricityFloor, isFloorWithin, priceAtRate, type Tokens } from "../pricing.ts";
import type { BasisPoints, NanoUsd } from "../units.ts";
import { type Obstacle, obstacle, payeesAtCap } from "./choose.ts";
import { type Daemon, roomOf } from "./daemon.ts";
import { isAuctioned } from "./public-lane.ts";
import type { WaitingJob } from "./waiting-job.ts";

/**
 * Beside what keeps a daemon from a job whatever its load: `full`, no free slot; `payee_cap`, its account has had its part
 * of the allotment that pays; `not_loaded`, one with the model in memory was chosen; `score` and `slower`, one that has shown
 * itself more reliable, or faster; `not_drawn`, one like it. In auctions `ask`: another one asked less, or the job paid less.
 */
export type PassedOverFor = Obstacle | "full" | "payee_cap" | "not_loaded" | "score" | "slower" | "not_drawn" | "ask";

/** What differs by less than this is alike: draws among such daemons are chance. */
const ALIKE = 0.9;

export interface Tally {
  readonly reason: PassedOverFor;
  readonly count: number;
  /** Of `floor`: by how much its power cost more than the job paid for 1,000 tokens, at the least and at the most. */
  readonly over: { readonly least: NanoUsd; readonly most: NanoUsd } | null;
}

/** What was counted for a daemon. */
export interface Why {
  /** Since when, milliseconds since 1970. */
  readonly since: number;
  /** Decisions that were looked into while it was there. */
  readonly decisions: number;
  readonly chosen: number;
  /** The most frequent first. */
  readonly passedOver: readonly Tally[];
}

interface Counts {
  chosen: number;
  readonly reasons: Map<PassedOverFor, { count: number; least: number; most: number }>;
}

export class PassedOver {
  readonly #leastShare: BasisPoints;
  /** The start of a bucket → what was counted in it. */
  readonly #buckets = new Map<number, Map<DaemonId, Counts>>();
  #since: number | null = null;
  #nextAt = Number.NEGATIVE_INFINITY;

  /** `leastShare` is what a payee may have of an allotment at least. */
  constructor(leastShare: BasisPoints) {
    this.#leastShare = leastShare;
  }

  /**
   * Looks into a decision if it is time for one again: a job, and the daemon that was chosen for it or null. To be called
   * before the chosen one has the job.
   */
  sample(daemons: Iterable<Daemon>, job: WaitingJob, chosen: Daemon | null, now: number): void {
    if (now < this.#nextAt) return;
    this.#nextAt = now + LIMITS.whySampleMs;
    this.#since ??= now;
    const bucket = this.#bucket(now);
    const all = [...daemons];
    const capped = payeesAtCap(all, job, this.#leastShare);
    for (const daemon of all) {
      const counts = countsOf(bucket, daemon.daemon);
      if (daemon === chosen) counts.chosen += 1;
      else count(counts, reasonOf(daemon, job, chosen, capped), daemon, job);
    }
  }

  /** What was counted for a daemon in the last hour. */
  of(daemon: DaemonId, now: number): Why {
    const sum: Counts = { chosen: 0, reasons: new Map() };
    const oldest = now - LIMITS.whyBuckets * LIMITS.whyBucketMs;
    for (const [start, bucket] of this.#buckets) {
      const counts = bucket.get(daemon);
      if (counts === undefined || start <= oldest) continue;
      sum.chosen += counts.chosen;
      for (const [reason, { count: more, least, most }] of counts.reasons) add(sum, reason, { more, least, most });
    }
    const passedOver = [...sum.reasons]
      .map(([reason, { count: times, least, most }]) => {
        const over = reason === "floor" ? { least: least as NanoUsd, most: most as NanoUsd } : null;
        return { reason, count: times, over };
      })
      .sort((a, b) => b.count - a.count);
    const decisions = passedOver.reduce((total, { count: times }) => total + times, sum.chosen);
    return { since: Math.max(this.#since ?? now, oldest), decisions, chosen: sum.chosen, passedOver };
  }

  #bucket(now: number): Map<DaemonId, Counts> {
    const start = now - (now % LIMITS.whyBucketMs);
    const known = this.#buckets.get(start);
    if (known !== undefined) return known;
    const made = new Map<DaemonId, Counts>();
    this.#buckets.set(start, made);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > LIMITS.whyBuckets && oldest !== undefined) this.#buckets.delete(oldest);
    return made;
  }
}

function reasonOf(daemon: Daemon, job: WaitingJob, chosen: Daemon | null, capped: ReadonlySet<string>): PassedOverFor {
  const unable = obstacle(daemon, job);
  if (unable !== null) return unable;
  if (roomOf(daemon) === 0) return "full";
  if (capped.has(daemon.provider)) return "payee_cap";
  if (job.flow !== null && isAuctioned(job)) return isFloorWithin(daemon.floor, job.maxRate) ? "ask" : "floor";
  if (chosen === null) return "not_drawn";
  if (chosen.loaded && !daemon.loaded) return "not_loaded";
  if (daemon.standing.quality < ALIKE * chosen.standing.quality) return "score";
  return daemon.standing.tokensPerSecond < ALIKE * chosen.standing.tokensPerSecond ? "slower" : "not_drawn";
}

function countsOf(bucket: Map<DaemonId, Counts>, daemon: DaemonId): Counts {
  const known = bucket.get(daemon);
  if (known !== undefined) return known;
  const made: Counts = { chosen: 0, reasons: new Map() };
  bucket.set(daemon, made);
  return made;
}

function count(counts: Counts, reason: PassedOverFor, daemon: Daemon, job: WaitingJob): void {
  const over = reason === "floor" ? overOf(daemon, job) : 0;
  add(counts, reason, { more: 1, least: over, most: over });
}

function add(
  { reasons }: Counts,
  reason: PassedOverFor,
  { more, least, most }: { readonly more: number; readonly least: number; readonly most: number },
): void {
  const known = reasons.get(reason);
  if (known === undefined) reasons.set(reason, { count: more, least, most });
  else {
    known.count += more;
    known.least = Math.min(known.least, least);
    known.most = Math.max(known.most, most);
  }
}

/** By how much a daemon's power costs more than a job pays, for 1,000 tokens of the kind that it loses most on. */
function overOf({ floor }: Daemon, { maxRate }: WaitingJob): number {
  const loss = (tokens: Tokens): number => electricityFloor(floor, tokens) - priceAtRate(maxRate, tokens);
  return Math.max(loss({ prompt: 0, completion: 1_000 }), loss({ prompt: 1_000, completion: 0 }), 0);
}
