/** What must be true of a network at rest, of everything that happened in it. */

import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { GENESIS_PARAMETERS } from "../../../core/parameters.ts";
import type { ReceiptBody } from "../../../core/receipt/body.ts";
import { failedCheckOf } from "../../../core/receipt/checks.ts";
import { firstUnsettledWindow } from "../../../core/windows.ts";
import { receiptsOfJob, segmentOf } from "../../../db/log.ts";
import { verifyReceipt } from "../../../protocol/receipt.ts";
import { readReceipt } from "../../../queues/segments.ts";
import type { Call } from "./call.ts";
import { isLapsed, mayBeForgotten, objectionTo } from "./endings.ts";
import { type Job, storyOf } from "./job.ts";
import type { Machine } from "./machine.ts";
import { SLOTS } from "./market.ts";
import { retell } from "./retelling.ts";
import type { Consumer, Credit, World } from "./world.ts";

export async function audit(world: World): Promise<void> {
  expect(await world.supply(), "the pool").toMatchObject({ waiting: 0, slots: SLOTS, free: SLOTS });
  for (const consumer of world.consumers) auditAccount(world, consumer);
  for (const job of world.jobs.all) expect(objectionTo(job, world.history), storyOf(job)).toBeNull();
  for (const job of world.forgotten) expect(mayBeForgotten(job, world.history), storyOf(job)).toBe(true);
  for (const call of world.calls) auditCall(world, call);
  for (const machine of world.machines) auditMachine(world, machine);
  await auditLog(world);
  await auditChecks(world);
}

function auditAccount(world: World, { owner, credits, books }: Consumer): void {
  expect(books.held).toBe(0);
  const given = credits.reduce((total, credit) => total + unitsOf(credit), 0);
  const charged = world.jobs.all.reduce((total, job) => total + (job.calls[0]?.owner === owner ? chargeOf(job) : 0), 0);
  expect(books.available, "what was not spent").toBe(given - charged);
  retell(books, (body) => {
    const call = world.calls.find((call) => call.body === body);
    if (call === undefined) throw new Error("nobody asked for what was held");
    return call.asked;
  });
}

/** What a job has cost in the end. */
function chargeOf(job: Job): number {
  const bodies = [receiptOf(job), ...job.reversals.map((body) => JSON.parse(body) as ReceiptBody)];
  return bodies.reduce((total, body) => total + (body?.charge.millicredits ?? 0), 0);
}

function unitsOf({ kind, amount }: Credit): number {
  return Math.round(Number(amount) * (kind === "bonus" ? 1_000 : 1_000_000_000));
}

/** The receipt that a job ended with, or null. */
export function receiptOf(job: Job): ReceiptBody | null {
  const spent = job.endings.find(({ type }) => type === "spent");
  return spent === undefined ? null : (JSON.parse(spent.body) as ReceiptBody);
}

/** Refusals of calls that made no job, so that the job they name is another call's. */
const NOT_MADE = new Set([
  "in_progress",
  "idempotency_mismatch",
  "already_completed",
  "insufficient_credits",
  "below_minimum_balance",
]);

