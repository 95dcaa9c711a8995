/** What moves between an account and its slices: out with a row in the outbox, in once for each id. */

import type { Refund } from "../../core/account/state.ts";
import { canonicalText } from "../../core/receipt/canonical.ts";
import type { CreditResult } from "../../protocol/internal/account.ts";
import type { Move } from "../../protocol/internal/move.ts";
import { sha256Hex } from "../shared/hash.ts";
import { creditedBefore } from "./credits.ts";
import type { Ledger } from "./ledger.ts";
import type { Outgoing } from "./outgoing.ts";

/** Takes parts of lots in. `alongside` writes in the same transaction what else follows from it. */
export function takeIn(ledger: Ledger, move: Move, now: number, alongside: () => void = () => {}): CreditResult {
  const [id, text] = [`move/${move.slice}/${move.id}`, sha256Hex(canonicalText(move))];
  const before = creditedBefore(ledger, id, text);
  if (before !== null) return before;
  if (move.parts.length === 0) {
    alongside();
    return { type: "credited", seq: ledger.state.seq };
  }
  const seq = ledger.moveIn(move.parts, move.slice, now, (at) => {
    ledger.store.addCommand(id, text, at);
    alongside();
  });
  return { type: "credited", seq };
}

/** Takes parts of lots out, with the row that is owed to `recipient`, in one transaction with what `alongside` writes. */
export function sendOut(
  { ledger, outgoing }: { readonly ledger: Ledger; readonly outgoing: Outgoing },
  recipient: string,
  move: Move,
  now: number,
  alongside: () => void = () => {},
): void {
  const write = (): void => {
    outgoing.add(recipient, move);
    alongside();
  };
  if (move.parts.length === 0) write();
  else ledger.moveOut(move.parts, move.slice, now, write);
}

/** What of some lots is free, as it moves: with all that a lot needs to stand elsewhere. */
export function partOf(
  { id, kind, backing, expiresAt, concurrency }: Omit<Refund, "lot" | "amount"> & { readonly id: string },
  amount: number,
): Refund {
  return { lot: id, kind, backing, amount, expiresAt, concurrency };
}
