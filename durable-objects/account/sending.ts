/** Sending credits from an account's object: who may, the recipient's word before it, and the first try to bring them. */

import type { Sending } from "../../core/account/transfer.ts";
import { refuse } from "../../core/errors.ts";
import type { Parameters } from "../../core/parameters.ts";
import type { Answer, SendCommand, SendResult } from "../../protocol/internal/account.ts";
import { receiverOf } from "../shared/holder.ts";
import { retrying } from "../shared/retry.ts";
import type { Entered } from "./books.ts";
import { debit, maySend } from "./transfers.ts";

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
