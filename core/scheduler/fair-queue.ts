/**
 * Who is next (economics.md §8): a hierarchical queue by virtual token counters. Classes share by weight, lanes inside a
 * class, accounts inside a lane; an account's own jobs keep their order. Whoever waits may use what others leave: a node
 * without waiting jobs takes no part.
 */

import type { JobId } from "../ids.ts";
import { LANE_TABLE, type Lane } from "../lanes.ts";
import type { Parameters } from "../parameters.ts";

/** Where a job stands in the hierarchy. */
export interface Flow {
  readonly lane: Lane;
  readonly account: string;
}

interface Node {
  readonly parent: Node | null;
  readonly name: string;
  readonly weight: number;
  /** Units served, divided by the weight: the node's virtual time. The least goes first. */
  virtual: number;
  /** The virtual time of the child that was dispatched last. */
  lastDispatched: number;
  waiting: number;
  readonly children: Map<string, Node>;
  readonly jobs: Map<JobId, unknown>;
}

/** Flows that wait for nothing are forgotten beyond this number, the ones that are furthest behind first. */
const IDLE_FLOWS = 4_096;

export class FairQueue<Job extends { readonly job: JobId; readonly flow: Flow; readonly reserved: boolean }> {
  readonly #parameters: Parameters;
  readonly #root: Node;
  readonly #jobs = new Map<JobId, Job>();
  /** Jobs in reserved slots: they stand in no flow, and their shares are not counted. In the order in which they came. */
  readonly #reserved = new Map<JobId, Job>();

  constructor(parameters: Parameters) {
    this.#parameters = parameters;
    this.#root = node(null, "", 1);
  }

  get size(): number {
    return this.#jobs.size;
  }

  get(job: JobId): Job | undefined {
    return this.#jobs.get(job);
  }

  add(job: Job): void {
    if (this.#jobs.has(job.job)) throw new Error(`job ${job.job} waits already`);
    this.#jobs.set(job.job, job);
    if (job.reserved) {
      this.#reserved.set(job.job, job);
      return;
    }
    const leaf = this.#leaf(job.flow);
    for (let at: Node | null = leaf; at !== null; at = at.parent) {
      if (at.waiting === 0 && at.parent !== null) lift(at, at.parent);
      at.waiting += 1;
    }
    leaf.jobs.set(job.job, job);
  }

  /** Takes a job out, whether it is dispatched or withdrawn. */
  remove(id: JobId): Job | undefined {
    const job = this.#jobs.get(id);
    if (job === undefined) return undefined;
    this.#jobs.delete(id);
    if (this.#reserved.delete(id)) return job;
    const leaf = this.#leaf(job.flow);
    leaf.jobs.delete(id);
    for (let at: Node | null = leaf; at !== null; at = at.parent) at.waiting -= 1;
    return job;
  }

  /** Charges a flow when its job is dispatched: by the estimate, which {@link correct} sets right later. */
  charge(flow: Flow, units: number): void {
    for (let at: Node | null = this.#leaf(flow); at !== null; at = at.parent) {
      if (at.parent !== null) at.parent.lastDispatched = at.virtual;
      at.virtual += units / at.weight;
    }
  }

  /** Adds what a job really used beyond its estimate (or less). */
  correct(flow: Flow, units: number): void {
    for (let at: Node | null = this.#leaf(flow); at !== null; at = at.parent) {
      at.virtual = Math.max(0, at.virtual + units / at.weight);
    }
  }

  /** The waiting jobs in the order in which they should be dispatched now. */
  *inOrder(): Generator<Job> {
    yield* this.#reserved.values();
    yield* this.#walk(this.#root);
  }

  *#walk(at: Node): Generator<Job> {
    for (const job of at.jobs.values()) yield job as Job;
    const children = [...at.children.values()].filter((child) => child.waiting > 0);
    children.sort((a, b) => a.virtual - b.virtual || (a.name < b.name ? -1 : 1));
    for (const child of children) yield* this.#walk(child);
  }

  #leaf({ lane, account }: Flow): Node {
    const row = LANE_TABLE[lane];
    const inPrivate = row.class === "private";
    const group = child(
      this.#root,
      row.class,
      inPrivate ? this.#parameters.classWeightPrivate : this.#parameters.classWeightOpen,
    );
    const laneNode = child(group, lane, this.#parameters[row.weight]);
    if (!laneNode.children.has(account)) forgetIdle(laneNode);
    return child(laneNode, account, 1);
  }
}

function node(parent: Node | null, name: string, weight: number): Node {
  return {
    parent,
    name,
    weight,
    virtual: 0,
    lastDispatched: 0,
    waiting: 0,
    children: new Map(),
    jobs: new Map(),
  };
}

function child(parent: Node, name: string, weight: number): Node {
  const known = parent.children.get(name);
  if (known !== undefined) return known;
  const made = node(parent, name, weight);
  parent.children.set(name, made);
  return made;
}

/**
 * A returning node is lifted to the least counter of those waiting, or to the last dispatched one when nobody waits, so
 * that having been away earns nothing.
 */
function lift(at: Node, parent: Node): void {
  let least = Number.POSITIVE_INFINITY;
  for (const sibling of parent.children.values()) {
    if (sibling !== at && sibling.waiting > 0) least = Math.min(least, sibling.virtual);
  }
  at.virtual = Math.max(at.virtual, Number.isFinite(least) ? least : parent.lastDispatched);
}

/** A forgotten flow comes back at the least counter of those waiting, which is where it would have been lifted to. */
function forgetIdle(lane: Node): void {
  if (lane.children.size < IDLE_FLOWS) return;
  const idle = [...lane.children.values()].filter((flow) => flow.waiting === 0);
  idle.sort((a, b) => a.virtual - b.virtual);
  for (const flow of idle.slice(0, Math.ceil(idle.length / 2))) lane.children.delete(flow.name);
}
