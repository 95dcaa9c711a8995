/**
 * One lane's waiting jobs: accounts share by virtual counters, and jobs are grouped by what they need of a daemon, so that
 * a group that nobody free can serve is passed over whole. Every step takes O(log n).
 */

import { Heap, type InHeap } from "./heap.ts";

/** An account's share of a lane. */
export interface FlowNode<Job> {
  readonly name: string;
  weight: number;
  /** Units served, divided by the weight: the virtual time. */
  counter: number;
  waiting: number;
  readonly places: Place<Job>[];
}

/** The jobs of one flow that need the same. */
interface Place<Job> extends InHeap {
  readonly flow: FlowNode<Job>;
  readonly group: Group<Job>;
  /** In the order in which they came, each with the next one. */
  first: Entry<Job> | null;
  last: Entry<Job> | null;
  /** The flow's counter; where accounts weigh differently, its counter after the first job. */
  key: number;
  /** Of the first job. */
  order: number;
}

/** Jobs that need the same: who can serve one of them can serve every one. */
interface Group<Job> extends InHeap {
  readonly key: string;
  readonly places: Heap<Place<Job>>;
}

/** A job that waits in a lane. */
export interface Entry<Job> {
  readonly job: Job;
  readonly lane: LaneQueue<Job>;
  /** Its place among all jobs that ever came. */
  readonly order: number;
  readonly units: number;
  readonly place: Place<Job>;
  next: Entry<Job> | null;
  previous: Entry<Job> | null;
}

/** Flows that wait for nothing are forgotten beyond this number, the ones that are furthest behind first. */
const IDLE_FLOWS = 4_096;

export class LaneQueue<Job> {
  readonly name: string;
  readonly weight: number;
  /** Where an account's weight is its own, it is looked at after its next job, so that a share in parts is no larger. */
  readonly #weighted: boolean;
  /** The lane's own virtual time, among the lanes of its class. */
  virtual = 0;
  /** The counter of the flow that was dispatched last, before its charge. */
  tag = 0;
  readonly flows = new Map<string, FlowNode<Job>>();
  readonly #groups = new Map<string, Group<Job>>();
  readonly #ready: Heap<Group<Job>>;
  readonly #blocked = new Set<Group<Job>>();
  #waiting = 0;
  #waitingUnits = 0;

