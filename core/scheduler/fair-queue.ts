/**
 * Who is next (economics.md §8): a hierarchical queue by virtual token counters. Classes share by weight, lanes inside a
 * class, accounts inside a lane; an account's own jobs keep their order. Whoever waits may use what others leave: what has
 * no job that can be served takes no part, and what comes back is lifted.
 */

import type { JobId } from "../ids.ts";
import { LANE_TABLE, LANES, type Lane } from "../lanes.ts";
import type { Parameters } from "../parameters.ts";
import { type Entry, LaneQueue } from "./lane-queue.ts";
import type { Fairness } from "./snapshot.ts";

/** Where a job stands in the hierarchy. */
export interface Flow {
  readonly lane: Lane;
  readonly account: string;
  /** What the account weighs in its lane; positive. */
  readonly weight: number;
}

export interface Queued {
  readonly job: JobId;
  /** Whose it is; its flow may be one that several accounts share. */
  readonly account: string;
  readonly flow: Flow;
  readonly reserved: boolean;
}

export interface QueueRules<Job> {
  /** Jobs of one lane with the same text need the same of a daemon. */
  readonly needsOf: (job: Job) => string;
  /** What a job is charged at its dispatch, in token units. */
  readonly unitsOf: (job: Job) => number;
}

interface ClassNode<Job> {
  readonly weight: number;
  readonly lanes: LaneQueue<Job>[];
  virtual: number;
  /** The virtual time of the lane that was dispatched last, before its charge. */
  tag: number;
}

export class FairQueue<Job extends Queued> {
  readonly #rules: QueueRules<Job>;
  readonly #classes: readonly ClassNode<Job>[];
  readonly #lanes = new Map<Lane, { readonly queue: LaneQueue<Job>; readonly class: ClassNode<Job> }>();
  /** Jobs in reserved slots: ahead of everything, in the order in which they came, and in nobody's share. */
  readonly #reserved = new LaneQueue<Job>("reserved", 1, false);
  readonly #entries = new Map<JobId, Entry<Job>>();
  /** The virtual time of the class that was dispatched last, before its charge. */
  #tag = 0;
  #order = 0;

