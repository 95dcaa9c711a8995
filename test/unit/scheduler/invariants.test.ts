/** What holds of a pool whatever comes in which order, found by random lives of one. */

import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { DaemonId, JobId } from "../../../core/ids.ts";
import { couldServe } from "../../../core/scheduler/choose.ts";
import type { Pool } from "../../../core/scheduler/pool.ts";
import type { WaitingJob } from "../../../core/scheduler/waiting-job.ts";
import { daemon, job, type Offer, poolOf, START } from "./support.ts";

const LANES = ["public", "private", "dedicated", "included"] as const;
const DAEMONS = ["a", "b", "c", "d"];

const offer = fc.record({
  slots: fc.integer({ min: 1, max: 3 }),
  context: fc.constantFrom(2_000, 4_000),
  accepts: fc.constantFrom("any" as const, "usdc" as const),
  draining: fc.constantFrom(false, false, false, true),
});
const asked = fc.record({
  lane: fc.constantFrom(...LANES),
  account: fc.constantFrom("x", "y", "owner of a"),
  reserved: fc.boolean(),
  context: fc.constantFrom(1_000, 3_000, 5_000),
  unbacked: fc.boolean(),
  only: fc.constantFrom(null, null, ["a"]),
  completion: fc.integer({ min: 1, max: 4_000 }),
});
const event = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant("enqueue" as const), asked }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("again" as const), at: fc.nat(), asked }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("withdraw" as const), at: fc.nat() }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("ended" as const), at: fc.nat(), served: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("register" as const), at: fc.nat(), offer }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("unregister" as const), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("reject" as const) }) },
);
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

/** A pool, and what it must have and must not do, as its callers know it. */
class Model {
  readonly pool: Pool = poolOf();
  readonly waiting = new Map<JobId, WaitingJob>();
  readonly running = new Map<JobId, { readonly daemon: DaemonId; readonly fence: number }>();
  readonly daemons = new Map<string, Offer>();
  #now = START;
  #fence = 0;
  #number = 0;

  play(next: Event): void {
    this.#now += 700;
    this.#perform(next);
    this.#dispatch();
    this.#check();
  }

  #perform(next: Event): void {
    if (next.type === "enqueue") this.#enqueue(`job ${this.#number++}`, next.asked);
    else if (next.type === "again") {
      const id = pick([...this.waiting.keys(), ...this.running.keys()], next.at);
      if (id !== undefined) this.#enqueue(id, next.asked);
    } else if (next.type === "withdraw") {
      const id = pick([...this.waiting.keys()], next.at);
      if (id === undefined) return;
      expect(this.pool.withdraw(id, this.#now)).toBe(true);
      expect(this.pool.position(id)).toBeNull();
      expect(this.pool.withdraw(id, this.#now)).toBe(false);
      this.waiting.delete(id);
    } else if (next.type === "ended") {
      const id = pick([...this.running.keys()], next.at);
      if (id === undefined) return;
      this.pool.ended(
        id,
        this.running.get(id)?.fence ?? 0,
        next.served ? { prompt: 0, completion: 7 } : null,
        this.#now,
      );
      this.running.delete(id);
    } else if (next.type === "register") {
      const name = DAEMONS[next.at % DAEMONS.length] ?? "";
      this.daemons.set(name, daemon(name, next.offer));
      this.pool.register(daemon(name, next.offer), this.#now);
    } else if (next.type === "unregister") {
      const name = DAEMONS[next.at % DAEMONS.length] ?? "";
      this.daemons.delete(name);
      this.pool.unregister(name as DaemonId, "relay/0", this.#now);
    } else {
      for (const { job: rejected } of this.pool.rejections(this.#now)) {
        // It is refused for its time, or because nobody here could serve it.
        if (this.#now < rejected.waitUntil) expect(this.#couldServe(rejected)).toEqual([]);
        this.waiting.delete(rejected.job);
      }
    }
  }

  #enqueue(id: string, { completion, ...changes }: (Event & { type: "enqueue" })["asked"]): void {
    const times = { enqueuedAt: this.#now, waitUntil: this.#now + 20_000 };
    const made = job(id, { ...changes, ...times, weight: 2, estimate: { prompt: 0, completion } });
    const refusal = this.pool.enqueue(made);
    if (refusal === null) this.waiting.set(made.job, made);
    else this.waiting.delete(made.job);
  }

  #dispatch(): void {
    for (const dispatch of this.pool.dispatch(this.#now, () => ++this.#fence)) {
      const id = dispatch.job.job;
      // It waited: nobody has taken it back.
      expect(this.waiting.delete(id)).toBe(true);
      const { daemon: by } = dispatch;
      expect(couldServe(by, dispatch.job)).toBe(true);
      expect(by.running.size).toBeLessThanOrEqual(by.slots);
      this.running.set(id, { daemon: by.daemon, fence: dispatch.lease.fence });
    }
  }

  #check(): void {
    const { pool } = this;
    // No job is lost, and none is there twice.
    expect(pool.waiting).toBe(this.waiting.size);
    for (const id of this.waiting.keys()) expect(pool.position(id)).not.toBeNull();
    for (const [id, { daemon: on, fence }] of this.running) {
      if (this.waiting.has(id)) continue;
      expect(pool.leasesAt(id)).toMatchObject([{ daemon: on, fence }]);
    }
    for (const { daemon: name, slots, running } of pool.daemons.values()) {
      // One lease a slot; an offer of fewer slots takes no job away.
      const own = [...this.running].filter(([, lease]) => lease.daemon === name).map(([id]) => id);
      expect([...running].toSorted()).toEqual(own.toSorted());
      if (running.size >= slots) continue;
      // Nobody who is free is left without a job that it could serve.
      for (const left of this.waiting.values()) {
        expect(this.#couldServe(left), `${left.job} waits for ${name}`).not.toContain(name);
      }
    }
  }

  /** Who could serve a job, by the offers alone. */
  #couldServe({ account, context, unbacked, only }: WaitingJob): string[] {
    return [...this.daemons.values()]
      .filter((here) => !here.draining && here.provider !== account && here.context >= context)
      .filter((here) => (here.accepts === "any" || !unbacked) && (only === null || only.includes(here.daemon)))
      .map((here) => here.daemon);
  }
}

function pick<T>(items: readonly T[], at: number): T | undefined {
  return items[at % Math.max(1, items.length)];
}

it("sells each slot once, loses and doubles no job, leaves nobody free without work, and gives out nothing that was withdrawn", () => {
  fc.assert(
    fc.property(offer, offer, fc.array(event, { minLength: 40, maxLength: 120 }), (first, second, events) => {
      const model = new Model();
      for (const [at, here] of [first, second].entries()) model.play({ type: "register", at, offer: here });
      for (const next of events) model.play(next);
    }),
    { numRuns: 100 },
  );
});
