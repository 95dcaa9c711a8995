/** Reserving the worst case of a job (economics.md §§3, 6). */

import { type Refusal, refuse } from "../errors.ts";
import type { JobId, KeyId } from "../ids.ts";
import { LANE_TABLE, type Lane } from "../lanes.ts";
import { LIMITS } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import { affordableCompletion, priceAtRate, type Rate } from "../pricing.ts";
import { formatCredits, type Millicredits, type NanoUsd, type Peg, sum, toMillicreditsCeil } from "../units.ts";
import { coverage, draw, fundingOrder, shown } from "./lots.ts";
import type { AccountState, Hold } from "./state.ts";

export interface HoldCommand {
  readonly job: JobId;
  readonly key: KeyId;
  readonly lane: Lane;
  readonly model: string;
  /** SHA-256 of the request's body, hex. */
  readonly body: string;
  /** The highest rate that the job may be charged at. */
  readonly rate: Rate;
  /** The gateway's bound on prompt tokens. */
  readonly promptBound: number;
  /** Completion tokens the request names for each choice, or null. */
  readonly completion: number | null;
  /** The model's default and its most, for each choice. */
  readonly completionDefault: number;
  readonly choices: number;
  readonly expiresAt: number;
  readonly peg: Peg;
}

export interface SoftStop {
  readonly required: Millicredits;
  readonly balance: Millicredits;
  readonly shortfall: Millicredits;
}

export type HoldDecision =
  | { readonly type: "held"; readonly hold: Hold }
  | { readonly type: "soft_stop"; readonly stop: SoftStop; readonly refusal: Refusal }
  | { readonly type: "refused"; readonly refusal: Refusal };

/** What the account could spend in a lane now, in millicredits at a peg. */
export function spendable(state: AccountState, lane: Lane, peg: Peg, now: number): Millicredits {
  const sources = fundingOrder(state.lots.values(), LANE_TABLE[lane].funding, now);
  return sum(sources.map(({ backing, amount }) => shown(backing, amount, peg)));
}

/**
 * The completion tokens that each choice may have: what the request names, else min(model's default, what the budget
 * affords), at least 256 ◆ (economics.md §6).
 */
export function completionCapOf(
  asked: Pick<HoldCommand, "rate" | "promptBound" | "completion" | "completionDefault" | "choices">,
  budget: NanoUsd,
  parameters: Parameters,
): number {
  if (asked.completion !== null) return asked.completion;
  const affordable = Math.floor(affordableCompletion(asked.rate, asked.promptBound, budget) / asked.choices);
  return Math.max(parameters.minimumCompletionTokens, Math.min(asked.completionDefault, affordable));
}

/** Decides a hold: the completion cap, its worst price, and the lots that reserve it. Nothing is reserved in part. */
export function decideHold(
  state: AccountState,
  command: HoldCommand,
  parameters: Parameters,
  now: number,
): HoldDecision {
  if (state.holds.size >= LIMITS.openHolds) {
    return { type: "refused", refusal: refuse("concurrency_limit", { metadata: { limit: LIMITS.openHolds } }) };
  }
  const { lane, rate, peg, promptBound, choices } = command;
  const sources = fundingOrder(state.lots.values(), LANE_TABLE[lane].funding, now);
  const balance = spendable(state, lane, peg, now);
  const minimum = parameters.minimumBalanceMillicredits as Millicredits;
  if (balance < minimum) return stop("below_minimum_balance", minimum, balance);

  const budget = sum(sources.map(({ backing, amount }) => coverage(backing, amount, peg)));
  const completionCap = completionCapOf(command, budget, parameters);
  const price = priceAtRate(rate, { prompt: promptBound, completion: completionCap * choices });
  const { draws, covered } = draw(sources, price, peg);
  if (covered < price) return stop("insufficient_credits", toMillicreditsCeil(price, peg), balance);
  return {
    type: "held",
    hold: {
      job: command.job,
      order: state.order + 1,
      at: now,
      expiresAt: command.expiresAt,
      key: command.key,
      lane,
      model: command.model,
      body: command.body,
      peg,
      price,
      promptBound,
      completionCap,
      draws: draws.map(({ lot, kind, backing, amount }) => ({ lot, kind, backing, amount })),
    },
  };
}

function stop(
  code: "insufficient_credits" | "below_minimum_balance",
  required: Millicredits,
  balance: Millicredits,
): HoldDecision {
  const shortfall = Math.max(0, required - balance) as Millicredits;
  const detail = `This request needs ${formatCredits(required)} credits and ${formatCredits(balance)} are available.`;
  return { type: "soft_stop", stop: { required, balance, shortfall }, refusal: refuse(code, { detail }) };
}
