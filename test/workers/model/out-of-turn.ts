/** Words that come again, too late, or from who has no say any more: none of them may change anything. */

import { expect } from "vitest";
import type { JobId } from "../../../core/ids.ts";
import type { Done } from "../../../protocol/daemon/messages.ts";
import { isRaced } from "./endings.ts";
import type { Job } from "./job.ts";
import type { Machine } from "./machine.ts";
import type { Spoken } from "./wire.ts";
import type { Consumer, Credit, World } from "./world.ts";

/** Calls of a job that its account surely knows: what was lost together with it was never done. */
export function repeatable({ wire, jobs }: World): Spoken[] {
  return wire.spoken.filter(({ job }) => (jobs.get(job)?.held ?? null) !== null);
}

/**
 * Those of them that change nothing when all is over. A post that was lost on its way to a hold that then expired is not
 * one: it leaves the receipt of an expired job (economics.md §6).
 */
export function repeatableAtRest(world: World): Spoken[] {
  return repeatable(world).filter(({ method, job }) => method !== "post" || !hasOnlyExpired(world.jobs.get(job)));
}

function hasOnlyExpired(job: Job | undefined): boolean {
  return job?.endings.every(({ type }) => type === "hold_expired") ?? false;
}

/** All claims that were ever made, answered or not. */
export function claimsOf({ machines }: World): { machine: Machine; claim: Done }[] {
  return machines.flatMap((machine) => machine.made.map((claim) => ({ machine, claim })));
}

export function creditsOf({ consumers }: World): { consumer: Consumer; credit: Credit }[] {
  return consumers.flatMap((consumer) => consumer.credits.map((credit) => ({ consumer, credit })));
}

export function postedJobs({ consumers }: World): { account: string; job: JobId }[] {
  return consumers.flatMap(({ owner, books }) =>
    books.entries
      .filter(({ type }) => type === "spent")
      .map(({ body }) => ({ account: owner.account, job: (JSON.parse(body) as { job: JobId }).job })),
  );
}

export async function voidPosted({ wire }: World, { account, job }: { account: string; job: JobId }): Promise<void> {
  expect(await wire.void(account, job)).toMatchObject({ type: "already_posted" });
}

/**
 * Open jobs that have moved to a second machine, for which the first has no say any more; once its hold has expired, an
 * account remembers no fence of a job.
 */
export function movedJobs({ jobs }: World): Job[] {
  const hasMoved = (job: Job) => job.attempts.length > 1 && !isRaced(job);
  return jobs.open.filter((job) => hasMoved(job) && (job.held?.expiresAt ?? 0) > Date.now());
}

/** The first attempt of a job that has moved wants to end it: without a charge, and with one. */
export async function speakForOld(world: World, { id, calls, attempts }: Job, restarted: boolean): Promise<void> {
  const { wire, consumers } = world;
  const [first] = attempts.toSorted((a, b) => a.fence - b.fence);
  const account = calls[0]?.owner.account;
  if (first === undefined || account === undefined) return;
  // Fences outlive the account's memory.
  if (restarted)
    await world.lose(
      "account",
      consumers.findIndex(({ owner }) => owner.account === account),
    );
  // Whether they were heard is seen at the end: a void has its reason, and a receipt its fence.
  await wire.void(account, id, first.fence);
  await wire.post(account, id, first.fence);
}
