/** Credits that come into an account by a command: given, bought, or the starter balance. */

import { shown } from "../../core/account/lots.ts";
import type { AccountState } from "../../core/account/state.ts";
import { type Refusal, refuse } from "../../core/errors.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import { canonicalText } from "../../core/receipt/canonical.ts";
import { GENESIS_PEG, MAX_AMOUNT, type Millicredits } from "../../core/units.ts";
import type { Answer, CreditCommand, CreditResult } from "../../protocol/internal/account.ts";
import type { Ledger } from "./ledger.ts";

/** The id of the one credit that every account can have once. */
export const STARTER = "starter";

/** The starter balance (economics.md §6): one bonus lot, once for an account. */
export function starterCredit(parameters: Parameters, now: number): CreditCommand {
  return {
    id: STARTER,
    kind: "bonus",
    backing: "none",
    amount: parameters.starterMillicredits,
    expiresAt: now + parameters.starterExpiryMs,
    memo: "starter balance",
  };
}

/** Makes a lot, once for each id. The same command again is answered with what it did. */
export function credit(ledger: Ledger, command: CreditCommand, now: number): CreditResult {
  if (!Number.isSafeInteger(command.amount) || command.amount <= 0) {
    return { type: "refused", refusal: badAmount("The amount must be a whole number above 0.") };
  }
  const text = canonicalText(command);
  const before = creditedBefore(ledger, command.id, text);
  if (before !== null) return before;
  ledger.sweep(now);
  if (!fits(ledger.state, command)) return { type: "refused", refusal: TOO_MUCH };
  if (ledger.state.lots.size >= LIMITS.lots) return { type: "refused", refusal: refuse("lot_limit") };
  const seq = ledger.credit(command, now, (at) => ledger.store.addCommand(command.id, text, at));
  return { type: "credited", seq };
}

/** How a command that came before ended: with its entry, or in conflict with another of the same id. Null for a new one. */
export function creditedBefore(ledger: Ledger, id: string, text: string): CreditResult | null {
  const before = ledger.store.command(id);
  if (before === null) return null;
  return before.command === text
    ? { type: "credited", seq: before.seq }
    : { type: "refused", refusal: refuse("id_conflict") };
}

/** Whether an account is open and would still take so much more of unbacked credits. */
export function mayReceive(ledger: Ledger | null, millicredits: Millicredits): Answer<null> {
  if (ledger === null) return { ok: false, refusal: refuse("account_not_found", { param: "to" }) };
  const isFit = fits(ledger.state, { backing: "none", amount: millicredits });
  return isFit ? { ok: true, value: null } : { ok: false, refusal: TOO_MUCH };
}

/** Whether an account's lots together stay within exact numbers; one that they passed could be summed no more. */
export function fits({ lots }: AccountState, { backing, amount }: Pick<CreditCommand, "backing" | "amount">): boolean {
  const total = [...lots.values()].reduce(
    (sum, lot) => sum + BigInt(shown(lot.backing, lot.available + lot.held, GENESIS_PEG)),
    BigInt(shown(backing, Math.min(amount, MAX_AMOUNT), GENESIS_PEG)),
  );
  return amount <= MAX_AMOUNT && total <= BigInt(MAX_AMOUNT);
}

export function badAmount(detail: string): Refusal {
  return refuse("invalid_request", { detail, param: "amount" });
}

export const TOO_MUCH = badAmount(`An account holds at most ${MAX_AMOUNT} of any unit.`);
