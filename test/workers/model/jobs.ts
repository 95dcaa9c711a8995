/** All jobs of a run, put together from what calls asked, what machines were given, and what accounts say of them. */

import { expect } from "vitest";
import { type JobId, jobTime } from "../../../core/ids.ts";
import type { Attempt } from "./attempt.ts";
import type { Books } from "./books.ts";
import type { Call } from "./call.ts";
import type { History } from "./history.ts";
import type { Ending, Job } from "./job.ts";

export class Jobs {
  readonly #history: History;
  readonly #calls: readonly Call[];
  readonly #byId = new Map<JobId, Job>();

  constructor(history: History, calls: readonly Call[]) {
    this.#history = history;
    this.#calls = calls;
  }

  get all(): Job[] {
    return [...this.#byId.values()];
  }

  get open(): Job[] {
    return this.all.filter(({ held, endings }) => held !== null && endings.length === 0);
  }

  get(id: JobId | null): Job | undefined {
    return id === null ? undefined : this.#byId.get(id);
  }

  /** A machine was given a job; its prompt says which call it is of. */
  offered(attempt: Attempt, content: string): void {
    const call = this.#calls.find(({ asked }) => asked.content === content);
    if (call !== undefined) this.#of(attempt.job, call.body).attempts.push(attempt);
  }

  /** Learns what is new in an account's books. */
  learn(books: Books, before: Books): void {
    for (const { held } of books.holds) if (held !== null) this.#of(held.job, held.body).held ??= held;
    for (const { type, body } of books.entries.slice(before.entries.length)) this.#ended(type, body);
  }

  #ended(type: string, body: string): void {
    const { job: id } = JSON.parse(body) as { job?: JobId };
    if (id === undefined) return;
    const job = this.get(id);
    expect(job?.held ?? null, `the hold of job ${id}, which ended`).not.toBeNull();
    if (type === "adjustment") job?.reversals.push(body);
    else job?.endings.push({ type: type as Ending["type"], body, ...this.#history.now() });
  }

  /** Of calls with one Idempotency-Key any that was in flight when a job's id was made may have made it. */
  #of(id: JobId, body: string): Job {
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    const at = jobTime(id);
    const calls = this.#calls.filter(
      (call) => call.body === body && call.started.at <= at && (call.ended === null || call.ended.at >= at),
    );
    const job: Job = { id, calls, attempts: [], deletes: [], held: null, endings: [], reversals: [] };
    this.#byId.set(id, job);
    return job;
  }
}
