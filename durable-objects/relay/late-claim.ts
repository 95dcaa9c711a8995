/**
 * A claim for a job that has no stream at its relay, because it came late or the relay was lost: it is acknowledged if
 * the account has posted it, and refused otherwise (architecture.md, step 5).
 */

import type { ReceiptBody } from "../../core/receipt/body.ts";
import type { Done } from "../../protocol/daemon/messages.ts";
import type { VoidResult } from "../../protocol/internal/account.ts";
import type { TicketContent } from "../../protocol/internal/job.ts";
import { openTicket } from "./tickets.ts";

export interface LateClaimHost {
  readonly env: { readonly EDGE_KEY: string };
  /** Whether no later attempt at the job is known, here or to its pool. */
  isCurrent(ticket: TicketContent): Promise<boolean>;
  void(ticket: TicketContent, reason: string): Promise<VoidResult>;
}

export type LateClaimResult =
  /** The receipt was posted: it goes to the queue again, and then the daemon hears of it. */
  { readonly type: "posted"; readonly body: string } | { readonly type: "refused"; readonly reason: string };

/** Answers a late claim. The hold is released, unless a later attempt has taken the job over. */
export async function answerLateClaim(host: LateClaimHost, daemon: string, done: Done): Promise<LateClaimResult> {
  const ticket = await openTicket(host.env, done.ticket);
  if (ticket === null || ticket.job !== done.job || ticket.daemon !== daemon) {
    return { type: "refused", reason: "invalid_ticket" };
  }
  if (!(await host.isCurrent(ticket))) return { type: "refused", reason: "superseded" };
  const result = await host.void(ticket, "relay_lost");
  if (result.type !== "already_posted") return { type: "refused", reason: result.type };
  const body = JSON.parse(result.body) as ReceiptBody;
  const own = body.daemon === daemon && body.fence === ticket.fence;
  return own ? { type: "posted", body: result.body } : { type: "refused", reason: result.type };
}
