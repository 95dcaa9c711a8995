/** How a repeated call to `hold` is recognised: by its job id, and by its idempotency key. */

import type { HoldDecision } from "../../core/account/hold.ts";
import { shown } from "../../core/account/lots.ts";
import { queueWeight, slotsIn } from "../../core/account/slots.ts";
import type { AccountState, Hold } from "../../core/account/state.ts";
import { type Refusal, refuse } from "../../core/errors.ts";
import { holdSlots, jobTime } from "../../core/ids.ts";
import { WHOLE } from "../../core/lanes.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import type { ReceiptBody } from "../../core/receipt/body.ts";
import { type Millicredits, mulDivFloor, sum } from "../../core/units.ts";
import type {
  AllotmentTerms,
  EstimateResult,
  HeldTerms,
  HoldRequest,
  HoldResult,
  JobRecord,
} from "../../protocol/internal/account.ts";
import type { Ledger } from "./ledger.ts";
import type { HoldRow } from "./store.ts";

export type Earlier =
  /** Nothing stands in the way: the hold goes into this slot as this attempt. */
  | { readonly type: "none"; readonly slot: string; readonly attempt: number }
  /** The same call came before: it gets the same answer. */
  | { readonly type: "repeated"; readonly row: HoldRow }
  | { readonly type: "refused"; readonly refusal: Refusal };

/**
 * What an account knows of a hold's job or idempotency key. A key whose earlier job was charged nothing may be used again:
 * only a running job or a receipt stands in the way (interfaces.md §1).
 */
export function findEarlier(ledger: Ledger, request: HoldRequest, now: number): Earlier {
  if (Math.abs(jobTime(request.job) - now) > LIMITS.clockSkewMs) {
    return {
      type: "refused",
      refusal: refuse("internal_error", { detail: "The job id is not of this time: a clock is wrong." }),
    };
  }
  const slots = holdSlots(request.job);
  const rows = slots.map((slot) => ledger.store.holdIn(slot));
  const same = rows.find((row) => row?.job === request.job);
  if (same) return sameJob(same, request);
  for (const row of rows) {
    const refusal = row === null ? null : refuseEarlier(ledger, row, request.body);
    if (refusal !== null) return { type: "refused", refusal };
  }
  return { type: "none", slot: slots[0] ?? request.job, attempt: (rows[0]?.attempt ?? 0) + 1 };
}

/** The same job id is the same call, or another one with the same key that came in the same millisecond. */
function sameJob(row: HoldRow, { keyed, body }: HoldRequest): Earlier {
  if (row.record.call === keyed) return { type: "repeated", row };
  const code = row.body === body ? "in_progress" : "idempotency_mismatch";
  return { type: "refused", refusal: refuse(code, { metadata: { job: row.job } }) };
}

function refuseEarlier(ledger: Ledger, row: HoldRow, body: string): Refusal | null {
  const metadata = { job: row.job };
  if (row.body !== body) return refuse("idempotency_mismatch", { metadata });
  if ("refused" in row.record) return null;
  if (ledger.openHold(row.job) !== undefined) return refuse("in_progress", { metadata });
  const ended = ledger.ending(row.job);
  if (ended?.type !== "spent") return null;
  const { outcome, charge } = JSON.parse(ended.body) as ReceiptBody;
  if (charge.nano_usd === 0) return null;
  return refuse("already_completed", { metadata: { ...metadata, receipt: row.job, outcome } });
}

/** The answer that a repeated hold gets: what was answered the first time. */
export function repeatedAnswer(ledger: Ledger, row: HoldRow, held: (row: HoldRow) => HoldResult): HoldResult {
  const { record } = row;
  if ("hold" in record) {
    return ledger.openHold(row.job) === undefined
      ? { type: "refused", refusal: refuse("id_conflict", { detail: "This job has ended." }) }
      : held(row);
  }
  return record.refused;
}

/** What a hold promises, as its gateway needs it. */
export function heldTerms(
  state: AccountState,
  hold: Hold,
  remaining: Millicredits,
  allotment: AllotmentTerms | null,
): HeldTerms {
  const { lane, reserved, maxRate = null, price, promptBound, completionCap, expiresAt, draws, peg } = hold;
  const held = sum(draws.map(({ backing, amount }) => shown(backing, amount, peg)));
  const unbacked = draws.some(({ backing }) => backing === "none");
  return {
    lane,
    reserved,
    share: { weight: queueWeight(state, lane, hold.at), paying: state.hasPaid },
    maxRate,
    allotment,
    price,
    promptBound,
    completionCap,
    expiresAt,
    held,
    remaining,
    unbacked,
  };
}

/** What a hold would come to, from what was decided on it. */
export function estimateOf(
  state: AccountState,
  decision: Exclude<HoldDecision, { type: "refused" }>,
  now: number,
): EstimateResult {
  const stop = decision.type === "held" ? null : decision.stop;
  const { lane, completionCap, price } = decision.type === "held" ? decision.hold : decision.stop;
  const reserved = decision.type === "held" && decision.hold.reserved;
  return { type: "estimated", lane, reserved, slots: slotsIn(state, lane, now), completionCap, price, stop };
}

/** What bounds the payees of a hold's allotment: only those are named who have had what one payee may always have. */
export function allotmentOf(
  { allotment }: AccountState,
  { draws }: Hold,
  parameters: Parameters,
): AllotmentTerms | null {
  if (allotment === null || !draws.some(({ lot }) => lot === allotment.lot)) return null;
  const { granted, paid } = allotment;
  const share = mulDivFloor(granted, parameters.allotmentPayeeShareBasisPoints, WHOLE);
  return { granted, paid: [...paid].filter(([, earned]) => earned >= share) };
}

/** What the account knows of a job. */
export function jobRecord(ledger: Ledger, row: HoldRow | null): JobRecord {
  if (row === null) return { type: "unknown" };
  if ("refused" in row.record) return { type: "refused", refusal: row.record.refused.refusal, at: jobTime(row.job) };
  const open = ledger.openHold(row.job);
  if (open !== undefined) return { type: "open", model: open.model, at: open.at, expiresAt: open.expiresAt };
  const ended = ledger.ending(row.job);
  if (ended === null) return { type: "unknown" };
  if (ended.type === "spent") return { type: "posted", body: ended.body, at: ended.at };
  const reason = ended.event.type === "voided" ? ended.event.reason : "expired";
  return { type: ended.type === "void" ? "voided" : "expired", reason, at: ended.at };
}
