/** The standing asks of a pool, kept in order while daemons come, go, run jobs and earn scores. */

import type { DaemonId } from "../ids.ts";
import type { Parameters } from "../parameters.ts";
import type { ElectricityFloor } from "../pricing.ts";
import type { BasisPoints } from "../units.ts";
import type { Bidder } from "./auction.ts";
import { Book } from "./book.ts";
import { qualityOf, speedPercentile } from "./quality.ts";
import { marginOf, type Standing, standingAsk, standingFloor } from "./standing.ts";

/** What a daemon's ask and its place follow from. */
export interface Asking {
  readonly daemon: DaemonId;
  readonly power: ElectricityFloor;
  /** As the provider sets it; null where it leaves that to the market. */
  readonly margin: BasisPoints | null;
  /** Thousandths of a token per second, as for its floor. */
  readonly speed: number;
  readonly reliability: BasisPoints;
  /** Whether its owner has fewer than 50 ◆ verified jobs. */
  readonly newcomer: boolean;
  readonly running: number;
  readonly idleSince: number;
  readonly isFree: boolean;
}

interface Priced {
  readonly asking: Asking;
  readonly floor: Standing;
  readonly standing: Standing;
}

/** The part by which a speed has to differ to count as another one. */
const SPEED_STEP = 0.05;

function isLikeSpeed(a: number, b: number): boolean {
  return Math.abs(a - b) <= SPEED_STEP * a;
}

export class Asks extends Book<Bidder> {
  readonly #parameters: Parameters;
  readonly #priced = new Map<DaemonId, Priced>();
  /** Speeds of all, ascending; null after one has come or gone. */
  #speeds: readonly number[] | null = null;

  constructor(parameters: Parameters) {
    super();
    this.#parameters = parameters;
  }

  get size(): number {
    return this.#priced.size;
  }

  override get all(): readonly Bidder[] {
    this.#refresh();
    return super.all;
  }

  override get free(): readonly Bidder[] {
    this.#refresh();
    return super.free;
  }

  override get freeNewcomers(): readonly Bidder[] {
    this.#refresh();
    return super.freeNewcomers;
  }

  /**
   * Takes a daemon in, or what has changed of it. A speed that is measured anew with every job moves a little each time;
   * it counts when it has moved by more, as everybody's place beside it is looked at again then.
   */
  set(asked: Asking): void {
    const before = this.#priced.get(asked.daemon);
    const isNear = before !== undefined && isLikeSpeed(before.asking.speed, asked.speed);
    const asking = isNear ? { ...asked, speed: before.asking.speed } : asked;
    if (!isNear) this.#speeds = null;
    const isPriced = before?.asking.power === asking.power && before.asking.margin === asking.margin;
    const priced = isPriced ? { ...before, asking } : this.#price(asking);
    this.#priced.set(asking.daemon, priced);
    if (this.#speeds !== null) this.#place(priced, this.#speeds);
  }

  drop(daemon: DaemonId): void {
    if (this.#priced.delete(daemon)) this.#speeds = null;
    this.remove(daemon);
  }

  /**
   * Brings every quality up to date before anybody is asked: one that comes or goes changes how fast the others are beside
   * all, mostly by less than a step.
   */
  #refresh(): void {
    if (this.#speeds !== null) return;
    this.#speeds = [...this.#priced.values()].map(({ asking }) => asking.speed).sort((a, b) => a - b);
    for (const priced of this.#priced.values()) this.#place(priced, this.#speeds);
  }

  #price(asking: Asking): Priced {
    const floor = standingFloor(asking.power, this.#parameters);
    return { asking, floor, standing: standingAsk(floor, asking.margin, this.#parameters) };
  }

  #place({ asking, floor, standing }: Priced, speeds: readonly number[]): void {
    const { daemon, power, running, idleSince, isFree } = asking;
    const bidder: Bidder = {
      daemon,
      power,
      margin: marginOf(asking.margin, this.#parameters),
      floor,
      standing,
      quality: qualityOf(asking.reliability, speedPercentile(speeds, asking.speed)),
      running,
      idleSince,
      newcomer: asking.newcomer,
    };
    this.put(bidder, isFree);
  }
}
