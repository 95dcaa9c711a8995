/** Daemons in the order in which they are asked: all, the free ones, and the newcomers among those. */

import type { DaemonId } from "../ids.ts";
import type { Bidder, Bids } from "./auction.ts";
import { countBefore } from "./sorted.ts";
import { comparePlaces, compareStanding, compareTied, isSameStanding } from "./standing.ts";

/** A daemon's entry, which never changes: what changes of it is put as a new one. */
interface Entry<B extends Bidder> {
  readonly bidder: B;
  readonly isFree: boolean;
}

type Order<B extends Bidder> = (a: B, b: B) => number;

export class Book<B extends Bidder> implements Bids<B> {
  readonly #entries = new Map<DaemonId, Entry<B>>();
  readonly #all: B[] = [];
  readonly #free: B[] = [];
  readonly #freeNewcomers: B[] = [];

  /** Everyone with a standing ask, busy ones too, the lowest standing price first. */
  get all(): readonly B[] {
    return this.#all;
  }

  get free(): readonly B[] {
    return this.#free;
  }

  get freeNewcomers(): readonly B[] {
    return this.#freeNewcomers;
  }

  /** Puts a daemon's ask, or what has changed of it. */
  put(bidder: B, isFree: boolean): void {
    const before = this.#entries.get(bidder.daemon);
    if (before !== undefined) {
      if (before.isFree === isFree && hasSamePlace(before.bidder, bidder)) return;
      this.#leaveFree(before);
    }
    // Jobs begin and end all the time, and prices stay: who is busy keeps the place among all.
    if (before !== undefined && isSameStanding(before.bidder.standing, bidder.standing)) {
      this.#all[placeIn(this.#all, bidder, byStanding)] = bidder;
    } else {
      if (before !== undefined) takeOut(this.#all, before.bidder, byStanding);
      putIn(this.#all, bidder, byStanding);
    }
    this.#entries.set(bidder.daemon, { bidder, isFree });
    if (!isFree) return;
    putIn(this.#free, bidder, comparePlaces);
    if (bidder.newcomer) putIn(this.#freeNewcomers, bidder, comparePlaces);
  }

  remove(daemon: DaemonId): void {
    const entry = this.#entries.get(daemon);
    if (entry === undefined) return;
    this.#entries.delete(daemon);
    takeOut(this.#all, entry.bidder, byStanding);
    this.#leaveFree(entry);
  }

  #leaveFree({ bidder, isFree }: Entry<B>): void {
    if (!isFree) return;
    takeOut(this.#free, bidder, comparePlaces);
    if (bidder.newcomer) takeOut(this.#freeNewcomers, bidder, comparePlaces);
  }
}

function hasSamePlace(a: Bidder, b: Bidder): boolean {
  const hasSamePrice = isSameStanding(a.standing, b.standing) && isSameStanding(a.floor, b.floor);
  return hasSamePrice && a.newcomer === b.newcomer && compareTied(a, b) === 0;
}

/** The order among all does not change while a daemon begins and ends jobs. */
function byStanding(a: Bidder, b: Bidder): number {
  return compareStanding(a.standing, b.standing) || (a.daemon < b.daemon ? -1 : a.daemon > b.daemon ? 1 : 0);
}

function putIn<B extends Bidder>(list: B[], bidder: B, order: Order<Bidder>): void {
  list.splice(placeIn(list, bidder, order), 0, bidder);
}

function takeOut<B extends Bidder>(list: B[], bidder: B, order: Order<Bidder>): void {
  list.splice(placeIn(list, bidder, order), 1);
}

/** Where a bidder stands in a list, or would: its order is total. */
function placeIn<B extends Bidder>(list: readonly B[], bidder: B, order: Order<Bidder>): number {
  return countBefore(list, (other) => order(other, bidder) < 0);
}
