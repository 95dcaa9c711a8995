/** The public lane of a pool: what its daemons ask, what demand makes of that, and who gets a job (economics.md §4). */

import { type Refusal, refuse } from "../errors.ts";
import type { DaemonId } from "../ids.ts";
import { WHOLE } from "../lanes.ts";
import type { Parameters } from "../parameters.ts";
import { perThousand, type Terms } from "../pricing.ts";
import { obstacle } from "../scheduler/choose.ts";
import { type Daemon, roomOf } from "../scheduler/daemon.ts";
import type { QueuedJob } from "../scheduler/waiting-job.ts";
import { type BasisPoints, basisPoints, formatUsd, type NanoUsd } from "../units.ts";
import { Asks } from "./asks.ts";
import { type Bidder, type DrawSource, defaultMaximum, holdAuction, lowestAsk } from "./auction.ts";
import { demandOf, type Load } from "./demand.ts";
import { drawDay } from "./draw.ts";
import { type AuctionRecord, recordAuction } from "./record.ts";
import { askAt, askRate } from "./standing.ts";

export interface Won {
  readonly daemon: Daemon;
  readonly terms: Terms;
  /** Standing asks of the pool, the winner's ask, and the lowest of the others. */
  readonly asks: number;
  readonly winningAsk: NanoUsd;
  readonly secondAsk: NanoUsd | null;
  /** Writes it down; `pool` is the pool's name. */
  readonly record: (pool: string) => AuctionRecord;
}

/** What is asked in a pool now. Prices are nanoUSD for 1,000 completion tokens. */
export interface Prices {
  readonly count: number;
  readonly lowest: NanoUsd | null;
  readonly median: NanoUsd | null;
  /** The lowest floor · 1.1 ◆: what a job without a maximum of its own pays at least, if the formula is below it. */
  readonly least: NanoUsd | null;
}

export class PublicMarket {
  readonly #parameters: Parameters;
  readonly #drawsOf: (day: number) => DrawSource;
  readonly #asks: Asks;
  readonly #daemons = new Map<DaemonId, { readonly daemon: Daemon; readonly slots: number }>();
  #slots = 0;
  #draws: DrawSource | null = null;

  /** `drawsOf` gives the draws of a day, which are asked for once a day. */
  constructor(parameters: Parameters, drawsOf: (day: number) => DrawSource) {
    this.#parameters = parameters;
    this.#drawsOf = drawsOf;
    this.#asks = new Asks(parameters);
  }

  /** Slots of the daemons that ask. */
  get slots(): number {
    return this.#slots;
  }

  /** Takes a daemon in, or what has changed of it. One that takes no jobs asks nothing. */
  set(daemon: Daemon): void {
    const { standing } = daemon;
    if (daemon.draining || standing.quarantined) return this.drop(daemon.daemon);
    const before = this.#daemons.get(daemon.daemon);
    // What it serves for other pools it has no slots for here.
    const slots = roomOf(daemon) + daemon.running.size;
    this.#slots += slots - (before?.slots ?? 0);
    this.#daemons.set(daemon.daemon, { daemon, slots });
    this.#asks.set({
      daemon: daemon.daemon,
      power: daemon.floor,
      margin: daemon.margin,
      speed: Math.round(standing.tokensPerSecond * 1_000),
      reliability: basisPoints(Math.round(standing.reliability * WHOLE)),
      newcomer: standing.newcomer,
      running: daemon.running.size,
      idleSince: daemon.idleSince,
      isFree: roomOf(daemon) > 0,
    });
  }

  drop(id: DaemonId): void {
    const known = this.#daemons.get(id);
    if (known === undefined) return;
    this.#daemons.delete(id);
    this.#slots -= known.slots;
    this.#asks.drop(id);
  }

  /** Decides a job; null while nobody free may serve it at or under its maximum. `load` leaves the job itself out. */
  auction(job: QueuedJob, load: Load, now: number): Won | null {
    const demand = demandOf(load, this.#parameters);
    if (demand === null) return null;
    const isEligible = this.#eligibleFor(job);
    const question = { job: job.job, max: this.#maximumOf(job, isEligible), demand };
    const auction = holdAuction(question, this.#asks, isEligible, this.#drawsAt(now), this.#parameters);
    if (auction === null) return null;
    const daemon = this.#daemons.get(auction.winner.daemon)?.daemon;
    if (daemon === undefined) throw new Error(`${auction.winner.daemon} asks and is not there`);
    const { winningAsk, secondAsk } = auction;
    const asks = this.#asks.size;
    return {
      daemon,
      terms: this.#termsOf(daemon, winningAsk),
      asks,
      winningAsk,
      secondAsk,
      record: (pool) => recordAuction(question, { pool, at: now, load, standingAsks: asks }, auction, this.#parameters),
    };
  }

  /**
   * Why a job is not fulfilled: none of the asks of daemons that may serve it, busy or not, is at or under its maximum.
   * Null while one is, and where nobody may serve it at any price.
   */
  refusal(job: QueuedJob, load: Load): Refusal | null {
    const demand = demandOf(load, this.#parameters);
    const isEligible = this.#eligibleFor(job);
    const lowest = demand === null ? null : lowestAsk(this.#asks.all, isEligible, demand);
    if (lowest === null) return null;
    const max = this.#maximumOf(job, isEligible);
    if (lowest <= max) return null;
    return refuse("no_bid", { metadata: { lowest_ask: formatUsd(lowest), max_price: formatUsd(max) } });
  }

  /** The factor of demand; null without slots. */
  demand(load: Load): BasisPoints | null {
    return demandOf(load, this.#parameters);
  }

  prices(load: Load): Prices {
    const { all } = this.#asks;
    const demand = demandOf(load, this.#parameters);
    const at = (bidder: Bidder | undefined) => (bidder && demand !== null ? askAt(bidder.standing, demand) : null);
    const none = 0 as NanoUsd;
    return {
      count: all.length,
      lowest: at(all[0]),
      median: at(all[(all.length - 1) >> 1]),
      least: all.length === 0 ? null : defaultMaximum(none, all, () => true, this.#parameters),
    };
  }

  #eligibleFor(job: QueuedJob): (bidder: Bidder) => boolean {
    return ({ daemon: id }) => {
      const daemon = this.#daemons.get(id)?.daemon;
      return daemon !== undefined && obstacle(daemon, job) === null;
    };
  }

  /** What the request names; else the default, as far as the job's hold covers it (docs/decisions/0053). */
  #maximumOf({ maxPrice, rate, maxRate }: QueuedJob, isEligible: (bidder: Bidder) => boolean): NanoUsd {
    const held = perThousand(maxRate);
    if (maxPrice !== null) return Math.min(maxPrice, held) as NanoUsd;
    return Math.min(held, defaultMaximum(perThousand(rate), this.#asks.all, isEligible, this.#parameters)) as NanoUsd;
  }

  /** The rate is the ask, which pays the power whatever the mix is; the floor is told beside it. */
  #termsOf({ floor }: Daemon, ask: NanoUsd): Terms {
    // Where prompts weigh nothing their power is the provider's own.
    const covers = this.#parameters.promptWeightNumerator > 0;
    return { rate: askRate(ask, this.#parameters), floor: covers ? floor : null };
  }

  #drawsAt(now: number): DrawSource {
    const day = drawDay(now);
    if (this.#draws?.day !== day) this.#draws = this.#drawsOf(day);
    return this.#draws;
  }
}
