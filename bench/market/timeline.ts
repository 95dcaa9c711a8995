/** Simulated time: what is to happen, in order. Of what happens at the same time, that comes first which was planned first. */

import { Heap, type InHeap } from "../../core/scheduler/heap.ts";

interface Planned extends InHeap {
  readonly at: number;
  readonly order: number;
  readonly happen: () => void;
}

export class Timeline {
  readonly #planned = new Heap<Planned>((a, b) => (a.at === b.at ? a.order < b.order : a.at < b.at));
  #order = 0;
  #now = 0;

  /** Milliseconds since the beginning. */
  get now(): number {
    return this.#now;
  }

  after(ms: number, happen: () => void): void {
    this.#order += 1;
    this.#planned.add({ at: this.#now + ms, order: this.#order, happen, heapPlace: -1 });
  }

  /** Lets everything happen that is planned until a time, with what is planned meanwhile; `then` is called after each. */
  runUntil(end: number, then: () => void): void {
    for (let next = this.#planned.top; next !== undefined && next.at <= end; next = this.#planned.top) {
      this.#planned.remove(next);
      this.#now = next.at;
      next.happen();
      then();
    }
    this.#now = end;
  }
}
