/**
 * Receipts on their way to the queue: packed up to 110 KB or 500 ms a message (architecture.md, step 6). A receipt is
 * reported as sent only when the queue has it. What a relay loses here its daemons bring back with their claims.
 */

import { LIMITS } from "../../core/limits.ts";
import type { SignedReceipt } from "../../protocol/receipt.ts";
import { emitError } from "../shared/events.ts";
import { packReceipts } from "../shared/receipt-queue.ts";

interface Waiting {
  readonly receipt: SignedReceipt;
  readonly onSent: () => void;
}

const RETRY_MS = 1_000;

export class Outbox {
  readonly #queue: Queue;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(queue: Queue) {
    this.#queue = queue;
  }

  add(receipt: SignedReceipt, onSent: () => void): void {
    // Nothing is lost with what is left out: its daemon keeps the claim, and its account's alarm sends it again.
    if (this.#waiting.length >= LIMITS.outboxReceipts) return;
    this.#waiting.push({ receipt, onSent });
    this.#bytes += receipt.body.length + receipt.signature.length;
    if (this.#bytes >= LIMITS.queueMessageBytes / 2) void this.#flush();
    else this.#arm(LIMITS.queueFlushMs);
  }

  #arm(delayMs: number): void {
    this.#timer ??= setTimeout(() => void this.#flush(), delayMs);
  }

  async #flush(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const batch = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    if (batch.length === 0) return;
    try {
      for (const message of packReceipts(batch.map(({ receipt }) => receipt))) {
        await this.#queue.send(message, { contentType: "json" });
      }
    } catch (error) {
      emitError("queue_send_failed", error, { receipts: batch.length });
      // The log ignores what it has already, so sending the whole batch again loses and doubles nothing.
      this.#waiting = [...batch, ...this.#waiting];
      this.#arm(RETRY_MS);
      return;
    }
    for (const { onSent } of batch) onSent();
  }
}
