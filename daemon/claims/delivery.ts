/** Brings claims to the network, again and again until it has answered for them. */

import type { Done } from "../../protocol/daemon/messages.ts";
import type { Channel } from "../jobs/channel.ts";
import type { ClaimStore } from "./store.ts";

export class ClaimDelivery {
  readonly #claims: ClaimStore;
  readonly #now: () => number;
  /** When each claim was last sent, in milliseconds since 1970. */
  readonly #sentAt = new WeakMap<Done, number>();

  constructor(claims: ClaimStore, now: () => number) {
    this.#claims = claims;
    this.#now = now;
  }

  /**
   * Sends a claim as the end of its stream, or without one; false when the connection has closed. The relay that has the
   * stream knows the job, and is spared the ticket.
   */
  send(claim: Done, channel: Channel, stream?: number): boolean {
    const sent = channel.send(stream === undefined ? claim : { ...claim, ticket: undefined, stream });
    if (sent) this.#sentAt.set(claim, this.#now());
    return sent;
  }

  /** Sends every claim that waits for an answer, without its stream: after a connect the streams are gone. */
  sendAll(channel: Channel): void {
    for (const claim of this.#claims.waiting) this.send(claim, channel);
  }

  /** Sends a job's claims again, because the relay asks for them with their tickets. */
  sendAgain(job: string, channel: Channel): void {
    for (const claim of this.#claims.waiting) if (claim.job === job) this.send(claim, channel);
  }

  /** Sends those again that have waited for this long: an answer can get lost although the connection lives. */
  sendOverdue(channel: Channel, overdueMs: number): void {
    for (const claim of this.#claims.waiting) {
      const sentAt = this.#sentAt.get(claim);
      if (sentAt === undefined || this.#now() - sentAt >= overdueMs) this.send(claim, channel);
    }
  }
}
