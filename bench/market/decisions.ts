/** What a pool's decision costs: a job ends, another one comes, and the one that is next goes to one of very many daemons. */

import type { JobId } from "../../core/ids.ts";
import { seeded } from "../../core/random.ts";
import type { QueuedJob } from "../../core/scheduler/waiting-job.ts";
import { median } from "../measure/statistics.ts";
import { type Assignment, CoreMarket, type Ended } from "./market.ts";
import { type Account, accountsOf, daemonsOf, jobOf, nextSize, recordsOf } from "./population.ts";
import { FULL, type Scenario, scenarioOf } from "./scenario.ts";

export interface DecisionSize {
  /** Accounts that wait while daemons are chosen, in all lanes. */
  readonly accounts: number;
  /** Daemons with a free slot meanwhile. */
  readonly daemons: number;
  readonly rounds: number;
}

/** Medians in microseconds of single calls. */
export interface DecisionCost {
  readonly ended: number;
  readonly enqueue: number;
  readonly dispatch: number;
  /** All three: what one job more costs a pool. */
  readonly together: number;
}

const SLOTS = 4;
/** So many jobs of each daemon end before others are dispatched: while the first half of those is, every daemon has a slot. */
const ENDING = 2;
const USED: Ended = { how: "served", tokens: { prompt: 200, completion: 250 } };
const SEED = 7;
/** Rounds until the code is compiled. */
const WARM_UP_ROUNDS = 5;

/** Times the decisions of a pool that has been full for a while. */
export function timeDecisions(size: DecisionSize): DecisionCost {
  const pool = new FullPool(size);
  const [ended, enqueue, dispatch]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < WARM_UP_ROUNDS + size.rounds; round++) {
    const times = pool.round();
    if (round < WARM_UP_ROUNDS) continue;
    ended.push(...times.ended);
    enqueue.push(...times.enqueue);
    dispatch.push(...times.dispatch);
  }
  const costs = { ended: median(ended), enqueue: median(enqueue), dispatch: median(dispatch) };
  return { ...costs, together: costs.ended + costs.enqueue + costs.dispatch };
}

/** A pool whose slots are all taken, with an account more for each job that is about to end than are to wait meanwhile. */
class FullPool {
  readonly #scenario: Scenario;
  readonly #market: CoreMarket;
  readonly #accounts = new Map<string, Account>();
  readonly #running = new Map<string, Assignment[]>();
  readonly #watch = new Stopwatch();
  readonly #daemons: number;
  #now = 0;
  #jobs = 0;

  constructor({ accounts, daemons }: DecisionSize) {
    const base = scenarioOf("saturated", FULL);
    const backlogged = Math.ceil((accounts + ENDING * daemons) / base.lanes.length);
    const lanes = base.lanes.map(({ lane }) => ({ lane, backlogged, bursty: 0, load: 0 }));
    this.#scenario = { ...base, lanes, daemons };
    this.#daemons = daemons;
    const simulated = daemonsOf(this.#scenario, SEED);
    this.#market = new CoreMarket({ records: recordsOf(simulated), random: seeded(SEED) }, () => this.#watch.lap());
    for (const { offer } of simulated) {
      this.#running.set(offer.daemon, []);
      this.#market.register({ ...offer, slots: SLOTS, sharedSlots: SLOTS }, this.#now);
    }
    for (const account of accountsOf(this.#scenario, simulated, SEED)) this.#accounts.set(account.id, account);
    let asking = [...this.#accounts.values()];
    while (asking.length > 0) {
      for (const job of this.#jobsOf(asking)) this.#market.enqueue(job);
      asking = this.#dispatch();
    }
  }

  /** Ends jobs, dispatches others in their places and has their accounts ask again: microseconds of each call. */
  round(): { readonly ended: number[]; readonly dispatch: number[]; readonly enqueue: number[] } {
    this.#now += 1_000;
    const ending = [...this.#running.values()].flatMap((own) => own.splice(0, ENDING));
    const ended = this.#watch.time(ending, (assignment) => this.#market.ended(assignment, USED, this.#now));
    this.#watch.begin();
    const asking = this.#dispatch();
    const dispatch = this.#watch.laps.slice(0, this.#daemons);
    const enqueue = this.#watch.time(this.#jobsOf(asking), (job) => this.#market.enqueue(job));
    return { ended, dispatch, enqueue };
  }

  #jobsOf(accounts: readonly Account[]): QueuedJob[] {
    return accounts.map((account) => {
      this.#jobs += 1;
      const { estimate } = nextSize(account, this.#scenario);
      return jobOf(account, `j${this.#jobs}` as JobId, estimate, this.#now);
    });
  }

  /** Fills all slots, and gives the accounts whose jobs run now. */
  #dispatch(): Account[] {
    const assignments = this.#market.dispatch(this.#now);
    for (const assignment of assignments) this.#running.get(assignment.daemon.daemon)?.push(assignment);
    return assignments.flatMap(({ job }) => this.#accounts.get(job.account) ?? []);
  }
}

/** Times single calls in microseconds. */
class Stopwatch {
  laps: number[] = [];
  #at = 0;

  begin(): void {
    this.laps = [];
    this.#at = performance.now();
  }

  lap(): void {
    const now = performance.now();
    this.laps.push(1_000 * (now - this.#at));
    this.#at = now;
  }

  time<T>(items: readonly T[], work: (item: T) => void): number[] {
    this.begin();
    for (const item of items) {
      work(item);
      this.lap();
    }
    return this.laps;
  }
}
