/** Steps that send credits from one account to another, and bring them there late, twice or in another order. */

import { strict as assert } from "node:assert";
import type { Millicredits } from "../../../core/units.ts";
import { receive } from "../../../durable-objects/account/transfers.ts";
import type { SendCommand } from "../../../protocol/internal/account.ts";
import type { ModelAccount } from "./account.ts";
import { takeCredits } from "./book.ts";
import { pick } from "./pick.ts";
import type { StepOf } from "./steps.ts";
import type { World } from "./world.ts";

export function send(world: World, { who, to, fate, amount }: StepOf<"send">): ModelAccount {
  const [account, other] = [world.account(who), world.account(to)];
  // Ids are their makers' own, so that two accounts have the same ones.
  const n = world.sent.filter(({ command }) => command.from === account.id).length;
  const command: SendCommand = {
    id: `t-${n}`,
    from: account.id,
    to: other.id,
    millicredits: amount as Millicredits,
    memo: "",
  };
  world.sending = command;
  const result = account.ask(fate, () => account.send(command, world.now));
  world.read(account);
  world.sending = null;
  world.reach(result.type === "sent" ? "sent" : `send: ${result.refusal.code}`);
  if (result.type === "sent") assert(account !== other && amount > 0);
  else if (result.refusal.code === "insufficient_credits") {
    const there = account.book.sendable(account.ledger.timeOf(world.now));
    assert(takeCredits(there, amount) === null, "what is there can be sent");
  } else assert(account === other || amount === 0);
  return account;
}

/** The same call once more, much later: it is answered as the first one was, and sends nothing. */
export function sendAgain(world: World, { which, fate }: StepOf<"send again">): ModelAccount | null {
  const sent = pick(world.sent, which);
  const account = world.accounts.find(({ id }) => id === sent?.command.from);
  if (sent === undefined || account === undefined) return null;
  const result = account.ask(fate, () => account.send(sent.command, world.now));
  assert(result.type === "sent" && result.delivered === sent.confirmed, "what was sent is not sent again");
  world.reach("sent before");
  return account;
}

/** Brings a transfer to its account: one that waits for it, or once more one that was brought. */
export function bring(world: World, { which, fate, confirmed, again }: StepOf<"bring">): ModelAccount | null {
  const waiting = world.accounts.flatMap((from) => from.outbox().map((outbound) => ({ from, ...outbound })));
  const sent = world.sent.map(({ command: { to, ...transfer } }) => {
    const from = world.accounts.find(({ id }) => id === transfer.from);
    return from && { from, to, transfer };
  });
  const one = pick(again ? sent : waiting, which);
  const to = world.accounts.find(({ id }) => id === one?.to);
  if (one === undefined || to === undefined) return null;
  const { from, transfer } = one;
  const result = to.ask(fate, () => receive(to.ledger, transfer, world.now));
  assert.equal(result.type, "credited");
  // A confirmation that gets lost leaves the transfer where it was.
  if (confirmed) {
    from.confirm(transfer);
    world.sentBy(from.id, transfer.id).confirmed = true;
  }
  world.reach(again ? "brought again" : `brought, confirmed: ${confirmed}`);
  return to;
}
