/** Both ends of a transfer between accounts: what leaves one, and what arrives at the other once for each sender and id. */

import { decideSending, type Sending } from "../../core/account/transfer.ts";
import { refuse } from "../../core/errors.ts";
import type { AccountId } from "../../core/ids.ts";
import type { Parameters } from "../../core/parameters.ts";
import { canonicalText } from "../../core/receipt/canonical.ts";
import { formatCredits, GENESIS_PEG, type Millicredits, type NanoUsd } from "../../core/units.ts";
import type { Answer, CreditResult, SendCommand, SendResult, Transfer } from "../../protocol/internal/account.ts";
import { receiverOf } from "../shared/holder.ts";
import { retrying } from "../shared/retry.ts";
import type { Entered } from "./books.ts";
import { badAmount, creditedBefore, fits, TOO_MUCH } from "./credits.ts";
import type { Ledger } from "./ledger.ts";
import type { Outgoing } from "./outgoing.ts";

export interface SendHost {
  readonly env: Pick<Env, "ACCOUNT" | "ACCOUNT_SLICE">;
  readonly parameters: Parameters;
  /** Lets the key in that asks, each time anew. */
  enter(): Answer<Entered>;
  /** Takes one call from the key's minute. */
  mayTake(entered: Entered): boolean;
  /** Rings the account's alarm soon, in the turn of what was just written. */
  wake(): void;
}

/** Sends credits to another account, once for each id. */
export async function send(host: SendHost, command: SendCommand): Promise<SendResult> {
  const early = begin(host, command);
  if ("refusal" in early && early.refusal.code === "insufficient_credits") {
    const entered = host.enter();
    // What slices have is the account's: it comes back before a transfer is refused for want of it.
    if (entered.ok && entered.value.slices.mayReturn) {
      await entered.value.slices.comeBack();
      return send(host, command);
    }
  }
  if (!("sending" in early)) return early;
  if (!host.mayTake(early)) return { type: "refused", refusal: refuse("rate_limited") };
  // Asked before anything is written, as an unknown account is refused and what has left cannot come back.
  const recipient = () => host.env.ACCOUNT.getByName(command.to);
  const open = await retrying<Answer<null>>(async () => await recipient().canReceive(command.millicredits));
  if (!open.ok) return { type: "refused", refusal: open.refusal };
  // Meanwhile the key may have been revoked, the balance spent, or the same call carried out.
  const still = begin(host, command);
  if (!("sending" in still)) return still;
  const seq = debit(still, command, still.sending, Date.now());
  host.wake();
  await still.outgoing.deliver((name) => receiverOf(host.env, name), command.id);
  return { type: "sent", seq, delivered: !still.outgoing.has(command.id) };
}

function begin(host: SendHost, command: SendCommand): (Entered & { readonly sending: Sending }) | SendResult {
  const entered = host.enter();
  if (!entered.ok) return { type: "refused", refusal: entered.refusal };
  const sending = maySend(entered.value, command, host.parameters, Date.now());
  return "type" in sending ? sending : { ...entered.value, sending };
}

interface Sender {
  readonly ledger: Ledger;
  readonly outgoing: Outgoing;
}

/** Lets a transfer go on with what it draws, or says how it ends: refused, or carried out by an earlier call. */
function maySend(
  { ledger, outgoing }: Sender,
  command: SendCommand,
  parameters: Parameters,
  now: number,
): Sending | SendResult {
  const before = ledger.store.command(sendId(command.id));
  if (before !== null && before.command === canonicalText(command)) {
    return { type: "sent", seq: before.seq, delivered: !outgoing.has(command.id) };
  }
  if (before !== null) return { type: "refused", refusal: refuse("id_conflict") };
  if (command.to === command.from) return { type: "refused", refusal: refuse("transfer_to_self", { param: "to" }) };
  const least = parameters.transferLeastMillicredits as Millicredits;
  if (!Number.isSafeInteger(command.millicredits) || command.millicredits < least) {
    return { type: "refused", refusal: badAmount(`At least ${formatCredits(least)} credits can be sent.`) };
  }
  ledger.sweep(now);
  const sending = decideSending(ledger.state, command.millicredits, GENESIS_PEG, ledger.timeOf(now));
  return "refusal" in sending ? { type: "refused", refusal: sending.refusal } : sending;
}

/** Takes what is sent out of its lots, with the row that is owed to the other account, in one transaction. */
function debit({ ledger, outgoing }: Sender, command: SendCommand, sending: Sending, now: number): number {
  const { id, from, to, millicredits, memo } = command;
  const facts = { id, other: to, millicredits, stripped: sending.stripped, memo };
  return ledger.send(sending, facts, now, (at) => {
    ledger.store.addCommand(sendId(id), canonicalText(command), at);
    outgoing.add(to, { id, from, millicredits, memo });
  });
}

/** Takes what another account sent, once for each (sender, id). */
export function receive(ledger: Ledger, transfer: Transfer, now: number): CreditResult {
  const { id, from, millicredits, memo } = transfer;
  const text = canonicalText(transfer);
  const before = creditedBefore(ledger, receiveId(from, id), text);
  if (before !== null) return before;
  if (!fits(ledger.state, { backing: "none", amount: millicredits })) return { type: "refused", refusal: TOO_MUCH };
  const facts = { id, other: from, millicredits, stripped: 0 as NanoUsd, memo };
  const seq = ledger.receive(facts, now, (at) => ledger.store.addCommand(receiveId(from, id), text, at));
  return { type: "credited", seq };
}

/** Ids of transfers are their makers' own: they must not meet those of credits, nor of other senders. */
function sendId(id: string): string {
  return `send/${id}`;
}

function receiveId(from: AccountId, id: string): string {
  return `receive/${from}/${id}`;
}
