/** Carrying the model's steps out. */

import { DAY_MS } from "../../../core/time.ts";
import type { ModelAccount } from "./account.ts";
import { beginOf } from "./book.ts";
import { allot, creditLot, earn } from "./credits.ts";
import { advance, post, reverse, voidJob } from "./ending.ts";
import { hold } from "./holding.ts";
import { bring, send, sendAgain } from "./sending.ts";
import type { Step, StepOf } from "./steps.ts";
import type { World } from "./world.ts";

/** Carries one step out, and checks everything that it may have changed. */
export function perform(world: World, step: Step): void {
  const account = carryOut(world, step);
  world.turn++;
  if (account === null) return;
  world.read(account);
  world.check(account);
}

function carryOut(world: World, step: Step): ModelAccount | null {
  switch (step.do) {
    case "credit":
      return creditLot(world, step);
    case "allot":
      return allot(world, step);
    case "hold":
      return hold(world, step);
    case "post":
      return post(world, step);
    case "void":
      return voidJob(world, step);
    case "advance":
      return advance(world, step);
    case "reverse":
      return reverse(world, step);
    case "send":
      return send(world, step);
    case "send again":
      return sendAgain(world, step);
    case "bring":
      return bring(world, step);
    case "earn":
      return earn(world, step);
    case "restart":
      return touch(world, step.who, (account) => account.restart());
    case "snapshot":
      return touch(world, step.who, (account) => account.snapshot());
    case "sweep":
      return touch(world, step.who, (account) => account.ask(step.fate, () => account.ledger.sweep(world.now)));
    default:
      return wait(world, step);
  }
}

function touch(world: World, who: number, change: (account: ModelAccount) => void): ModelAccount {
  const account = world.account(who);
  change(account);
  return account;
}

function wait(world: World, step: StepOf<"wait">): null {
  world.now = afterWait(world.now, step);
  return null;
}

function afterWait(now: number, { span, ms }: StepOf<"wait">): number {
  if (span === "moment") return now + (ms % 1_000);
  // As long as some holds and lots last, to the millisecond.
  if (span === "minute") return now + 60_000;
  if (span === "hours") return now + ms;
  // Half of the time to the very beginning of what comes next.
  const late = ms % 2 === 0 ? 0 : ms;
  if (span === "day") return beginOf("daily", now) + DAY_MS + late;
  if (span === "week") return beginOf("weekly", now) + 7 * DAY_MS + late;
  return beginOf("monthly", beginOf("monthly", now) + 32 * DAY_MS) + late;
}
