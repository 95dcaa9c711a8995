/** Both ends of a transfer between accounts: what leaves one, and what arrives at the other once for each sender and id. */

import { decideSending, type Sending } from "../../core/account/transfer.ts";
import { refuse } from "../../core/errors.ts";
import type { AccountId } from "../../core/ids.ts";
import type { Parameters } from "../../core/parameters.ts";
import { canonicalText } from "../../core/receipt/canonical.ts";
import { formatCredits, GENESIS_PEG, type Millicredits, type NanoUsd } from "../../core/units.ts";
import type { CreditResult, SendCommand, SendResult, Transfer } from "../../protocol/internal/account.ts";
import { badAmount, creditedBefore, fits, TOO_MUCH } from "./credits.ts";
import type { Ledger } from "./ledger.ts";
import type { Outgoing } from "./outgoing.ts";

interface Sender {
  readonly ledger: Ledger;
  readonly outgoing: Outgoing;
}

/** Lets a transfer go on with what it draws, or says how it ends: refused, or carried out by an earlier call. */
export function maySend(
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
export function debit({ ledger, outgoing }: Sender, command: SendCommand, sending: Sending, now: number): number {
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
