/** Which waiting jobs have to be refused: those that waited too long, and those that nobody in their pool could serve. */

import { refuse } from "../errors.ts";
import type { DaemonId } from "../ids.ts";
import { anyoneCould } from "./admission.ts";
import type { Daemon } from "./daemon.ts";
import type { Rejection } from "./decisions.ts";
import type { FairQueue } from "./fair-queue.ts";
import type { OwnQueue } from "./own-queue.ts";
import type { WaitTimes } from "./wait-times.ts";
import type { QueuedJob, WaitingJob } from "./waiting-job.ts";
import { whyNobody } from "./why-nobody.ts";

/** Not copied: this is looked at with every report, and there may be thousands. */
type Daemons = ReadonlyMap<DaemonId, Daemon>;

/** What a pool has waiting, and what it knows of it. */
export interface Waiting {
  readonly queue: FairQueue<QueuedJob>;
  readonly own: OwnQueue;
  readonly times: WaitTimes;
  readonly needsOf: (job: WaitingJob) => string;
}

/** The jobs to refuse now; they stay in their queues until they are taken out. */
export function dueRefusals({ times, needsOf }: Waiting, daemons: Daemons, now: number): Rejection[] {
  const known = new Map<string, boolean>();
  const { overdue, unservable } = times.take(now, (job) => {
    const needs = needsOf(job);
    const anyone = known.get(needs) ?? anyoneCould(daemons.values(), job);
    known.set(needs, anyone);
    return anyone;
  });
  return [
    ...unservable.map((job) => ({ job, refusal: whyNobody(daemons.values(), job) })),
    ...overdue.map((job) => ({ job, refusal: refuse("queue_timeout") })),
  ];
}

/** Daemons have come, gone or changed: jobs that had somebody who could serve them may have nobody now. */
export function doubtAll({ queue, own, times }: Waiting, daemons: Daemons): void {
  for (const job of own.all()) if (!anyoneCould(daemons.values(), job)) times.doubt(job);
  for (const { sample, jobs } of queue.groups()) {
    if (!anyoneCould(daemons.values(), sample)) for (const job of jobs()) times.doubt(job);
  }
}
