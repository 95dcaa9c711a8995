/**
 * What becomes of a payment that has reached the treasury (economics.md §10). All of it is decided by what the intent asks
 * for, what arrived, and when: the same payment is always judged the same way.
 */

import type { PackageId } from "../packages.ts";
import { type MicroUsdc, type NanoUsd, nanoUsdOf, subtract } from "../units.ts";

/** Why a deposit is what it is, as its owner and operators read it. */
export const DEPOSIT_REASONS = [
  /** What was asked for arrived. */
  "exact",
  /** Less arrived; it was credited as a top-up. */
  "short",
  /** More arrived: a top-up of all of it, or a top-up of what a package does not cost. */
  "over",
  /** It arrived after the intent's end; it was credited as a top-up. */
  "late",
  /** The intent's package had been paid before; it was credited as a top-up. */
  "again",
  /** The transaction failed, so nothing arrived. */
  "failed",
  /** Another coin arrived than USDC. */
  "wrong_mint",
  /** The transfer names no reference that is known. */
  "no_reference",
  /** It names several. */
  "several_references",
  /** What the treasury has more is not what the instructions say. */
  "unreadable",
  /** The account could not take it: it holds as many lots, or as much, as it may. */
  "account_full",
  /** Two operators decided. */
  "operators",
] as const;
export type DepositReason = (typeof DEPOSIT_REASONS)[number];

/** What an intent asks for, as it was when it was made. */
export interface Asked {
  readonly kind: "topup" | "package";
  readonly amount: MicroUsdc;
  readonly expiresAt: number;
  readonly package: {
    readonly id: PackageId;
    readonly included: NanoUsd;
    readonly slots: number;
    readonly validMs: number;
  } | null;
}

/** One part of a payment, and the lot that it becomes. The parts of a payment sum to it. */
export interface Part {
  readonly kind: "topup" | "package";
  readonly amount: MicroUsdc;
  /** What the lot begins with. */
  readonly lot: NanoUsd;
  readonly reason: DepositReason;
}

/**
 * Judges a payment to an intent. `paidBefore`: whether a payment of this intent's has become its package. Times are
 * milliseconds since 1970; `arrived` above 0.
 */
export function judgePayment(asked: Asked, arrived: MicroUsdc, at: number, paidBefore: boolean): readonly Part[] {
  if (at > asked.expiresAt) return [topup(arrived, "late")];
  const difference = arrived - asked.amount;
  if (asked.package === null) return [topup(arrived, comparison(difference))];
  if (paidBefore) return [topup(arrived, "again")];
  if (difference < 0) return [topup(arrived, "short")];
  const whole: Part = { kind: "package", amount: asked.amount, lot: asked.package.included, reason: "exact" };
  return difference === 0 ? [whole] : [whole, topup(subtract(arrived, asked.amount), "over")];
}

function comparison(difference: number): DepositReason {
  if (difference === 0) return "exact";
  return difference < 0 ? "short" : "over";
}

function topup(amount: MicroUsdc, reason: DepositReason): Part {
  return { kind: "topup", amount, lot: nanoUsdOf(amount), reason };
}
