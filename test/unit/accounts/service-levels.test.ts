/**
 * An account's days measured over random lives: real ledger, real measuring, rows in memory. Packages come and end, jobs in
 * and beyond slots wait, the alarm rings, late or twice, writes fail and memory is lost. A plain list beside it says what
 * each day must have come to.
 */

import { strict as assert } from "node:assert";
import * as fc from "fast-check";
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from "vitest";
import { decideHold } from "../../../core/account/hold.ts";
import { epochDay, epochOf, epochStart } from "../../../core/allotment/epochs.ts";
import { type JobId, type KeyId, newJobId } from "../../../core/ids.ts";
import { LIMITS } from "../../../core/limits.ts";
import { withParameters } from "../../../core/parameters.ts";
import { DAY_MS } from "../../../core/time.ts";
import { GENESIS_PEG, nanoUsd } from "../../../core/units.ts";
import { credit } from "../../../durable-objects/account/credits.ts";
import { Ledger } from "../../../durable-objects/account/ledger.ts";
import { ServiceLevels } from "../../../durable-objects/account/service-levels.ts";
import { LedgerChain } from "../../../protocol/chain.ts";
import { timeText } from "../../../protocol/network/common.ts";
import { MemoryStorage, WriteFailed } from "../../support/accounts/storage.ts";
import { bodyOf, seedOf, TEST_TERMS } from "../../support/receipts.ts";

const START = Date.UTC(2028, 1, 28, 20);
const PARAMETERS = withParameters({ serviceLevelJobs: 4, minimumBalanceMillicredits: 0 });
const TARGET = PARAMETERS.serviceLevelMs;
const JOB_PRICE = 120_000;

const BODY = bodyOf({ usage: { prompt: 0, completion: 1_000 } });
const storage = new MemoryStorage();

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

interface Job {
  readonly job: JobId;
  readonly queued: number;
  /** Since when the pool says that it has a slot; null for one without. */
  readonly slotSince: number | null;
}

/** One account's life, and what must be known of it. */
class Life {
  ledger: Ledger;
  levels: ServiceLevels;
  /** The waits that count, by day. */
  readonly waits = new Map<number, number[]>();
  readonly packages = new Map<string, number>();
  readonly open: Job[] = [];
  readonly posted: JobId[] = [];
  #jobs = 0;

  constructor() {
    storage.clear();
    this.ledger = this.#load();
    this.levels = this.#measurer();
  }