/** What a consumer was told must be what its account was charged. */
function auditCall({ jobs, history }: World, { outcome, ended, started, aborted, job: id }: Call): void {
  if (outcome === null || ended === null) throw new Error("a call was never answered");
  const job = jobs.get(id);
  const receipt = job === undefined ? null : receiptOf(job);
  const isExcused = aborted !== null || history.lostBetween(started.tick, ended.tick);
  if (outcome.type === "answer") {
    expect(receipt?.charge.millicredits, `the price that job ${id} was told`).toBe(outcome.millicredits);
    if (receipt?.outcome === "completed" && job !== undefined) expect(outcome.texts).toEqual(textsOf(job));
  } else if (outcome.type === "broken") {
    expect(isExcused, `an excuse for the broken answer of job ${id}`).toBe(true);
  } else if (!NOT_MADE.has(outcome.code)) {
    if (outcome.code === "internal_error") expect(isExcused, "an excuse for an internal error").toBe(true);
    // A hold ends behind the gateway's back by its time, by a receipt, or by the word of who did not know that the job moves.
    if (outcome.code === "job_expired" && receipt === null) {
      const hasLapsed = job?.endings.some(isLapsed) === true && ended.at - started.at >= LIMITS.leaseMs;
      const isPlain = !hasLapsed && !history.lostBetween(started.tick, ended.tick, ["account", "scheduler"]);
      expect(
        isPlain && ended.at - started.at < GENESIS_PARAMETERS.firstTokenSlaMs,
        job === undefined ? "" : storyOf(job),
      ).toBe(false);
    }
    // A relay that is lost right after it posted cannot tell the consumer any more.
    if (!isExcused) expect(receipt?.charge.nano_usd ?? 0, `the charge of job ${id}, ${outcome.code}`).toBe(0);
  }
}

function textsOf(job: Job): string[] {
  const { attempts, calls } = job;
  const last = attempts.find(({ fence }) => fence === receiptOf(job)?.fence);
  const frames = last?.frames.filter(({ tick }) => tick < (last.word?.tick ?? Number.POSITIVE_INFINITY)) ?? [];
  return Array.from({ length: calls[0]?.asked.choices ?? 1 }, (_, choice) =>
    frames
      .filter((frame) => frame.choice === choice)
      .map(({ text }) => text)
      .join(""),
  );
}

/** Every claim was answered, and a daemon was told of a receipt exactly where it is its own. */
function auditMachine({ jobs }: World, machine: Machine): void {
  expect(machine.claims, "claims that nobody answered").toEqual([]);
  for (const answer of machine.answers) {
    const job = jobs.get(answer.job);
    const receipt = job === undefined ? null : receiptOf(job);
    const own = receipt?.daemon === machine.id ? { seq: receipt.seq, outcome: receipt.outcome } : null;
    expect(
      answer.type === "settled" ? answer.receipt : null,
      `${JSON.stringify(answer)}\n${job === undefined ? "" : storyOf(job)}`,
    ).toEqual(own);
  }
}

/** Every receipt is in the log once, to the byte, and verifies. */
async function auditLog({ jobs }: World): Promise<void> {
  for (const job of jobs.all) {
    const rows = await receiptsOfJob(env.DB, job.id);
    const spent = [...job.endings.filter(({ type }) => type === "spent").map(({ body }) => body), ...job.reversals];
    const logged = await Promise.all(rows.map((row) => readReceipt(env.SEGMENTS, row)));
    expect(logged.map((receipt) => receipt?.body)).toEqual(spent);
    for (const receipt of logged) {
      const checks = receipt === null ? [] : verifyReceipt(receipt).checks.filter(({ ok }) => !ok);
      expect(checks, `what is wrong with the receipt of job ${job.id}`).toEqual([]);
    }
  }
}

/** A check that a daemon failed takes back what it had served until then, once, unless that was settled; nothing else does. */
async function auditChecks({ jobs }: World): Promise<void> {
  const logged = await Promise.all(
    jobs.all.map(async (job) => {
      const [row] = await receiptsOfJob(env.DB, job.id);
      const segment = row === undefined ? null : await segmentOf(env.DB, row.log_index);
      return row === undefined || segment === null ? [] : [{ job, row, appendedAt: segment.at }];
    }),
  );
  const failures = logged.flat().filter(({ job }) => {
    const receipt = receiptOf(job);
    return receipt !== null && failedCheckOf(receipt) !== null;
  });
  for (const { job, row } of logged.flat()) {
    const isDue = failures.some(
      ({ row: failed, appendedAt }) =>
        failed.daemon === row.daemon && failed.at >= row.at && row.window >= firstUnsettledWindow(appendedAt),
    );
    const expected = isDue && row.nano_usd > 0 ? 1 : 0;
    expect(job.reversals.length, `how often the receipt was taken back\n${storyOf(job)}`).toBe(expected);
  }
}
