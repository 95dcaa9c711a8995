/** Plays a market event by event: the same seed gives the same accounts, jobs and daemons to any queue. */

import type { JobId } from "../../core/ids.ts";
import { GENESIS_PARAMETERS } from "../../core/parameters.ts";
import type { Tokens } from "../../core/pricing.ts";
import { comeAndGo, comeInBursts, rush } from "./conduct.ts";
import type { Assignment, Ended, Market } from "./market.ts";
import { LaneMeasures, type LaneResult } from "./measures/lanes.ts";
import { type Newcomers, Providers } from "./measures/providers.ts";
import { SlotTime } from "./measures/slots.ts";
import {
  type Account,
  accountsOf,
  daemonsOf,
  jobOf,
  largestOf,
  nextSize,
  type SimulatedDaemon,
  serviceMs,
} from "./population.ts";
import type { Scenario } from "./scenario.ts";
import { Timeline } from "./timeline.ts";

const COUNTS = ["asked", "served", "full", "late", "moved", "failed", "unverified"] as const;

export interface MarketResult {
  readonly lanes: readonly LaneResult[];
  /** Jobs asked for, served, refused by a full queue or after a long wait, moved, lost, and answered with a false claim. */
  readonly counts: Readonly<Record<(typeof COUNTS)[number], number>>;
  readonly shareError: LaneMeasures["shareError"];
  readonly slots: SlotTime["parts"];
  readonly largestProvider: number;
  readonly newcomers: Newcomers;
  readonly falsely: readonly number[];
}

interface Asked {
  readonly account: Account;
  readonly used: Tokens;
  readonly moves: number;
}

interface Running extends Asked {
  readonly assignment: Assignment;
}

const OVERDUE_EVERY_MS = 250;
/** A part of the jobs that are lost with a daemon had no token yet, and move. */
const UNSTARTED = 0.3;

export class Simulation {
  readonly #scenario: Scenario;
  readonly #market: Market;
  readonly #timeline = new Timeline();
  readonly #accounts: readonly Account[];
  readonly #daemons = new Map<string, SimulatedDaemon>();
  readonly #waiting = new Map<JobId, Asked>();
  /** What each daemon runs. */
  readonly #running = new Map<string, Map<JobId, Running>>();
  readonly #lanes: LaneMeasures;
  readonly #providers: Providers;
  readonly #slots = new SlotTime();
  readonly #counts = Object.fromEntries(COUNTS.map((name) => [name, 0])) as Record<(typeof COUNTS)[number], number>;
  #jobs = 0;
  /** Whether the market is past its beginning. */
  #isMeasured = false;
  #hasChanged = false;

  constructor(scenario: Scenario, seed: number, market: Market) {
    this.#scenario = scenario;
    this.#market = market;
    const daemons = daemonsOf(scenario, seed);
    for (const daemon of daemons) this.#daemons.set(daemon.offer.daemon, daemon);
    this.#accounts = accountsOf(scenario, daemons, seed);
    this.#lanes = new LaneMeasures(this.#accounts, unitsOf(largestOf(scenario)));
    this.#providers = new Providers(1_000 * scenario.seconds);
    this.#plan(seed);
  }

