/** Steps that credit accounts: whatever anybody gives, the allotment of the day, and what was earned. */

import { strict as assert } from "node:assert";
import { DAY_MS } from "../../../core/time.ts";
import { credit } from "../../../durable-objects/account/credits.ts";
import type { CreditCommand } from "../../../protocol/internal/account.ts";
import type { ModelAccount } from "./account.ts";
import { beginOf } from "./book.ts";
import type { Fate, StepOf } from "./steps.ts";
import type { World } from "./world.ts";

export function creditLot(world: World, { who, fate, kind, backing, amount, lives, concurrency }: StepOf<"credit">) {
  const id = `c-${world.credits.size}`;
  const expiresAt = lives === null ? null : world.now + lives;
  return give(world, world.account(who), fate, { id, kind, backing, amount, expiresAt, concurrency, memo: "" });
}

/** The allotment of the day: one for each, however often it is asked for. */
export function allot(world: World, { who, fate, amount, concurrency }: StepOf<"allot">): ModelAccount {
  const account = world.account(who);
  const now = account.ledger.timeOf(world.now);
  const [day, expiresAt] = [Math.floor(now / DAY_MS), beginOf("daily", now) + DAY_MS];
  const id = `allotment of ${account.id} on ${day}`;
  return give(world, account, fate, {
    id,
    kind: "allotment",
    backing: "usdc",
    amount,
    expiresAt,
    concurrency,
    memo: "",
  });
}

/** Credits what an account has earned without backing, and with backing if it takes credits for that: the loop goes round. */
export function earn(world: World, { who, fate, peg }: StepOf<"earn">): ModelAccount | null {
  const account = world.account(who);
  const takesCredits = world.setting.takesCredits[world.accounts.indexOf(account)] ?? false;
  const owed = {
    none: world.sums.of("shares", account.id, "none"),
    usdc: takesCredits ? world.sums.of("shares", account.id, "usdc") : 0,
  };
  const worth = Math.floor((Math.max(0, owed.usdc) * peg.millicredits) / peg.nanoUsd);
  const amount = Math.max(0, owed.none) + worth - (world.issued.get(account.id) ?? 0);
  if (amount <= 0) return null;
  const id = `e-${world.credits.size}`;
  return give(world, account, fate, { id, kind: "earned", backing: "none", amount, expiresAt: null, memo: "" });
}

function give(world: World, account: ModelAccount, fate: Fate, command: CreditCommand): ModelAccount {
  const known = world.credits.get(command.id);
  world.credits.set(command.id, known ?? command);
  const result = account.ask(fate, () => credit(account.ledger, command, world.now));
  const isSame = known === undefined || JSON.stringify(known) === JSON.stringify(command);
  assert.equal(result.type, isSame ? "credited" : "refused", "an id credits once");
  world.reach(isSame ? `credited ${command.kind} ${command.backing}` : "credit: id_conflict");
  return account;
}
