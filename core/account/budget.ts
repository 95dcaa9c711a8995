/** What one key may spend, and what it has spent (economics.md §6). Counted in nanoUSD of price, whatever lots paid it. */

import { type Refusal, refuse } from "../errors.ts";
import type { KeyId } from "../ids.ts";
import { DAY_MS } from "../time.ts";
import { formatUsd, type NanoUsd } from "../units.ts";

export const RESETS = ["daily", "weekly", "monthly", "never"] as const;
/** When a budget begins anew: at 00:00 UTC of each day, of each Monday, of each first of a month, or not at all. */
export type Reset = (typeof RESETS)[number];

export interface Budget {
  readonly nanoUsd: NanoUsd;
  readonly reset: Reset;
}

/** What an account knows of a key when it decides a hold. */
export interface KeyTerms {
  readonly id: KeyId;
  /** The models that it may use; null for all. */
  readonly models: readonly string[] | null;
  readonly budget: Budget | null;
}

/** Why a key may not use a model, or null. */
export function refuseModel({ models }: KeyTerms, model: string): Refusal | null {
  if (models === null || models.includes(model)) return null;
  return refuse("forbidden", { detail: `This key may use ${models.join(", ")} only.`, param: "model" });
}

/** A sum of one stretch of time, by the stretch's beginning. */
interface Stretch {
  readonly since: number;
  readonly nanoUsd: NanoUsd;
}

/** What a key's jobs have reserved and cost. Every stretch is kept, so that a budget may be changed at any time. */
export interface Spending {
  readonly held: NanoUsd;
  readonly stretches: Readonly<Record<Reset, Stretch>>;
}

const NOTHING: Stretch = { since: 0, nanoUsd: 0 as NanoUsd };
export const NO_SPENDING: Spending = {
  held: 0 as NanoUsd,
  stretches: { daily: NOTHING, weekly: NOTHING, monthly: NOTHING, never: NOTHING },
};

/** 1970-01-01 was a Thursday. */
const FIRST_MONDAY = 4;

/** The beginning of the stretch that a time lies in, in milliseconds since 1970. */
export function stretchStart(reset: Reset, now: number): number {
  if (reset === "never") return 0;
  if (reset === "monthly") {
    const date = new Date(now);
    return Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
  }
  const day = Math.floor(now / DAY_MS);
  return (reset === "daily" ? day : day - ((((day - FIRST_MONDAY) % 7) + 7) % 7)) * DAY_MS;
}

/** When a budget begins anew next; null when it never does. */
export function nextReset(reset: Reset, now: number): number | null {
  if (reset === "never") return null;
  const start = stretchStart(reset, now);
  // A start plus a little more than the longest stretch lies in the next one, or for days and weeks exactly at it.
  if (reset === "monthly") return stretchStart("monthly", start + 32 * DAY_MS);
  return start + (reset === "daily" ? 1 : 7) * DAY_MS;
}

/** What was spent in the stretch that a time lies in. */
export function spentIn(spending: Spending, reset: Reset, now: number): NanoUsd {
  const { since, nanoUsd } = spending.stretches[reset];
  return since === stretchStart(reset, now) ? nanoUsd : (0 as NanoUsd);
}

/** A key's spending after one of its holds began: more is reserved. */
export function withHeld(spending: Spending, price: NanoUsd): Spending {
  return { ...spending, held: (spending.held + price) as NanoUsd };
}

/** A key's spending after one of its holds ended with a charge, which may be 0. */
export function withEnded(spending: Spending, price: NanoUsd, charge: NanoUsd, at: number): Spending {
  const add = (reset: Reset): Stretch => ({
    since: stretchStart(reset, at),
    nanoUsd: (spentIn(spending, reset, at) + charge) as NanoUsd,
  });
  return {
    held: (spending.held - price) as NanoUsd,
    stretches: { daily: add("daily"), weekly: add("weekly"), monthly: add("monthly"), never: add("never") },
  };
}

/** Why a key's budget does not carry another price, or null when it does. What open jobs have reserved counts as spent. */
export function overBudget(budget: Budget | null, spending: Spending, price: NanoUsd, now: number): Refusal | null {
  if (budget === null) return null;
  const spent = spentIn(spending, budget.reset, now);
  if (spent + spending.held + price <= budget.nanoUsd) return null;
  const at = nextReset(budget.reset, now);
  return refuse("budget_exceeded", {
    metadata: {
      budget_usd: formatUsd(budget.nanoUsd),
      spent_usd: formatUsd(spent),
      held_usd: formatUsd(spending.held),
      required_usd: formatUsd(price),
      reset: budget.reset,
      reset_at: at === null ? null : new Date(at).toISOString(),
    },
  });
}
