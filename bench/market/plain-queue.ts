/** Queues that know of no shares, to compare with: by arrival, and in turns. Jobs wait by what they need, as in the core's. */

import { Heap, type InHeap } from "../../core/scheduler/heap.ts";

/** What takes part in a queue: one job, or all jobs of one account, with its place. */
interface Turn<Job> extends InHeap {
  readonly name: string;
  readonly jobs: Job[];
  place: number;
}

interface Group<Job> {
  readonly turns: Heap<Turn<Job>>;
  readonly byName: Map<string, Turn<Job>>;
  isBlocked: boolean;
}

export interface PlainJob {
  readonly job: string;
  readonly account: string;
}

export class PlainQueue<Job extends PlainJob> {
  readonly #kind: "fifo" | "round robin";
  readonly #needsOf: (job: Job) => string;
  readonly #groups = new Map<string, Group<Job>>();
  readonly #jobs = new Map<string, Job>();
  #place = 0;

  constructor(kind: "fifo" | "round robin", needsOf: (job: Job) => string) {
    this.#kind = kind;
    this.#needsOf = needsOf;
  }

  get size(): number {
    return this.#jobs.size;
  }

  /** Whether a job waits. */
  has(job: PlainJob): boolean {
    return this.#jobs.get(job.job) === job;
  }

  add(job: Job): void {
    this.#jobs.set(job.job, job);
    const group = this.#groupOf(job);
    const name = this.#nameOf(job);
    const turn = group.byName.get(name);
    if (turn !== undefined) turn.jobs.push(job);
    else this.#queue(group, { name, jobs: [job], place: 0, heapPlace: -1 });
  }

  /** Takes a job out. What is left of an account waits for its next turn. */
  remove(id: string): Job | undefined {
    const job = this.#jobs.get(id);
    if (job === undefined) return undefined;
    this.#jobs.delete(id);
    const group = this.#groupOf(job);
    const turn = group.byName.get(this.#nameOf(job));
    if (turn === undefined) return job;
    const isFirst = turn.jobs[0] === job;
    turn.jobs.splice(turn.jobs.indexOf(job), 1);
    if (turn.jobs.length === 0) {
      group.turns.remove(turn);
      group.byName.delete(turn.name);
    } else if (isFirst) this.#queue(group, turn);
    return job;
  }

  /** The next job that `serve` has something for. It stays in the queue. */
  next<Match>(serve: (job: Job) => Match | null): { readonly job: Job; readonly match: Match } | null {
    for (;;) {
      let first: Group<Job> | null = null;
      for (const group of this.#groups.values()) {
        if (group.isBlocked || group.turns.top === undefined) continue;
        if (first?.turns.top === undefined || group.turns.top.place < first.turns.top.place) first = group;
      }
      const job = first?.turns.top?.jobs[0];
      if (first === null || job === undefined) return null;
      const match = serve(job);
      if (match !== null) return { job, match };
      first.isBlocked = true;
    }
  }

  /** Jobs that were passed over may be served now. */
  unblock(): void {
    for (const group of this.#groups.values()) group.isBlocked = false;
  }

  #queue(group: Group<Job>, turn: Turn<Job>): void {
    this.#place += 1;
    turn.place = this.#place;
    group.byName.set(turn.name, turn);
    group.turns.add(turn);
  }

  #nameOf({ job, account }: Job): string {
    return this.#kind === "fifo" ? job : account;
  }

  #groupOf(job: Job): Group<Job> {
    const key = this.#needsOf(job);
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const group: Group<Job> = { turns: new Heap((a, b) => a.place < b.place), byName: new Map(), isBlocked: false };
    this.#groups.set(key, group);
    return group;
  }
}
