/**
 * Receipts on their way to the queue: packed up to 110 KB or 500 ms a message (architecture.md, step 6). A receipt is
 * reported as sent only when the queue has it. What a relay loses here its daemons bring back with their claims.
 */

import type { AuctionRecord } from "../../core/auction/record.ts";
import type { DaemonId, JobId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import type { SignedReceipt } from "../../protocol/receipt.ts";
import { emitError } from "../shared/events.ts";
import { packReceipts, recordBytes } from "../shared/receipt-queue.ts";

/** A receipt with what its daemon will be told of it. */
export interface Outgoing {
  readonly receipt: SignedReceipt;
  /** How it was decided who serves the job, to be published beside it. */
  readonly auction: AuctionRecord | null;
  readonly daemon: DaemonId;
  readonly job: JobId;
  readonly seq: number;
  readonly outcome: string;
}

const RETRY_MS = 1_000;

export class Outbox {
  readonly #queue: Queue;
  readonly #onSent: (sent: readonly Outgoing[]) => void;
  #waiting: Outgoing[] = [];
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** `onSent` hears of every receipt that the queue has. */
  constructor(queue: Queue, onSent: (sent: readonly Outgoing[]) => void) {
    this.#queue = queue;
    this.#onSent = onSent;
  }

  add(outgoing: Outgoing): void {
    // Nothing is lost with what is left out: its daemon keeps the claim, and its account's alarm sends it again.
    if (this.#waiting.length >= LIMITS.outboxReceipts) return;
    this.#waiting.push(outgoing);
    this.#bytes += outgoing.receipt.body.length + outgoing.receipt.signature.length + recordBytes(outgoing.auction);
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
      const records = new Map(batch.flatMap(({ receipt, auction }) => (auction === null ? [] : [[receipt, auction]])));
      const receipts = batch.map(({ receipt }) => receipt);
      for (const message of packReceipts(receipts, records)) {
        await this.#queue.send(message, { contentType: "json" });
      }
    } catch (error) {
      emitError("queue_send_failed", error, { receipts: batch.length });
      // The log ignores what it has already, so sending the whole batch again loses and doubles nothing.
      this.#waiting = [...batch, ...this.#waiting];
      this.#arm(RETRY_MS);
      return;
    }
    this.#onSent(batch);
  }
}