  #load(): Ledger {
    const broken = (reason: string): never => assert.fail(reason);
    return new Ledger(storage, broken, () => {});
  }

  #measurer(): ServiceLevels {
    return new ServiceLevels({ storage, parameters: PARAMETERS, ledger: () => this.ledger, wakeAt: () => {} });
  }

  restart(): void {
    this.ledger = this.#load();
    this.levels = this.#measurer();
  }

  buy(jobs: number, hours: number, concurrency: number): void {
    const id = `package ${this.packages.size}`;
    const expiresAt = Date.now() + hours * 3_600_000;
    const lot = { id, kind: "package", backing: "usdc", amount: jobs * JOB_PRICE } as const;
    credit(this.ledger, { ...lot, expiresAt, concurrency, memo: "" }, Date.now());
    this.packages.set(id, expiresAt);
  }

  begin(slotAfter: number | null): void {
    const [now, job] = [Date.now(), newJobId(Date.now(), seedOf(`job ${this.#jobs++}`).subarray(0, 10))];
    this.ledger.sweep(now);
    const command = {
      job,
      key: { id: "key" as KeyId, models: null, budget: null },
      model: "maker/eight",
      body: "b",
      promptBound: 0,
      completionDefault: 256,
      choices: 1,
      expiresAt: now + 780_000,
      peg: GENESIS_PEG,
      lane: "dedicated" as const,
      lanes: ["public" as const],
      rate: TEST_TERMS.rate,
      mostBasisPoints: null,
      maxAsk: nanoUsd(80_000),
      completion: 1_000,
      choosesProvider: false,
      allowPaid: false,
    };
    const decision = decideHold(this.ledger.state, command, PARAMETERS, now);
    if (decision.type !== "held") return;
    this.ledger.recordHold({ slot: job, attempt: 1, job, body: "b", call: false }, decision, now);
    this.open.push({ job, queued: now, slotSince: slotAfter === null ? null : now + slotAfter });
  }

  /** Ends the oldest open job: as `how` says, dispatched after a wait. */
  end(how: "posted" | "failed" | "timeout" | "gone", wait: number): void {
    const job = this.open.shift();
    if (job === undefined) return;
    const isOpen = this.ledger.openHold(job.job) !== undefined;
    if (how === "timeout" || how === "gone") {
      this.ledger.void(job.job, how === "timeout" ? "queue_timeout" : "consumer_gone", null, Date.now(), job.slotSince);
      if (isOpen && how === "timeout") this.#count(job, Date.now());
      return;
    }
    const { price, charge: _c, split: _s, seq: _q, previous: _p, v: _v, ...facts } = BODY;
    const times = { ...BODY.times, queued: job.queued, dispatched: job.queued + wait };
    const auction = { asks: price.asks, winning_ask: null, second_ask: null };
    const outcome = how === "posted" ? "completed" : "failed";
    const payees = { provider: facts.provider, network: "network" };
    const slot = job.slotSince === null ? {} : { reserved: job.slotSince };
    const ended = { ...facts, ...slot, job: job.job, lane: "dedicated", outcome, times } as const;
    this.ledger.post({ ...ended, terms: TEST_TERMS, auction, payees }, Date.now());
    if (isOpen) this.#count(job, job.queued + wait);
    if (how === "posted") this.posted.push(job.job);
  }

  #count({ queued, slotSince }: Job, until: number): void {
    const day = epochOf(queued);
    if (slotSince === null) return;
    this.waits.set(day, [...(this.waits.get(day) ?? []), Math.max(0, until - slotSince)]);
  }

  reverse(which: number): void {
    const job = this.posted[which % Math.max(1, this.posted.length)];
    if (job !== undefined) this.ledger.reverse({ job, reason: "test", by: ["a", "b"] }, Date.now());
  }

  /** The alarm, which finds its writes failing from some on; who comes next folds the rows again. */
  async ring(writes: number | null): Promise<void> {
    if (writes !== null) storage.breakAfter(writes);
    try {
      await this.levels.measure();
    } catch (error) {
      if (!(error instanceof WriteFailed)) throw error;
    }
    storage.mend();
    if (writes !== null) this.restart();
  }

  check(): void {
    const chain = new LedgerChain();
    const extensions = new Map<string, readonly { lot: string; nano_usd: number }[]>();
    let expired = 0;
    for (const entry of this.ledger.store.entries(1, 100_000)) {
      // This also holds every extension against the entries before it.
      const bad = chain.add({ ...entry, at: timeText(entry.at) }, { claim: false });
      assert.equal(bad, null);
      const body = JSON.parse(entry.body) as { day: string; nano_usd: number; extended: never };
      if (entry.type === "expiry") expired += body.nano_usd;
      if (entry.type !== "extension") continue;
      assert(!extensions.has(body.day), "a day extends once");
      extensions.set(body.day, body.extended);
    }
    const lots = [...this.ledger.state.lots.values()];
    const there = lots.reduce((sum, { available, held }) => sum + available + held, 0);
    assert.equal(chain.sum.nanoUsd, there, "entries come to what is there");
    const back = [...extensions.values()].flat().reduce((sum, { nano_usd }) => sum + nano_usd, 0);
    assert(back <= expired, "what comes back has expired before");
    for (const lot of lots) {
      const times = [...extensions.values()].filter((parts) => parts.some((part) => part.lot === lot.id)).length;
      assert.equal(lot.expiresAt, (this.packages.get(lot.id) ?? 0) + times * DAY_MS, "a day for each missed day");
    }
    this.#checkDays(extensions);
  }

  #checkDays(extensions: ReadonlyMap<string, unknown>): void {
    const measured = this.levels.days(0);
    for (const { day, jobs, p95Ms, missed, seq } of measured) {
      const waits = (this.waits.get(day) ?? []).toSorted((a, b) => a - b);
      const p95 = waits[Math.ceil(0.95 * waits.length) - 1] ?? null;
      const expected = waits.length >= 4 && (p95 ?? 0) > TARGET;
      assert.deepEqual([jobs, p95Ms, missed], [waits.length, p95, expected], epochDay(day));
      assert.equal(extensions.has(epochDay(day)), seq !== null);
      assert(missed || seq === null, "only a missed day extends");
    }
    assert.equal(new Set(measured.map(({ day }) => day)).size, measured.length);
    for (const day of extensions.keys()) assert(measured.some((known) => epochDay(known.day) === day));
  }

  /** After a quarter of an hour past a midnight, every day with jobs in slots has a row. */
  checkAllMeasured(): void {
    const now = this.ledger.timeOf(Date.now());
    const days = new Set(this.levels.days(0).map(({ day }) => day));
    for (const day of this.waits.keys()) if (epochStart(day + 1) + DAY_MS <= now) assert(days.has(day), epochDay(day));
  }
}

