/** What a simulated market decides: who is next, and who serves it. The core's pool, and queues to compare it with. */

import { Draws, drawSecret } from "../../core/auction/draw.ts";
import { PublicMarket } from "../../core/auction/market.ts";
import type { DaemonId, JobId } from "../../core/ids.ts";
import { GENESIS_PARAMETERS } from "../../core/parameters.ts";
import type { Tokens } from "../../core/pricing.ts";
import type { Random } from "../../core/random.ts";
import { type DaemonRecord, Standings } from "../../core/routing/standings.ts";
import type { DaemonOffer } from "../../core/scheduler/daemon.ts";
import { Pool } from "../../core/scheduler/pool.ts";
import type { QueuedJob } from "../../core/scheduler/waiting-job.ts";
import { PREFILL } from "./population.ts";

/** A job that was given to a daemon. */
export interface Assignment {
  readonly job: QueuedJob;
  readonly daemon: DaemonOffer;
  readonly fence: number;
}

/** How an assignment ended: what was used, or null where nothing was. */
export interface Ended {
  readonly tokens: Tokens | null;
  readonly how: "served" | "failed" | "unverified";
}

export interface Market {
  readonly waiting: number;
  readonly slots: number;
  readonly running: number;
  register(daemon: DaemonOffer, now: number): void;
  unregister(daemon: DaemonId, now: number): void;
  /** False where so many wait that the job is refused. */
  enqueue(job: QueuedJob): boolean;
  dispatch(now: number): Assignment[];
  ended(assignment: Assignment, how: Ended, now: number): void;
  /** Takes out the jobs that have waited too long. */
  overdue(now: number): JobId[];
}

/** What a market begins with. */
export interface Beginning {
  /** What is known of daemons that have served before. */
  readonly records: readonly DaemonRecord[];
  readonly random: Random;
}

/** What a job shows of its daemon. */
const EFFECTS = { served: "up", failed: "down", unverified: "failed_verification" } as const;

/** What the simulation's draws follow from. */
const DRAW_ROOT = new Uint8Array(32);

/** The market as it is. */
export class CoreMarket implements Market {
  readonly #pool: Pool;
  readonly #decided: () => void;
  #fence = 0;

  /** `decided` is called for each job that has somebody who serves it, before the next one is looked for. */
  constructor({ records, random }: Beginning, decided: () => void = () => {}) {
    const standings = new Standings(GENESIS_PARAMETERS, records, random);
    const market = new PublicMarket(GENESIS_PARAMETERS, (day) => new Draws(drawSecret(DRAW_ROOT, day), day));
    this.#pool = new Pool(GENESIS_PARAMETERS, standings, random, market);
    this.#decided = decided;
  }

  get waiting(): number {
    return this.#pool.waiting;
  }

  get slots(): number {
    return this.#pool.load("public").slots;
  }

  get running(): number {
    return this.#pool.load("public").running;
  }

  register(daemon: DaemonOffer, now: number): void {
    this.#pool.register(daemon, now);
  }

  unregister(daemon: DaemonId, now: number): void {
    this.#pool.unregister(daemon, this.#pool.daemons.get(daemon)?.relay ?? "", now);
  }

  enqueue(job: QueuedJob): boolean {
    return this.#pool.enqueue(job) === null;
  }

  dispatch(now: number): Assignment[] {
    const dispatches = this.#pool.dispatch(now, () => {
      this.#decided();
      return (this.#fence += 1);
    });
    return dispatches.flatMap(({ job, daemon, lease: { fence, race } }) => {
      // Nobody asks for a daemon of its own here.
      if (job.flow === null) return [];
      this.#pool.running(
        { job: job.job, fence, daemon: daemon.daemon, account: job.account, lane: job.flow.lane, race },
        now,
      );
      return [{ job, daemon, fence }];
    });
  }

  ended({ job, daemon, fence }: Assignment, { tokens, how }: Ended, now: number): void {
    const speed = { decode: daemon.tokensPerSecond, prefill: PREFILL * daemon.tokensPerSecond };
    this.#pool.ended(job.job, fence, tokens, now, { effect: EFFECTS[how], speed: how === "served" ? speed : null });
  }

  overdue(now: number): JobId[] {
    return this.#pool.rejections(now).map(({ job }) => job.job);
  }
}