  constructor(parameters: Parameters, rules: QueueRules<Job>) {
    this.#rules = rules;
    const open = classNode<Job>(parameters.classWeightOpen);
    const closed = classNode<Job>(parameters.classWeightPrivate);
    this.#classes = [closed, open];
    for (const lane of LANES) {
      const row = LANE_TABLE[lane];
      const weighted = row.accounts === "allotment" || row.accounts === "slots";
      const queue = new LaneQueue<Job>(lane, parameters[row.weight], weighted);
      const node = row.class === "private" ? closed : open;
      node.lanes.push(queue);
      this.#lanes.set(lane, { queue, class: node });
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Estimated units of all that wait. */
  get waitingUnits(): number {
    return this.#classes.reduce((sum, node) => sum + loadOf(node).waitingUnits, this.#reserved.waitingUnits);
  }

  get(id: JobId): Job | undefined {
    return this.#entries.get(id)?.job;
  }

  /** How many wait in a lane; those in reserved slots wait in none. */
  waitingIn(lane: Lane): number {
    return this.#lane(lane).queue.waiting;
  }

  add(job: Job): void {
    if (this.#entries.has(job.job)) throw new Error(`job ${job.job} waits already`);
    const lane = job.reserved ? this.#reserved : this.#lane(job.flow.lane).queue;
    if (!job.reserved && lane.waiting === 0) this.#lift(job.flow.lane);
    this.#order += 1;
    this.#join(lane, job, this.#order, true);
  }

  #join(lane: LaneQueue<Job>, job: Job, order: number, anew: boolean): void {
    const { account: flow, weight } = job.reserved ? ONE_FLOW : job.flow;
    const { needsOf, unitsOf } = this.#rules;
    const entry = lane.add(job, { flow, weight, group: needsOf(job), order, units: unitsOf(job), anew });
    this.#entries.set(job.job, entry);
  }

  /** Takes a job out, whether it is dispatched or withdrawn. */
  remove(id: JobId): Job | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    this.#entries.delete(id);
    entry.lane.remove(entry);
    return entry.job;
  }

  /**
   * The next job in fair order that can be served: `serve` is asked about one job after another, and what it has null for
   * is passed over, with all that need the same, until {@link unblock}. The job stays in the queue.
   */
  next<Match>(serve: (job: Job) => Match | null): { readonly job: Job; readonly match: Match } | null {
    for (;;) {
      const lane = this.#nextLane();
      const job = lane?.first();
      if (lane === null || job === undefined) return null;
      const match = serve(job);
      if (match !== null) return { job, match };
      lane.block();
    }
  }

  /** Takes jobs into account again that were passed over; `may` is asked about one of each kind. */
  unblock(may: (job: Job) => boolean): void {
    this.#reserved.unblock(may);
    for (const { queue } of this.#lanes.values()) queue.unblock(may);
  }

  /** What jobs need is told apart in another way: each is put where it belongs now, at its old place in its flow. */
  regroup(): void {
    const entries = [...this.#entries.values()];
    for (const entry of entries) entry.lane.remove(entry);
    for (const { lane, job, order } of entries) this.#join(lane, job, order, false);
  }

  /** Charges a flow when its job is dispatched: by the estimate, which {@link correct} sets right later. */
  charge({ lane, account, weight }: Flow, units: number): void {
    const { queue, class: node } = this.#lane(lane);
    const flow = queue.flow(account, weight);
    this.#tag = node.virtual;
    node.virtual += units / node.weight;
    node.tag = queue.virtual;
    queue.virtual += units / queue.weight;
    queue.tag = flow.counter;
    flow.counter += units / flow.weight;
    queue.counted(flow);
  }

  /**
   * Adds what a job really used beyond its estimate (or less). A credit is never more than what the jobs that ran at once
   * were charged, so nobody comes back further than one largest charge for each slot.
   */
  correct({ lane, account, weight }: Flow, units: number): void {
    const { queue, class: node } = this.#lane(lane);
    const flow = queue.flow(account, weight);
    node.virtual += units / node.weight;
    queue.virtual += units / queue.weight;
    flow.counter += units / flow.weight;
    queue.counted(flow);
  }

  /** The waiting jobs of an account in a lane, in their order; those in reserved slots are not among them. */
  jobsOf({ lane, account }: Flow): Job[] {
    return this.#lane(lane).queue.jobsOf(account);
  }

  /** One waiting job of each kind of need, with all that need the same. */
  *groups(): Generator<{ readonly sample: Job; readonly jobs: () => Generator<Job> }> {
    yield* this.#reserved.groups();
    for (const { queue } of this.#lanes.values()) yield* queue.groups();
  }

  /** Whether an account has jobs that wait, whatever flow they are in. */
  hasJobsOf(account: string): boolean {
    for (const job of this.jobs()) if (job.account === account) return true;
    return false;
  }

  /** All that wait, in the order in which they came. */
  *jobs(): Generator<Job> {
    for (const { job } of this.#entries.values()) yield job;
  }

  /**
   * How many jobs go before a waiting one, and their units: by estimates, with the lanes' shares as they are now. Null when
   * it does not wait.
   */
  ahead(id: JobId): { readonly jobs: number; readonly units: number } | null {
    const entry = this.#entries.get(id);
    if (entry === undefined) return null;
    const own = entry.lane.ahead(entry);
    if (entry.lane === this.#reserved) return own;
    const { class: node, queue } = this.#lane(entry.job.flow.lane);
    const inClass = beside(own, queue, node.lanes, (lane) => lane);
    const inAll = beside(inClass, node, this.#classes, loadOf);
    return { jobs: inAll.jobs + this.#reserved.waiting, units: inAll.units + this.#reserved.waitingUnits };
  }

  /** The counters, for a start that is to go on with them. */
  snapshot(): Fairness {
    const lanes = [...this.#lanes].map(([lane, { queue }]) => ({
      lane,
      virtual: queue.virtual,
      tag: queue.tag,
      // Who is not ahead of the last one dispatched comes back where it would be lifted to.
      flows: [...queue.flows.values()]
        .filter(({ counter }) => counter > queue.tag)
        .map(({ name, weight, counter }) => [name, weight, counter] as const),
    }));
    const classes = this.#classes.map(({ virtual, tag }) => ({ virtual, tag }));
    return { v: 1, tag: this.#tag, classes, lanes };
  }

  /** Goes on with the counters of an earlier life. To be called before anything waits. */
  restore({ tag, classes, lanes }: Fairness): void {
    this.#tag = tag;
    for (const [index, node] of this.#classes.entries()) Object.assign(node, classes[index]);
    for (const { lane, virtual, tag: laneTag, flows } of lanes) {
      const { queue } = this.#lane(lane);
      queue.virtual = virtual;
      queue.tag = laneTag;
      for (const [name, weight, counter] of flows) queue.flow(name, weight).counter = counter;
    }
  }

  #lane(lane: Lane): { readonly queue: LaneQueue<Job>; readonly class: ClassNode<Job> } {
    const known = this.#lanes.get(lane);
    if (known === undefined) throw new Error(`lane ${lane} has no queue`);
    return known;
  }

  #nextLane(): LaneQueue<Job> | null {
    if (this.#reserved.isReady) return this.#reserved;
    const node = least(this.#classes, isReady);
    return node === undefined ? null : (least(node.lanes, laneIsReady) ?? null);
  }

  /**
   * A lane begins to wait, and perhaps its class with it: each is lifted to the least of its siblings whose jobs can be
   * served, so that having been away earns nothing. One that waits for a daemon it can use was not away.
   */
  #lift(lane: Lane): void {
    const { queue, class: node } = this.#lane(lane);
    if (node.lanes.every(({ waiting }) => waiting === 0)) lift(node, least(this.#classes, isReady), this.#tag);
    lift(queue, least(node.lanes, laneIsReady), node.tag);
  }
}

const ONE_FLOW = { account: "", weight: 1 };

function classNode<Job>(weight: number): ClassNode<Job> {
  return { weight, lanes: [], virtual: 0, tag: 0 };
}

function isReady<Job>({ lanes }: ClassNode<Job>): boolean {
  return lanes.some(laneIsReady);
}

function laneIsReady<Job>(lane: LaneQueue<Job>): boolean {
  return lane.isReady;
}

/** Of the nodes that can be served, the one that is behind the others. */
function least<Node extends { readonly virtual: number }>(
  nodes: readonly Node[],
  ready: (node: Node) => boolean,
): Node | undefined {
  let first: Node | undefined;
  for (const node of nodes) {
    if (ready(node) && (first === undefined || node.virtual < first.virtual)) first = node;
  }
  return first;
}

/** Lifts a node to the least of its siblings, or to the last dispatched one where there is none. */
function lift(node: { virtual: number }, sibling: { readonly virtual: number } | undefined, tag: number): void {
  node.virtual = Math.max(node.virtual, sibling?.virtual ?? tag);
}

interface Load {
  readonly waiting: number;
  readonly waitingUnits: number;
}

function loadOf<Job>({ lanes }: ClassNode<Job>): Load {
  return {
    waiting: lanes.reduce((sum, { waiting }) => sum + waiting, 0),
    waitingUnits: lanes.reduce((sum, { waitingUnits }) => sum + waitingUnits, 0),
  };
}

/** What goes before a job among siblings of its node: what each has until its virtual time is where the node's will be. */
function beside<Node extends { readonly virtual: number; readonly weight: number }>(
  own: { readonly jobs: number; readonly units: number },
  node: Node,
  siblings: readonly Node[],
  load: (node: Node) => Load,
): { readonly jobs: number; readonly units: number } {
  const at = node.virtual + own.units / node.weight;
  let { jobs, units } = own;
  for (const sibling of siblings) {
    const { waiting, waitingUnits } = load(sibling);
    if (sibling === node || waitingUnits === 0) continue;
    const share = Math.min(waitingUnits, Math.max(0, (at - sibling.virtual) * sibling.weight));
    units += share;
    jobs += Math.min(waiting, Math.round((share / waitingUnits) * waiting));
  }
  return { jobs, units };
}
