/**
 * What becomes of deposits in suspense, by two operators: one proposes, another one approves, and then it is carried out. D1
 * keeps whose word there is. Between the steps anything may break: what is approved stays due, and whoever approves it again
 * carries it out, once.
 */

import { isErrorCode, type Refusal, refuse } from "../../core/errors.ts";
import type { AccountId } from "../../core/ids.ts";
import {
  addResolution,
  approveResolution,
  declineResolution,
  endResolution,
  getResolution,
  type ResolutionRow,
  stateOfResolution,
} from "../../db/deposit-resolutions.ts";
import { type DepositRow, getDeposit } from "../../db/deposits.ts";
import type { Answer } from "../../protocol/internal/account.ts";
import { creditLot } from "./credit.ts";

export interface Proposal {
  readonly id: string;
  readonly deposit: string;
  readonly action: "credit" | "return" | "keep";
  /** Null where nobody is credited. */
  readonly account: AccountId | null;
  readonly reason: string;
}

/** Proposes what becomes of a deposit, once for an id. `added` is false where the same was proposed before. */
export async function proposeResolution(
  db: D1Database,
  proposal: Proposal,
  operator: string,
  now: number,
): Promise<Answer<{ readonly row: ResolutionRow; readonly added: boolean }>> {
  const known = await getResolution(db, proposal.id);
  if (known !== null) return sameProposal(known, proposal, operator);
  const deposit = await getDeposit(db, proposal.deposit);
  const against = deposit === null ? refuse("deposit_not_found") : objection(deposit, proposal);
  if (against !== null) return { ok: false, refusal: against };
  const added = await addResolution(db, { ...proposal, proposed_by: operator, proposed_at: now });
  const row = await getResolution(db, proposal.id);
  if (row === null) throw new Error("a proposal went missing");
  return added ? { ok: true, value: { row, added } } : sameProposal(row, proposal, operator);
}

function sameProposal(
  row: ResolutionRow,
  proposal: Proposal,
  operator: string,
): Answer<{ row: ResolutionRow; added: boolean }> {
  const { deposit, action, account, reason } = proposal;
  const same = row.deposit === deposit && row.action === action && row.account === account && row.reason === reason;
  return same && row.proposed_by === operator
    ? { ok: true, value: { row, added: false } }
    : { ok: false, refusal: refuse("id_conflict", { param: "id" }) };
}

/** What stands against a proposal, or null. */
function objection({ state, micro_usdc, account: owner }: DepositRow, { action, account }: Proposal): Refusal | null {
  if (state !== "suspense") return refuse("deposit_settled");
  if (action === "return") return null;
  if (action === "keep" && owner !== null) {
    const detail = `The payment names account ${owner}, so it is owed to that account or to who paid it.`;
    return refuse("invalid_request", { detail, param: "action" });
  }
  if (micro_usdc === 0) {
    return refuse("invalid_request", {
      detail: "No USDC arrived, so there is nothing to credit or to keep.",
      param: "action",
    });
  }
  if (action === "keep" || owner === null || owner === account) return null;
  const detail = `The payment names account ${owner}, so no other one can be credited.`;
  return refuse("invalid_request", { detail, param: "account" });
}

/**
 * Approves a proposal of another operator's and carries it out. Where it was approved before, by whomever, what is left of
 * it is done, and the answer is the same.
 */
export async function approve(env: Env, id: string, operator: string, now: number): Promise<Answer<ResolutionRow>> {
  const row = (await approveResolution(env.DB, id, operator, now)) ?? (await getResolution(env.DB, id));
  if (row === null) return { ok: false, refusal: refuse("resolution_not_found") };
  const state = stateOfResolution(row, now);
  if (state === "proposed") return { ok: false, refusal: await whyNot(env.DB, row, operator) };
  if (state === "declined" || state === "expired") return { ok: false, refusal: closed(state, row) };
  const ended = state === "approved" ? await carryOut(env, row) : row;
  if (ended.state !== "refused") return { ok: true, value: ended };
  const { outcome } = ended;
  return { ok: false, refusal: refuse(outcome !== null && isErrorCode(outcome) ? outcome : "internal_error") };
}

async function whyNot(db: D1Database, { deposit, proposed_by }: ResolutionRow, operator: string): Promise<Refusal> {
  if (proposed_by === operator) {
    return refuse("second_operator_needed", {
      detail: "Another operator than the one who proposed it has to approve it.",
    });
  }
  const found = await getDeposit(db, deposit);
  return refuse(found === null ? "deposit_not_found" : "deposit_settled");
}

async function carryOut(env: Env, row: ResolutionRow): Promise<ResolutionRow> {
  const { id, deposit: depositId, action, account } = row;
  if (action !== "credit" || account === null) {
    await endResolution(env.DB, row, { type: action === "keep" ? "kept" : "returned" });
  } else {
    const deposit = await getDeposit(env.DB, depositId);
    if (deposit === null) throw new Error("a deposit went missing");
    const result = await creditLot(env, deposit, account);
    await endResolution(
      env.DB,
      row,
      result.type === "credited"
        ? { type: "credited", seq: result.seq }
        : { type: "refused", code: result.refusal.code },
    );
  }
  const ended = await getResolution(env.DB, id);
  if (ended === null) throw new Error("a proposal went missing");
  return ended;
}

/** Declines an open proposal; a declined one stays as it is. */
export async function decline(
  db: D1Database,
  id: string,
  operator: string,
  now: number,
): Promise<Answer<ResolutionRow>> {
  const row = (await declineResolution(db, id, operator, now)) ?? (await getResolution(db, id));
  if (row === null) return { ok: false, refusal: refuse("resolution_not_found") };
  if (row.state === "declined") return { ok: true, value: row };
  return { ok: false, refusal: closed(stateOfResolution(row, now), row) };
}

function closed(state: string, { id, approved_by, declined_by }: ResolutionRow): Refusal {
  const by = declined_by ?? approved_by;
  const detail = state === "expired" ? "The proposal has expired." : `The proposal is ${state}, by ${by}.`;
  return refuse("resolution_closed", { detail, metadata: { resolution: id, state } });
}