  /** Plays it from the beginning to the end. */
  run(): MarketResult {
    const { seconds, warmUpSeconds } = this.#scenario;
    const pump = (): void => this.#pump();
    this.#timeline.runUntil(1_000 * warmUpSeconds, pump);
    this.#isMeasured = true;
    this.#lanes.begin();
    this.#timeline.runUntil(1_000 * seconds, pump);
    const { newcomers, falsely, largest: largestProvider } = this.#providers;
    const { results: lanes, shareError } = this.#lanes;
    return { lanes, counts: this.#counts, shareError, slots: this.#slots.parts, largestProvider, newcomers, falsely };
  }

  #plan(seed: number): void {
    for (const daemon of this.#daemons.values()) {
      const [come, go] = [() => this.#come(daemon), () => this.#go(daemon)];
      comeAndGo(daemon, this.#scenario, this.#timeline, { come, go });
    }
    const ask = (account: Account): void => this.#ask(account);
    for (const account of this.#accounts) {
      if (account.depth === 0) comeInBursts(account, this.#scenario, this.#timeline, () => ask(account));
      else this.#timeline.after(0, () => Array.from({ length: account.depth }).forEach(() => ask(account)));
    }
    rush(this.#accounts, this.#scenario, seed, this.#timeline, ask);
    const look = (): void => {
      for (const job of this.#market.overdue(this.#timeline.now)) this.#late(job);
      this.#timeline.after(OVERDUE_EVERY_MS, look);
    };
    this.#timeline.after(OVERDUE_EVERY_MS, look);
  }

  /** An account asks for its next job. */
  #ask(account: Account): void {
    const { estimate, used } = nextSize(account, this.#scenario);
    this.#jobs += 1;
    this.#counts.asked += 1;
    const id = `j${this.#jobs}` as JobId;
    this.#enqueue(jobOf(account, id, estimate, this.#timeline.now), { account, used, moves: 0 });
  }

  #enqueue(job: Assignment["job"], asked: Asked): void {
    if (!this.#market.enqueue(job)) this.#counts.full += 1;
    else {
      this.#waiting.set(job.job, asked);
      this.#hasChanged = true;
    }
  }

  #late(job: JobId): void {
    const asked = this.#waiting.get(job);
    this.#waiting.delete(job);
    this.#counts.late += 1;
    if (asked !== undefined && asked.account.depth > 0) this.#ask(asked.account);
  }

  /** Hands out what can be handed out; who always has work asks for more at once. */
  #pump(): void {
    const { now } = this.#timeline;
    while (this.#hasChanged) {
      this.#hasChanged = false;
      for (const assignment of this.#market.dispatch(now)) this.#start(assignment);
    }
    const { slots, running, waiting } = this.#market;
    if (this.#isMeasured) this.#slots.set(now, slots, running, waiting);
  }

  #start(assignment: Assignment): void {
    const { job, daemon } = assignment;
    const asked = this.#waiting.get(job.job);
    const server = this.#daemons.get(daemon.daemon);
    if (asked === undefined || server === undefined) throw new Error(`job ${job.job} was not waiting`);
    this.#waiting.delete(job.job);
    const running = { ...asked, assignment };
    this.#running.get(daemon.daemon)?.set(job.job, running);
    const { now } = this.#timeline;
    this.#lanes.dispatched(asked.account, unitsOf(job.estimate), now - job.enqueuedAt, job.reserved);
    this.#providers.dispatched(server, now);
    this.#timeline.after(serviceMs(daemon, asked.used), () => this.#finish(running, server));
    if (asked.account.depth > 0 && asked.moves === 0) this.#ask(asked.account);
  }

  #finish(running: Running, server: SimulatedDaemon): void {
    const { assignment, used } = running;
    const { job, daemon } = assignment;
    // It may have gone away with it.
    if (this.#running.get(daemon.daemon)?.get(job.job) !== running) return;
    if (server.isLying) return this.#end(running, { how: "unverified", tokens: null });
    this.#providers.served(server, unitsOf(used), this.#timeline.now, this.#isMeasured);
    this.#end(running, { how: "served", tokens: used });
  }

  #end({ account, assignment }: Running, ended: Ended): void {
    const { job, daemon } = assignment;
    this.#running.get(daemon.daemon)?.delete(job.job);
    this.#counts[ended.how] += 1;
    this.#market.ended(assignment, ended, this.#timeline.now);
    this.#hasChanged = true;
    const used = ended.tokens === null ? 0 : unitsOf(ended.tokens);
    this.#lanes.ended(account, used, unitsOf(job.estimate), job.reserved);
  }

  #come(daemon: SimulatedDaemon): void {
    const { offer } = daemon;
    this.#running.set(offer.daemon, new Map());
    this.#providers.joined(daemon, this.#timeline.now);
    this.#market.register(offer, this.#timeline.now);
    this.#hasChanged = true;
  }

  /** A daemon goes away: what it had not begun to answer moves, the rest is lost. */
  #go({ offer, random }: SimulatedDaemon): void {
    this.#market.unregister(offer.daemon, this.#timeline.now);
    const left = this.#running.get(offer.daemon);
    this.#running.delete(offer.daemon);
    for (const running of left?.values() ?? []) {
      this.#end(running, { how: "failed", tokens: null });
      const { assignment, moves } = running;
      if (random() >= UNSTARTED || moves >= GENESIS_PARAMETERS.movesPerJob) continue;
      const { job } = assignment;
      this.#counts.moved += 1;
      this.#enqueue({ ...job, excluded: [...job.excluded, offer.daemon] }, { ...running, moves: moves + 1 });
    }
  }
}

/** Token units (economics.md §8). */
export function unitsOf({ prompt, completion }: Tokens): number {
  const { promptTokenUnits, completionTokenUnits } = GENESIS_PARAMETERS;
  return promptTokenUnits * prompt + completionTokenUnits * completion;
}
