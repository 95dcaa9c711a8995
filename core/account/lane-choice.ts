/** Which lane a job takes, and which lots pay for it there (economics.md §3). */

import { askRate } from "../auction/standing.ts";
import { type Refusal, refuse } from "../errors.ts";
import { LANE_TABLE, type Lane, WHOLE } from "../lanes.ts";
import type { Parameters } from "../parameters.ts";
import { perThousand, type Rate, scaledRate } from "../pricing.ts";
import { formatUsd, type NanoUsd } from "../units.ts";
import type { LotKind } from "./lots.ts";
import { packageSlots, stakeSlots } from "./slots.ts";
import type { AccountState } from "./state.ts";

/** What decides a lane, of a request and of its account. */
export interface LaneWish {
  /** The lane that the request names, or null to let the network choose. */
  readonly lane: Lane | null;
  /** The lanes that the model is served in. A package opens every model, so `dedicated` need not be among them. */
  readonly lanes: readonly Lane[];
  /** The catalog's rate, or that of the private network whose member asks. */
  readonly rate: Rate;
  /** The most that the request pays, in basis points of the catalog's rate; null where it names no maximum. */
  readonly mostBasisPoints: number | null;
  /** The most that it pays in an auction, in nanoUSD for 1,000 completion tokens: named, or the default. */
  readonly maxAsk: NanoUsd;
  /** Completion tokens that the request names for each choice, or null. */
  readonly completion: number | null;
  /** Whether the request says who may serve it, or who may not. */
  readonly choosesProvider: boolean;
  /** Whether the request lets paid credits be spent beside an allotment. */
  readonly allowPaid: boolean;
}

/** One way to run a job: a lane with its highest rate, and what may pay for it. */
export interface LanePlan {
  readonly lane: Lane;
  readonly maxRate: Rate;
  /** In the order in which they are drawn. */
  readonly kinds: readonly LotKind[];
  /** The most completion tokens of each choice, or null where only the model bounds them. */
  readonly mostCompletion: number | null;
  /** Whether it runs in a slot that a package has reserved. */
  readonly reserved: boolean;
}

/**
 * The plans of a job in the order in which they are tried: the lane that it names; else `dedicated` while a package is
 * live, `included` while there is an allotment, and `public`. A refusal where none is left, or where a cap is reached.
 */
export function planLanes(
  state: AccountState,
  wish: LaneWish,
  parameters: Parameters,
  now: number,
): readonly LanePlan[] | Refusal {
  if (wish.lane !== null) {
    const plan = planOf(state, wish.lane, wish, parameters, now);
    return "code" in plan ? plan : [plan];
  }
  const plans: LanePlan[] = [];
  let last: Refusal | null = null;
  for (const lane of ["dedicated", "included", "public"] as const) {
    const plan = planOf(state, lane, wish, parameters, now);
    if (!("code" in plan)) plans.push(plan);
    // Who has an allotment and runs as many jobs on it as it may, is told so: other credits are not spent by surprise.
    else if (plan.code === "concurrency_limit") return plans.length > 0 ? plans : plan;
    // Where another lane could serve it for more, that is what the request can be changed to.
    else if (last?.code !== "no_bid") last = plan;
  }
  return plans.length > 0 ? plans : (last ?? unavailable("No lane serves this model."));
}

/** One lane's plan, or why this account cannot use that lane for this request. */
function planOf(
  state: AccountState,
  lane: Lane,
  wish: LaneWish,
  parameters: Parameters,
  now: number,
): LanePlan | Refusal {
  const { funding, price } = LANE_TABLE[lane];
  // In lanes that cost a rate that is known nobody serves below it.
  if (price !== "ask" && wish.mostBasisPoints !== null && wish.mostBasisPoints < WHOLE) return tooCheap(wish);
  const plan = { lane, maxRate: wish.rate, kinds: funding, mostCompletion: null, reserved: false };
  if (lane === "dedicated") {
    const slots = packageSlots(state, now);
    if (slots === null) return unavailable("This account has no package.");
    return {
      ...plan,
      maxRate: scaledRate(
        wish.rate,
        Math.min(parameters.dedicatedMaxRateBasisPoints, wish.mostBasisPoints ?? Number.MAX_SAFE_INTEGER),
      ),
      // An allotment pays no provider that its holder has chosen.
      kinds: wish.choosesProvider ? funding.filter((kind) => kind !== "allotment") : funding,
      reserved: slots.inUse < slots.slots,
    };
  }
  if (!wish.lanes.includes(lane)) return unavailable(`This model is served in ${wish.lanes.join(", ")} only.`);
  if (lane === "included") return planIncluded(state, plan, wish, parameters, now);
  // Who names a network wants its members to be paid, so a holder's paid credits are no surprise there.
  if (lane === "private") return plan;
  if (lane === "public") {
    const kinds = mayPay(state, wish, now) ? funding : funding.filter(isUnpaid);
    return { ...plan, kinds, maxRate: askRate(wish.maxAsk, parameters) };
  }
  return unavailable("No league is running.");
}

function planIncluded(
  state: AccountState,
  plan: LanePlan,
  wish: LaneWish,
  parameters: Parameters,
  now: number,
): LanePlan | Refusal {
  const stake = stakeSlots(state, now);
  if (stake === null) return unavailable("This account has no daily allotment.");
  if (wish.choosesProvider) {
    const detail = "A job on the daily allotment cannot choose its provider.";
    return refuse("invalid_request", { detail, param: "provider.only" });
  }
  const most = parameters.includedCompletionTokens;
  if (wish.completion !== null && wish.completion > most) {
    const detail = `A job on the daily allotment completes at most ${most} tokens.`;
    return refuse("invalid_request", { detail, param: "max_completion_tokens" });
  }
  const { slots, inUse } = stake;
  if (inUse >= slots) {
    const carried = `The stake behind the allotment carries ${slots} ${slots === 1 ? "job" : "jobs"} at a time`;
    const detail = `${carried}, and ${inUse} ${inUse === 1 ? "is" : "are"} open; \`lane: "public"\` runs more on other credits.`;
    return refuse("concurrency_limit", { detail, metadata: { limit: slots, open: inUse, lane: "included" } });
  }
  return { ...plan, mostCompletion: most };
}

/** Paid credits of who has an allotment are spent only where the request or the account allows it. */
function mayPay(state: AccountState, { allowPaid }: LaneWish, now: number): boolean {
  return allowPaid || state.allotment === null || state.allotment.expiresAt <= now;
}

function isUnpaid(kind: LotKind): boolean {
  return kind !== "topup";
}

function tooCheap({ rate }: LaneWish): Refusal {
  const metadata = { lowest_ask: formatUsd(perThousand(rate)) };
  return refuse("no_bid", { param: "provider.max_price", metadata });
}

function unavailable(detail: string): Refusal {
  return refuse("lane_unavailable", { detail, param: "lane" });
}
