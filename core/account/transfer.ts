/** Sending credits to another account (economics.md §6): immutable, irreversible, and without the backing they had. */

import { type Refusal, refuse } from "../errors.ts";
import {
  formatCredits,
  type Millicredits,
  mulDivCeil,
  type NanoUsd,
  type Peg,
  sum,
  toMillicreditsFloor,
} from "../units.ts";
import { type Draw, fundingOrder, type LotKind } from "./lots.ts";
import type { AccountState } from "./state.ts";

/** What may be sent, in the order in which it is drawn: what has no backing first. */
export const SENDABLE: readonly LotKind[] = ["received", "earned", "topup"];

/**
 * The lot that all received credits come to: they never expire, so one is enough for any number of transfers. No client can
 * make an id with a slash in it, so no credit's lot has this name.
 */
export const RECEIVED_LOT = "/received";

export interface Sending {
  readonly draws: readonly Draw[];
  /** What arrives: unbacked millicredits. */
  readonly millicredits: Millicredits;
  /** The USDC that stood behind drawn top-ups and now belongs to the system account `pool`. */
  readonly stripped: NanoUsd;
}

/** What an account could send now, in millicredits at a peg. */
export function sendable(state: AccountState, peg: Peg, now: number): Millicredits {
  return sum(
    fundingOrder(state.lots.values(), SENDABLE, now).map(({ backing, amount }) =>
      backing === "usdc" ? toMillicreditsFloor(amount as NanoUsd, peg) : (amount as Millicredits),
    ),
  );
}

/**
 * Draws an amount of millicredits from what may be sent, or says what is missing. A backed lot gives the least nanoUSD
 * that are worth what it has to cover at the peg.
 */
export function decideSending(
  state: AccountState,
  amount: Millicredits,
  peg: Peg,
  now: number,
): Sending | { readonly refusal: Refusal } {
  const draws: Draw[] = [];
  let rest: number = amount;
  for (const { lot, kind, backing, amount: available } of fundingOrder(state.lots.values(), SENDABLE, now)) {
    if (rest === 0) break;
    const most = backing === "usdc" ? toMillicreditsFloor(available as NanoUsd, peg) : available;
    const covers = Math.min(rest, most);
    if (covers === 0) continue;
    const taken = backing === "usdc" ? mulDivCeil(covers, peg.nanoUsd, peg.millicredits) : covers;
    draws.push({ lot, kind, backing, amount: taken });
    rest -= covers;
  }
  if (rest > 0) {
    const there = sendable(state, peg, now);
    const detail = `${formatCredits(there)} credits can be sent: top-ups, earned and received credits that no job has reserved.`;
    const metadata = { sendable: formatCredits(there), shortfall: formatCredits(rest as Millicredits) };
    return { refusal: refuse("insufficient_credits", { detail, param: "amount", metadata }) };
  }
  const backed = draws.filter((draw) => draw.backing === "usdc");
  return { draws, millicredits: amount, stripped: sum(backed.map((draw) => draw.amount as NanoUsd)) };
}
