/** Reserving the worst case of a job (economics.md §§3, 6). */

import { type Refusal, refuse } from "../errors.ts";
import type { JobId } from "../ids.ts";
import { LANE_TABLE, type Lane } from "../lanes.ts";
import { LIMITS } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import { affordableCompletion, priceAtRate } from "../pricing.ts";
import { formatCredits, type Millicredits, type NanoUsd, type Peg, sum, toMillicreditsCeil } from "../units.ts";
import { type KeyTerms, NO_SPENDING, overBudget, refuseModel } from "./budget.ts";
import { type LanePlan, type LaneWish, planLanes } from "./lane-choice.ts";
import { coverage, draw, fundingOrder, type LotKind, shown } from "./lots.ts";
import type { AccountState, Hold } from "./state.ts";

export interface HoldCommand extends LaneWish {
  readonly job: JobId;
  readonly key: KeyTerms;
  readonly model: string;
  /** SHA-256 of the request's body, hex. */
  readonly body: string;
  /** The gateway's bound on prompt tokens. */
  readonly promptBound: number;
  /** The model's default for each choice, where the request names none. */
  readonly completionDefault: number;
  readonly choices: number;
  readonly expiresAt: number;
  readonly peg: Peg;
}

export interface SoftStop {
  /** The lane that was tried last, with the completion cap and the price that it would have had. */
  readonly lane: Lane;
  readonly completionCap: number;
  readonly price: NanoUsd;
  readonly required: Millicredits;
  readonly balance: Millicredits;
  readonly shortfall: Millicredits;
  /** Paid credits that are there and stay untouched, as neither the request nor the account allows them. */
  readonly unused: Millicredits;
}

export type HoldDecision =
  | { readonly type: "held"; readonly hold: Hold }
  | { readonly type: "soft_stop"; readonly stop: SoftStop; readonly refusal: Refusal }
  | { readonly type: "refused"; readonly refusal: Refusal };

/** What lots of some kinds could pay now, in millicredits at a peg. */
export function spendable(state: AccountState, kinds: readonly LotKind[], peg: Peg, now: number): Millicredits {
  const sources = fundingOrder(state.lots.values(), kinds, now);
  return sum(sources.map(({ backing, amount }) => shown(backing, amount, peg)));
}

/** What a lane could draw on, in millicredits at a peg. */
export function spendableIn(state: AccountState, lane: Lane, peg: Peg, now: number): Millicredits {
  return spendable(state, LANE_TABLE[lane].funding, peg, now);
}

/**
 * The completion tokens that each choice may have: what the request names, else min(model's default, what the budget
 * affords), at least 256 ◆ (economics.md §6); in `included` at most 4,096 ◆ (§3).
 */
function completionCapOf(command: HoldCommand, plan: LanePlan, budget: NanoUsd, parameters: Parameters): number {
  if (command.completion !== null) return command.completion;
  const affordable = Math.floor(affordableCompletion(plan.maxRate, command.promptBound, budget) / command.choices);
  const most = Math.min(command.completionDefault, plan.mostCompletion ?? Number.MAX_SAFE_INTEGER);
  return Math.max(parameters.minimumCompletionTokens, Math.min(most, affordable));
}

/**
 * Decides a hold: the lane, the completion cap, its worst price, and the lots that reserve it. Nothing is reserved in
 * part. The first plan whose lots cover it is taken; where none does, the last one's lack is told.
 */
export function decideHold(
  state: AccountState,
  command: HoldCommand,
  parameters: Parameters,
  now: number,
): HoldDecision {
  const notAllowed = refuseModel(command.key, command.model);
  if (notAllowed !== null) return { type: "refused", refusal: notAllowed };
  if (state.holds.size >= LIMITS.openHolds) {
    return { type: "refused", refusal: refuse("concurrency_limit", { metadata: { limit: LIMITS.openHolds } }) };
  }
  const plans = planLanes(state, command, parameters, now);
  if ("code" in plans) return { type: "refused", refusal: plans };
  let decision: HoldDecision | null = null;
  for (const plan of plans) {
    decision = decidePlan(state, command, plan, parameters, now);
    if (decision.type !== "soft_stop") return decision;
  }
  if (decision === null) throw new Error("a request has one plan at least");
  return decision;
}

function decidePlan(
  state: AccountState,
  command: HoldCommand,
  plan: LanePlan,
  parameters: Parameters,
  now: number,
): HoldDecision {
  const { lane, maxRate, kinds } = plan;
  const { peg, promptBound, choices } = command;
  const sources = fundingOrder(state.lots.values(), kinds, now);
  const balance = sum(sources.map(({ backing, amount }) => shown(backing, amount, peg)));
  const unused = (spendableIn(state, lane, peg, now) - balance) as Millicredits;
  const budget = sum(sources.map(({ backing, amount }) => coverage(backing, amount, peg)));
  const completionCap = completionCapOf(command, plan, budget, parameters);
  const tokens = { prompt: promptBound, completion: completionCap * choices };
  const price = priceAtRate(maxRate, tokens);
  const lack = { lane, completionCap, price, balance, unused };
  const minimum = parameters.minimumBalanceMillicredits as Millicredits;
  if (balance < minimum) return stop("below_minimum_balance", minimum, lack);
  // An allotment pays the catalog's rate at most; what a dedicated provider asks beyond it comes from the package.
  const { draws, covered } = draw(sources, price, peg, { allotment: priceAtRate(command.rate, tokens) });
  if (covered < price) return stop("insufficient_credits", toMillicreditsCeil(price, peg), lack);
  const { key } = command;
  const over = overBudget(key.budget, state.spending.get(key.id) ?? NO_SPENDING, price, now);
  if (over !== null) return { type: "refused", refusal: over };
  return {
    type: "held",
    hold: {
      job: command.job,
      order: state.order + 1,
      at: now,
      expiresAt: command.expiresAt,
      key: key.id,
      lane,
      reserved: plan.reserved,
      maxRate,
      model: command.model,
      body: command.body,
      peg,
      price,
      promptBound,
      completionCap,
      draws: draws.map(({ covers: _, ...rest }) => rest),
    },
  };
}

function stop(
  code: "insufficient_credits" | "below_minimum_balance",
  required: Millicredits,
  lack: Omit<SoftStop, "required" | "shortfall">,
): HoldDecision {
  const { balance, unused } = lack;
  const shortfall = Math.max(0, required - balance) as Millicredits;
  const needs = `This request needs ${formatCredits(required)} credits and ${formatCredits(balance)} are available.`;
  const more = ` ${formatCredits(unused)} paid credits are not spent beside an allotment unless \`allow_paid\` says so.`;
  const detail = unused > 0 ? needs + more : needs;
  return { type: "soft_stop", stop: { ...lack, required, shortfall }, refusal: refuse(code, { detail }) };
}