  constructor(name: string, weight: number, weighted: boolean) {
    this.name = name;
    this.weight = weight;
    this.#weighted = weighted;
    this.#ready = new Heap((a, b) => isBefore(topOf(a), topOf(b)));
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Estimated units of all that wait. */
  get waitingUnits(): number {
    return this.#waitingUnits;
  }

  /** Whether a job waits that was not found to be unservable. */
  get isReady(): boolean {
    return this.#ready.size > 0;
  }

  /**
   * `group` says what the job needs; `order` is its place among all jobs of the queue. A flow that has begun to wait `anew`
   * is lifted.
   */
  add(
    job: Job,
    at: { flow: string; weight: number; group: string; order: number; units: number; anew: boolean },
  ): Entry<Job> {
    const flow = this.flow(at.flow, at.weight);
    if (at.anew && flow.waiting === 0) flow.counter = Math.max(flow.counter, this.#least());
    const group = this.#group(at.group);
    let place = flow.places.find((known) => known.group === group);
    if (place === undefined) {
      place = { flow, group, first: null, last: null, key: 0, order: 0, heapPlace: -1 };
      flow.places.push(place);
    }
    const { order, units } = at;
    const entry: Entry<Job> = { job, lane: this, order, units, place, next: null, previous: place.last };
    if (place.last === null) place.first = entry;
    else place.last.next = entry;
    place.last = entry;
    this.#waiting += 1;
    this.#waitingUnits += units;
    flow.waiting += 1;
    if (flow.weight === at.weight) this.#settle(place);
    else this.#reweigh(flow, at.weight);
    return entry;
  }

  /** Takes a job out that waits here. */
  remove({ place, units, next, previous }: Entry<Job>): void {
    if (previous === null) place.first = next;
    else previous.next = next;
    if (next === null) place.last = previous;
    else next.previous = previous;
    this.#waiting -= 1;
    this.#waitingUnits -= units;
    place.flow.waiting -= 1;
    this.#settle(place);
  }

  /** The job that goes next among those that may be servable. */
  first(): Job | undefined {
    const group = this.#ready.top;
    return group === undefined ? undefined : sampleOf(group);
  }

  /** Nobody free can serve {@link first}: its group is passed over until {@link unblock}. */
  block(): void {
    const group = this.#ready.top;
    if (group === undefined) return;
    this.#ready.remove(group);
    this.#blocked.add(group);
  }

  /** Takes groups into account again of which `may` holds, asked about one job of each. */
  unblock(may: (job: Job) => boolean): void {
    for (const group of this.#blocked) {
      if (!may(sampleOf(group))) continue;
      this.#blocked.delete(group);
      this.#ready.add(group);
    }
  }

  /** A flow, as it is or at the beginning. */
  flow(name: string, weight: number): FlowNode<Job> {
    const known = this.flows.get(name);
    if (known !== undefined) return known;
    this.#forgetIdle();
    const flow: FlowNode<Job> = { name, weight, counter: this.tag, waiting: 0, places: [] };
    this.flows.set(name, flow);
    return flow;
  }

  /** A flow's counter has changed. */
  counted(flow: FlowNode<Job>): void {
    for (const place of flow.places) this.#settle(place);
  }

  /** One job of every group, with the jobs of the group. */
  *groups(): Generator<{ readonly sample: Job; readonly jobs: () => Generator<Job> }> {
    for (const group of this.#groups.values()) {
      yield { sample: sampleOf(group), jobs: () => jobsOf(group) };
    }
  }

  /** The jobs of a flow that wait, in their order. */
  jobsOf(name: string): Job[] {
    return this.#inOrder(name).map(({ job }) => job);
  }

  /**
   * How many jobs of this lane go before one of its jobs, and their units, where each is served what it was estimated at:
   * exact for its own flow, by the mean for the others. O(flows).
   */
  ahead(entry: Entry<Job>): { readonly jobs: number; readonly units: number } {
    const own = entry.place.flow;
    const before = this.#inOrder(own.name).filter(({ order }) => order < entry.order);
    const ownUnits = before.reduce((sum, { units }) => sum + units, 0);
    const mean = this.#waitingUnits / this.#waiting;
    const at = own.counter + ownUnits / own.weight;
    let jobs = before.length;
    let units = ownUnits;
    for (const flow of this.flows.values()) {
      if (flow === own || flow.waiting === 0) continue;
      const rounds = ((at - flow.counter) * flow.weight) / Math.max(1, mean);
      const more = Math.min(flow.waiting, Math.max(0, Math.ceil(rounds)));
      jobs += more;
      units += more * mean;
    }
    return { jobs, units };
  }

  #inOrder(name: string): Entry<Job>[] {
    const places = this.flows.get(name)?.places ?? [];
    return places.flatMap((place) => [...entriesOf(place)]).sort((a, b) => a.order - b.order);
  }

  /** What a returning flow is lifted to, so that having been away earns nothing. */
  #least(): number {
    const next = this.#ready.top;
    return next === undefined ? this.tag : topOf(next).flow.counter;
  }

  #group(key: string): Group<Job> {
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const group: Group<Job> = { key, places: new Heap(isBefore), heapPlace: -1 };
    this.#groups.set(key, group);
    return group;
  }

  #reweigh(flow: FlowNode<Job>, weight: number): void {
    flow.weight = weight;
    this.counted(flow);
  }

  /** Puts a place, and with it its group, where it belongs now; forgets what is empty. */
  #settle(place: Place<Job>): void {
    const { flow, group, first } = place;
    if (first === null) {
      group.places.remove(place);
      flow.places.splice(flow.places.indexOf(place), 1);
    } else {
      place.key = flow.counter + (this.#weighted ? first.units / flow.weight : 0);
      place.order = first.order;
      group.places.add(place);
    }
    if (group.places.size === 0) {
      this.#groups.delete(group.key);
      this.#blocked.delete(group);
      this.#ready.remove(group);
    } else if (!this.#blocked.has(group)) this.#ready.add(group);
  }

  /** A forgotten flow comes back where it would be lifted to, if it was not ahead of that. */
  #forgetIdle(): void {
    if (this.flows.size < IDLE_FLOWS || this.flows.size < 2 * this.#waiting) return;
    const idle = [...this.flows.values()].filter(({ waiting }) => waiting === 0).sort((a, b) => a.counter - b.counter);
    for (const { name } of idle.slice(0, Math.ceil(idle.length / 2))) this.flows.delete(name);
  }
}

function isBefore<Job>(a: Place<Job>, b: Place<Job>): boolean {
  return a.key === b.key ? a.order < b.order : a.key < b.key;
}

function topOf<Job>({ places }: Group<Job>): Place<Job> {
  return places.top as Place<Job>;
}

function sampleOf<Job>(group: Group<Job>): Job {
  return (topOf(group).first as Entry<Job>).job;
}

function* entriesOf<Job>({ first }: Place<Job>): Generator<Entry<Job>> {
  for (let entry = first; entry !== null; entry = entry.next) yield entry;
}

function* jobsOf<Job>({ places }: Group<Job>): Generator<Job> {
  for (const place of places.values()) for (const { job } of entriesOf(place)) yield job;
}
