/** Which queue's batch goes to which consumer. */

import { type DeadLettersSummary, handleDeadLetters } from "./dead-letters.ts";
import { handleReceipts, type ReceiptsSummary } from "./receipts.ts";

export type QueueSummary =
  | ({ readonly queue: "receipts" } & ReceiptsSummary)
  | ({ readonly queue: "receipts-dead" } & DeadLettersSummary);

/**
 * Handles a batch and says in counts what became of it. Throws for a queue that wrangler.toml does not name; the platform
 * then delivers the batch again.
 */
export async function handleQueue(batch: MessageBatch, env: Env, now: number): Promise<QueueSummary> {
  switch (batch.queue) {
    case "receipts":
      return { queue: batch.queue, ...(await handleReceipts(batch, env, now)) };
    case "receipts-dead":
      return { queue: batch.queue, ...(await handleDeadLetters(batch, env, now)) };
    default:
      throw new Error(`no consumer for the queue ${batch.queue}`);
  }
}
