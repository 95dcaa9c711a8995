/**
 * A daemon's word on a job that has no stream at its relay, because it comes late or the relay was lost: a claim is
 * acknowledged if the account has posted it, and refused otherwise (architecture.md, step 5).
 */

import type { JobId } from "../../core/ids.ts";
import type { ReceiptBody } from "../../core/receipt/body.ts";
import type { VoidResult } from "../../protocol/internal/account.ts";
import type { TicketContent } from "../../protocol/internal/job.ts";
import { holderOf } from "../shared/holder.ts";
import { retrying } from "../shared/retry.ts";
import { openTicket } from "./tickets.ts";

/** What a daemon is told of the claim of a probe: as of any job whose hold was released. */
export const PROBE_ENDED: VoidResult["type"] = "voided";

export interface LateClaimHost {
  readonly env: Pick<Env, "ACCOUNT" | "ACCOUNT_SLICE" | "EDGE_KEY">;
  /** Whether no later attempt at the job is known, here or to its pool. */
  isCurrent(ticket: TicketContent): Promise<boolean>;
}

export type LateClaimResult =
  /** The receipt was posted: it goes to the queue again, and then the daemon hears of it. */
  | { readonly type: "posted"; readonly text: string; readonly body: ReceiptBody }
  | { readonly type: "refused"; readonly reason: string };

/** A job as a daemon brings it back: with a claim, or having lost it together with its connection. */
export interface LateJob {
  readonly job: JobId;
  readonly ticket: string;
}

/** Answers for a late job. The hold is released, unless a later attempt has taken the job over. */
export async function answerLateJob(host: LateClaimHost, daemon: string, late: LateJob): Promise<LateClaimResult> {
  const ticket = await openTicket(host.env, late.ticket);
  if (ticket === null || ticket.job !== late.job || ticket.daemon !== daemon) {
    return { type: "refused", reason: "invalid_ticket" };
  }
  // A probe had no hold. To the daemon it is a job whose consumer has gone.
  if (ticket.probe === true) return { type: "refused", reason: PROBE_ENDED };
  // No account knows of it, and nothing is owed.
  if (ticket.own) return { type: "refused", reason: "own_device" };
  // A later attempt may wait for a daemon although this one was posted: its relay was lost before it could say so.
  const { account, job, fence } = ticket;
  const holder = () => holderOf(host.env, account, job);
  if (!(await host.isCurrent(ticket))) {
    const receipt = await retrying<string | null>(async () => await holder().receipt(job));
    return answerFor(ticket, receipt, "superseded");
  }
  const result = await retrying<VoidResult>(async () => await holder().void(job, "relay_lost", fence));
  return answerFor(ticket, result.type === "already_posted" ? result.body : null, result.type);
}

/** Acknowledges the receipt of a daemon's own attempt; anything else is refused. */
function answerFor({ daemon, fence }: TicketContent, text: string | null, reason: string): LateClaimResult {
  if (text === null) return { type: "refused", reason };
  const body = JSON.parse(text) as ReceiptBody;
  const own = body.daemon === daemon && body.fence === fence;
  return own ? { type: "posted", text, body } : { type: "refused", reason };
}
