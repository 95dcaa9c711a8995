/** Steps that end jobs, move them, and take their charges back. */

import { strict as assert } from "node:assert";
import type { ModelAccount } from "./account.ts";
import { endedFacts } from "./facts.ts";
import { dispatch } from "./holding.ts";
import { pick } from "./pick.ts";
import type { StepOf } from "./steps.ts";
import type { Job, World } from "./world.ts";

export function post(world: World, { which, fate, outcome, prompt, completion, late }: StepOf<"post">) {
  const job = pick(world.jobs, which);
  if (job === undefined || job.attempt === null || (late && job.fence < 2)) return null;
  const { account, receipt, attempt } = job;
  const facts = endedFacts(attempt.facts, outcome, late ? job.fence - 1 : job.fence, { prompt, completion });
  if (receipt === null) job.facts = facts;
  const isOvertaken = late && isOpen(world, job);
  const result = account.ask(fate, () => account.ledger.post(facts, world.now));
  world.read(account);
  world.reach(result.type === "posted" ? `posted ${outcome}` : `post: ${result.reason}`);
  assert.equal(
    result.type === "refused" && result.reason === "superseded",
    isOvertaken,
    "who was overtaken is refused",
  );
  if (result.type === "posted") assert.equal(result.body, receipt ?? job.receipt, "a job has one receipt");
  else if (result.reason === "voided") assert(job.voided && job.receipt === null);
  else assert(isOvertaken, "an open job is posted by whoever has it");
  return account;
}

/** Whether a job's hold has neither ended nor run out. */
function isOpen(world: World, { job, account }: Job): boolean {
  return (account.book.holds.get(job)?.ends ?? 0) > account.ledger.timeOf(world.now);
}

export function voidJob(world: World, { which, fate, late }: StepOf<"void">): ModelAccount | null {
  const job = pick(world.jobs, which);
  if (job === undefined || (late && job.fence < 2)) return null;
  const { account } = job;
  const fence = late ? job.fence - 1 : job.fence;
  const isOvertaken = late && isOpen(world, job);
  const result = account.ask(fate, () => account.ledger.void(job.job, "test", fence, world.now));
  world.read(account);
  world.reach(`void: ${result.type}`);
  assert.equal(result.type === "superseded", isOvertaken, "who was overtaken is refused");
  if (result.type === "voided") assert(job.receipt === null && !account.book.holds.has(job.job));
  else if (result.type === "already_posted") assert.equal(result.body, job.receipt);
  else assert(isOvertaken);
  return account;
}

export function advance(world: World, { which, fate, favourite }: StepOf<"advance">): ModelAccount | null {
  const job = pick(world.jobs, which);
  if (job === undefined || job.attempt === null) return null;
  const { account } = job;
  // As the scheduler asks: first who could have it, then whether it may still be moved.
  const before = { attempt: job.attempt, fence: job.fence };
  if (!dispatch(world, job, favourite)) return null;
  const next = job.fence;
  const advanced = account.ask(fate, () => account.ledger.advance(job.job, next, world.now));
  world.read(account);
  assert.equal(advanced, account.book.holds.has(job.job), "an open job may be moved, and no other");
  if (!advanced) Object.assign(job, before);
  world.reach(`advanced: ${advanced}`);
  return account;
}

export function reverse(world: World, { which, fate }: StepOf<"reverse">): ModelAccount | null {
  const job = pick(
    world.jobs.filter(({ receipt }) => receipt !== null),
    which,
  );
  if (job === undefined) return null;
  const { account, receipt, reversal } = job;
  const isCharge = (JSON.parse(receipt ?? "") as { charge: { nano_usd: number } }).charge.nano_usd > 0;
  const command = { job: job.job, reason: "test", by: ["alice", "bob"] };
  const result = account.ask(fate, () => account.ledger.reverse(command, world.now));
  world.read(account);
  assert.equal(result.type, isCharge ? "reversed" : "refused", "every charge can be taken back, and nothing else");
  if (result.type === "reversed") assert.equal(result.body, reversal ?? job.reversal, "a charge is taken back once");
  world.reach(result.type === "reversed" ? "reversed" : "reverse: nothing_to_reverse");
  return account;
}
