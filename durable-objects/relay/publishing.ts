/** Posted receipts on their way: signed, queued, and acknowledged to their daemons only once the queue has them. */

import type { AuctionRecord } from "../../core/auction/record.ts";
import type { DaemonId } from "../../core/ids.ts";
import type { ReceiptBody } from "../../core/receipt/body.ts";
import type { RelayMessage } from "../../protocol/daemon/messages.ts";
import { signReceipt } from "../shared/receipt-queue.ts";
import { Outbox, type Outgoing } from "./outbox.ts";

export class Publishing {
  readonly #env: Pick<Env, "RECEIPTS" | "NETWORK_SEED">;
  readonly #tell: (daemon: DaemonId, messages: readonly RelayMessage[]) => void;
  readonly #outbox: Outbox;

  constructor(
    env: Pick<Env, "RECEIPTS" | "NETWORK_SEED">,
    tell: (daemon: DaemonId, messages: readonly RelayMessage[]) => void,
  ) {
    this.#env = env;
    this.#tell = tell;
    this.#outbox = new Outbox(env.RECEIPTS, (sent) => this.#settled(sent));
  }

  async publish(
    text: string,
    { job, seq, outcome, daemon }: ReceiptBody,
    auction: AuctionRecord | null,
  ): Promise<void> {
    this.#outbox.add({ receipt: await signReceipt(this.#env, text), auction, daemon, job, seq, outcome });
  }

  /** Tells each daemon in one message which of its claims are settled. */
  #settled(sent: readonly Outgoing[]): void {
    const messages = new Map<DaemonId, RelayMessage[]>();
    for (const { daemon, job, seq, outcome } of sent) {
      const own = messages.get(daemon) ?? [];
      own.push({ type: "settled", job, receipt: { seq, outcome } });
      messages.set(daemon, own);
    }
    for (const [daemon, own] of messages) this.#tell(daemon, own);
  }
}