const minutes = fc.constantFrom(0, 1, 30, 240, 360, 1_440);
const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("buy" as const),
      jobs: fc.integer({ min: 1, max: 12 }),
      hours: fc.constantFrom(1, 6, 30),
      concurrency: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("burst" as const),
      jobs: fc.integer({ min: 1, max: 6 }),
      wait: fc.constantFrom(0, TARGET, TARGET + 1, 60_000),
      how: fc.constantFrom(
        "posted" as const,
        "posted" as const,
        "failed" as const,
        "timeout" as const,
        "gone" as const,
      ),
      slotAfter: fc.constantFrom(0, 0, 0, 1_000, null),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("wait" as const), minutes }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("ring" as const), writes: fc.constantFrom(null, null, 0, 1, 2) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reverse" as const), which: fc.nat(9) }) },
);

it("extends once for each missed day, conserves every unit, and tells what the entries tell", async () => {
  const reached = { missed: 0, revived: 0, met: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
      vi.setSystemTime(START);
      const life = new Life();
      life.buy(10, 30, 3);
      for (const each of steps) {
        if (each.do === "buy") life.buy(each.jobs, each.hours, each.concurrency);
        else if (each.do === "wait") vi.setSystemTime(Date.now() + each.minutes * 60_000);
        else if (each.do === "ring") await life.ring(each.writes);
        else if (each.do === "restart") life.restart();
        else if (each.do === "reverse") life.reverse(each.which);
        else {
          for (let job = 0; job < each.jobs; job++) life.begin(each.slotAfter);
          vi.setSystemTime(Date.now() + each.wait);
          for (let job = 0; job < each.jobs; job++) life.end(each.how, each.wait);
        }
        if (each.do === "ring" || each.do === "restart") life.check();
      }
      vi.setSystemTime(Date.now() + 2 * DAY_MS);
      await life.ring(null);
      await life.ring(null);
      life.check();
      life.checkAllMeasured();
      for (const { missed } of life.levels.days(0)) reached[missed ? "missed" : "met"] += 1;
      const entries = life.ledger.store.entries(1, 100_000);
      reached.revived += entries.filter(
        ({ event }) => event.type === "extended" && event.parts.some(({ amount }) => amount > 0),
      ).length;
    }),
    { numRuns: 150 },
  );
  expect(Math.min(...Object.values(reached))).toBeGreaterThan(5);
}, 60_000);

it("measures a long day in short turns, once for all who ask, while the next day goes on", async () => {
  const rows = LIMITS.serviceRows;
  Object.assign(LIMITS, { serviceRows: 3 });
  onTestFinished(() => void Object.assign(LIMITS, { serviceRows: rows }));
  const life = new Life();
  life.buy(20, 60, 3);
  const burst = (jobs: number): void => {
    for (let job = 0; job < jobs; job++) life.begin(0);
    for (let job = 0; job < jobs; job++) life.end("posted", TARGET + 1);
  };
  for (let time = 0; time < 4; time++) burst(3);
  vi.setSystemTime(epochStart(epochOf(START) + 1) + LIMITS.serviceDelayMs - 1);
  expect(await life.levels.measure()).toBe(false);
  expect(life.levels.days(0)).toEqual([]);
  vi.setSystemTime(Date.now() + 1);
  const asked = [life.levels.measure(), life.levels.measure()];
  burst(2);
  expect(await Promise.all(asked)).toEqual([true, true]);
  life.check();
  expect(life.levels.days(0)).toMatchObject([{ jobs: 12, missed: true, first: 2, last: 13, seq: 16 }]);
  expect(await life.levels.measure()).toBe(false);
});

it("waits for jobs of the day that are open still", async () => {
  const life = new Life();
  life.buy(20, 60, 5);
  vi.setSystemTime(epochStart(epochOf(START) + 1) - 1);
  for (let job = 0; job < 4; job++) life.begin(0);
  for (let job = 0; job < 3; job++) life.end("posted", TARGET + 1);
  // As with parameters that let jobs wait for longer than a quarter of an hour.
  const [open] = life.ledger.state.holds.values();
  Object.assign(open ?? {}, { expiresAt: Date.now() + 30 * 60_000 });
  vi.setSystemTime(Date.now() + 16 * 60_000);
  expect(await life.levels.measure()).toBe(false);
  life.end("posted", TARGET + 1);
  expect(await life.levels.measure()).toBe(true);
  expect(life.levels.days(0)).toMatchObject([{ jobs: 4, missed: true }]);
});
