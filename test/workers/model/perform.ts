/** Doing a step to a network. */

import { call as fetchNetwork, withKey } from "../job/network.ts";
import type { Attempt } from "./attempt.ts";
import type { Call } from "./call.ts";
import { breathe } from "./clock.ts";
import type { Job } from "./job.ts";
import type { Machine } from "./machine.ts";
import { claimsOf, creditsOf, movedJobs, postedJobs, repeatable, speakForOld, voidPosted } from "./out-of-turn.ts";
import type { Step, StepOf } from "./steps.ts";
import type { World } from "./world.ts";

/** Whether there is something that a step can be done to. */
export function isPossible(world: World, step: Step): boolean {
  return deedOf(world, step) !== null;
}

/** Does a step; then, unless it is in a hurry, waits until nothing moves any more and looks at every account. */
export async function perform(world: World, step: Step): Promise<void> {
  await deedOf(world, step)?.();
  if (step.hurry) return;
  await world.calm();
  await world.observe();
}

type Deed = () => unknown;

const nth = <T>(items: readonly T[], which: number): T | undefined => items[which % Math.max(1, items.length)];

/** What a step does, or null where there is nothing to do it to. */
function deedOf(world: World, step: Step): Deed | null {
  switch (step.do) {
    case "call":
    case "call with key":
      return () => call(world, step);
    case "call and leave":
      return () => callAndLeave(world, step);
    case "accept":
    case "decline":
    case "say":
    case "claim":
    case "fail":
      return speech(world, step);
    case "abort":
      return on(
        preferred(waitingCalls(world), step.which, (call) =>
          world.jobs.open.some((job) => isRunning(job) && job.calls.includes(call)),
        ),
        (call) => call.abort(),
      );
    case "delete":
      return on(preferred(world.jobs.open, step.which, isRunning), (job) => world.loose(deleteJob(world, job)));
    case "connect":
      return () => gently(world, step, world.machines[step.machine]?.connect(step.forgets));
    case "disconnect":
    case "drain":
      return on(world.machines.filter(({ isConnected }) => isConnected)[step.machine], (machine) => machine[step.do]());
    case "lose":
      return () => world.lose(step.part, step.which);
    case "sleep":
      return world.isIdle(step.part, step.which) ? () => world.sleep(step.part, step.which) : null;
    case "disturb":
      return () => world.wire.disturb(step.method, step.when, step.retryable);
    case "repeat call":
      return on(nth(repeatable(world), step.which), (spoken) => world.wire.repeat(spoken));
    case "repeat claim":
      return on(nth(claimsOf(world), step.which), ({ machine, claim }) => machine.repeat(claim));
    case "repeat credit":
      return on(nth(creditsOf(world), step.which), ({ consumer, credit }) => world.giveAgain(consumer, credit));
    case "void what was posted":
      return on(nth(postedJobs(world), step.which), (posted) => voidPosted(world, posted));
    case "speak for an old attempt":
      return on(nth(movedJobs(world), step.which), (job) => speakForOld(world, job, step.restarted));
    case "credit":
      return on(world.consumers[step.consumer], (consumer) =>
        gently(world, step, world.give(consumer, step.kind, amountOf(step))),
      );
    case "deliver":
      return world.mail.waiting === 0 ? null : () => world.mail.deliver(step.count, step.from, step.again);
    case "queue":
      return () => (world.mail.isUp = step.up);
    case "ring":
      return on(world.consumers[step.consumer], (consumer) => world.ring(consumer));
    default:
      return () => world.pass(step.ms, step.hurry);
  }
}

function on<T>(item: T | undefined, action: (item: T) => unknown): Deed | null {
  return item === undefined ? null : () => action(item);
}

/** What may break on its way because a part is lost meanwhile: who wanted it tries again later. */
async function gently(world: World, { hurry }: Step, work: Promise<unknown> | undefined): Promise<void> {
  world.loose(work ?? Promise.resolve());
  if (!hurry) await work?.catch(() => {});
}

function amountOf({ kind, amount }: StepOf<"credit">): string {
  return kind === "bonus" ? (amount / 1_000).toFixed(3) : (amount / 1_000_000_000).toFixed(9);
}

function call(world: World, step: StepOf<"call" | "call with key">): void {
  if (step.do === "call") {
    const { consumer, stream, cap, choices } = step;
    const content = `u.${String(world.calls.length).padStart(4, "0")}`;
    return world.call(consumer, { content, stream, cap, choices, key: null });
  }
  const { consumer, key, other } = step;
  const content = `k.${consumer}.${key}${other ? "b" : "a"}`;
  world.call(consumer, { content, stream: key === 0, cap: 20, choices: 1, key: `key-${key}` });
}

async function callAndLeave(world: World, { consumer, stream, afterMs }: StepOf<"call and leave">): Promise<void> {
  call(world, { do: "call", consumer, stream, cap: null, choices: 1 });
  if (afterMs > 0) await breathe(afterMs);
  world.calls.at(-1)?.abort();
}

type Spoken = StepOf<"accept" | "decline" | "say" | "claim" | "fail">;

/** What a machine says of one of the jobs that it has. */
function speech(world: World, step: Spoken): Deed | null {
  const live = world.machines.flatMap((machine) =>
    machine.attempts.filter(({ isLive }) => isLive).map((attempt) => ({ machine, attempt })),
  );
  const chosen = nth(live, step.which);
  // After its first token a job cannot be declined any more.
  if (step.do === "decline" && (chosen?.attempt.frames.length ?? 0) > 0) return null;
  return on(chosen, ({ machine, attempt }) => say(machine, attempt, step));
}

function say(machine: Machine, attempt: Attempt, step: Spoken): void {
  switch (step.do) {
    case "accept":
      return attempt.accept();
    case "decline":
      return attempt.decline();
    case "say":
      return attempt.say(step.text, step.tokens, step.choice % attempt.choices);
    case "claim":
      return machine.claim(attempt, step.kind);
    case "fail":
      return attempt.fail(step.code);
  }
}

const waitingCalls = ({ calls }: World): Call[] =>
  calls.filter(({ ended, aborted }) => ended === null && aborted === null);

/** Half of the time one that a machine has, where there is one. */
function preferred<T>(items: readonly T[], which: number, isRunning: (item: T) => boolean): T | undefined {
  const running = items.filter(isRunning);
  return which % 2 === 0 && running.length > 0 ? nth(running, which / 2) : nth(items, which);
}

const isRunning = ({ attempts }: Job): boolean => attempts.some(({ isLive }) => isLive);

async function deleteJob(world: World, job: Job): Promise<void> {
  const [call] = job.calls;
  if (call === undefined) return;
  job.deletes.push(world.history.now());
  await fetchNetwork(`/api/v1/jobs/${job.id}`, { method: "DELETE", ...withKey(call.owner.apiKey) });
}
