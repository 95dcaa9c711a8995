/**
 * A daemon's word on a job that has no stream at its relay, because it comes late or the relay was lost: a claim is
 * acknowledged if the account has posted it, and refused otherwise (architecture.md, step 5).
 */

import type { JobId } from "../../core/ids.ts";
import type { ReceiptBody } from "../../core/receipt/body.ts";
import type { VoidResult } from "../../protocol/internal/account.ts";
import type { TicketContent } from "../../protocol/internal/job.ts";
import { openTicket } from "./tickets.ts";

export interface LateClaimHost {
  readonly env: { readonly EDGE_KEY: string };
  /** Whether no later attempt at the job is known, here or to its pool. */
  isCurrent(ticket: TicketContent): Promise<boolean>;
  void(ticket: TicketContent, reason: string): Promise<VoidResult>;
  /** The receipt that the job's account has of it, or null. */
  receipt(ticket: TicketContent): Promise<string | null>;
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
  // A later attempt may wait for a daemon although this one was posted: its relay was lost before it could say so.
  if (!(await host.isCurrent(ticket))) return answerFor(ticket, await host.receipt(ticket), "superseded");
  const result = await host.void(ticket, "relay_lost");
  return answerFor(ticket, result.type === "already_posted" ? result.body : null, result.type);
}

/** Acknowledges the receipt of a daemon's own attempt; anything else is refused. */
function answerFor({ daemon, fence }: TicketContent, text: string | null, reason: string): LateClaimResult {
  if (text === null) return { type: "refused", reason };
  const body = JSON.parse(text) as ReceiptBody;
  const own = body.daemon === daemon && body.fence === fence;
  return own ? { type: "posted", text, body } : { type: "refused", reason };
}
