/**
 * Reversals by two operators: one proposes, another one approves, and then the account takes the receipt back. D1 keeps
 * whose word there is, the account what was done. Between the two anything may break: an approved reversal stays due, and
 * whoever approves it again carries it out, once.
 */

import { isErrorCode, type Refusal, refuse } from "../core/errors.ts";
import type { AccountId, JobId } from "../core/ids.ts";
import type { ReceiptBody } from "../core/receipt/body.ts";
import {
  addReversal,
  approveReversal,
  declineReversal,
  endReversal,
  getReversal,
  type ReversalRow,
  stateOf,
} from "../db/reversals.ts";
import type { Answer } from "../protocol/internal/account.ts";
import { onHolder } from "./objects.ts";

export interface Proposal {
  readonly id: string;
  readonly account: AccountId;
  readonly job: JobId;
  readonly reason: string;
}

/** Proposes to take a job's receipt back, once for an id. `added` is false where the same was proposed before. */
export async function propose(
  env: Env,
  proposal: Proposal,
  operator: string,
  now: number,
): Promise<Answer<{ readonly row: ReversalRow; readonly added: boolean }>> {
  const known = await getReversal(env.DB, proposal.id);
  if (known !== null) return sameProposal(known, proposal, operator);
  const { account, job } = proposal;
  const charge = await chargeOf(env, account, job);
  if (!charge.ok) return charge;
  const { nano_usd, millicredits } = charge.value;
  const added = await addReversal(env.DB, {
    ...proposal,
    nano_usd,
    millicredits,
    proposed_by: operator,
    proposed_at: now,
  });
  const row = await getReversal(env.DB, proposal.id);
  if (row === null) throw new Error("a proposal went missing");
  return added ? { ok: true, value: { row, added } } : sameProposal(row, proposal, operator);
}

function sameProposal(row: ReversalRow, { account, job, reason }: Proposal, operator: string) {
  const same = row.account === account && row.job === job && row.reason === reason && row.proposed_by === operator;
  return same ? { ok: true as const, value: { row, added: false } } : refusal(refuse("id_conflict", { param: "id" }));
}

/** What a reversal of the job would give back now. */
async function chargeOf(env: Env, account: AccountId, job: JobId): Promise<Answer<ReceiptBody["charge"]>> {
  const body = await onHolder(env, account, job, (holder) => holder.receipt(job));
  const charge = body === null ? null : (JSON.parse(body) as ReceiptBody).charge;
  if (charge === null || charge.nano_usd === 0) return refusal(refuse("nothing_to_reverse", { param: "job" }));
  const reversal = await onHolder(env, account, job, (holder) => holder.receipt(job, "reversal"));
  return reversal === null ? { ok: true, value: charge } : refusal(refuse("already_reversed", { param: "job" }));
}

/**
 * Approves a proposal of another operator's and carries it out. Where it was approved before, by whomever, what is left of
 * it is done, and the answer is the same.
 */
export async function approve(env: Env, id: string, operator: string, now: number): Promise<Answer<ReversalRow>> {
  const row = (await approveReversal(env.DB, id, operator, now)) ?? (await getReversal(env.DB, id));
  if (row === null) return refusal(refuse("reversal_not_found"));
  const state = stateOf(row, now);
  if (state === "proposed") return refusal(refuse("second_operator_needed"));
  if (state === "declined" || state === "expired") return refusal(closed(state, row));
  const ended = state === "approved" ? await carryOut(env, row) : row;
  const { state: end, outcome } = ended;
  if (end !== "refused") return { ok: true, value: ended };
  return refusal(refuse(outcome !== null && isErrorCode(outcome) ? outcome : "internal_error"));
}

/** Lets the account take the receipt back, and keeps what it said. */
async function carryOut(env: Env, row: ReversalRow): Promise<ReversalRow> {
  const { id, account, job, reason, proposed_by, approved_by } = row;
  const by = approved_by === null ? [proposed_by] : [proposed_by, approved_by];
  const result = await onHolder(env, account, job, (holder) => holder.reverse({ job, reason, by }));
  const end =
    result.type === "refused"
      ? ({ state: "refused", seq: null, outcome: result.refusal.code } as const)
      : ({ state: "reversed", seq: result.seq, outcome: isOurs(result.body, reason, by) } as const);
  const ended = (await endReversal(env.DB, id, end)) ?? (await getReversal(env.DB, id));
  if (ended === null) throw new Error("a proposal went missing");
  return ended;
}

/** A receipt is taken back once: where another reversal was first, the account answers with that one. */
function isOurs(body: string, reason: string, by: readonly string[]): "reversed" | "already_reversed" {
  const { reversal } = JSON.parse(body) as ReceiptBody;
  return reversal?.reason === reason && reversal.by.join() === by.join() ? "reversed" : "already_reversed";
}

/** Declines an open proposal; a declined one stays as it is. */
export async function decline(env: Env, id: string, operator: string, now: number): Promise<Answer<ReversalRow>> {
  const row = (await declineReversal(env.DB, id, operator, now)) ?? (await getReversal(env.DB, id));
  if (row === null) return refusal(refuse("reversal_not_found"));
  return row.state === "declined" ? { ok: true, value: row } : refusal(closed(stateOf(row, now), row));
}

function closed(state: string, { id, approved_by, declined_by }: ReversalRow): Refusal {
  const by = declined_by ?? approved_by;
  const detail = state === "expired" ? "The proposal has expired." : `The proposal is ${state}, by ${by}.`;
  return refuse("reversal_closed", { detail, metadata: { reversal: id, state } });
}

function refusal(value: Refusal): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: value };
}
