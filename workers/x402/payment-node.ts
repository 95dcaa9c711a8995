/** What payments ask of a Solana node. */

import type { Node } from "../deposits/solana-chain.ts";
import { readWire } from "./wire.ts";

/** How a transaction stands. */
export interface Status {
  /** Null where the node has not heard of it. */
  readonly found: { readonly isFinal: boolean; readonly hasFailed: boolean } | null;
  /** How far the node has come. */
  readonly slot: number;
}

export interface PaymentNode {
  /** Runs a signed transaction without keeping what it does: null where it succeeds, else Solana's error. */
  simulate(bytes: Uint8Array): Promise<unknown>;
  /** The highest block and its slot, the latest one or the latest final one. */
  tip(commitment: "confirmed" | "finalized"): Promise<{ readonly slot: number; readonly block: number }>;
  status(signature: string): Promise<Status>;
  /** Sends a transaction, once. What the node answers says nothing for sure, so it may throw whatever became of it. */
  send(bytes: Uint8Array): Promise<void>;
}

export function paymentNode({ connection, persist }: Node): PaymentNode {
  return {
    async simulate(bytes) {
      const { transaction } = readWire(bytes);
      const options = { sigVerify: true, commitment: "confirmed" } as const;
      const { value } = await persist(() => connection.simulateTransaction(transaction, options));
      return value.err;
    },
    async tip(commitment) {
      const { absoluteSlot: slot, blockHeight: block } = await persist(() => connection.getEpochInfo(commitment));
      if (block === undefined) throw new Error("the node does not say how high its chain is");
      return { slot, block };
    },
    async status(signature) {
      const options = { searchTransactionHistory: true };
      const { context, value } = await persist(() => connection.getSignatureStatuses([signature], options));
      const [found = null] = value;
      const { slot } = context;
      if (found === null) return { found, slot };
      return { found: { isFinal: found.confirmationStatus === "finalized", hasFailed: found.err !== null }, slot };
    },
    async send(bytes) {
      // It was simulated before it was stored, and bytes that are sent again need not be looked at again.
      await connection.sendRawTransaction(bytes, { skipPreflight: true, maxRetries: 0 });
    },
  };
}
