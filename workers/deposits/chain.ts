/** What deposits ask of a Solana node. All of it is about finalized transactions. */

import type { ChainTransaction } from "../../protocol/solana/transaction.ts";

export interface SignatureInfo {
  readonly signature: string;
  readonly slot: number;
}

export interface SignaturePage {
  /** Begin below this transaction; null for the newest. */
  readonly below: string | null;
  /** A node that has not come so far must not answer: it would leave out what another one has shown. */
  readonly leastSlot: number;
  readonly limit: number;
}

export interface Chain {
  /** The hash of the chain's first block, which tells it from every other one. */
  genesis(): Promise<string>;
  /** Transactions that name an address, newest first. */
  signatures(address: string, page: SignaturePage): Promise<readonly SignatureInfo[]>;
  /** A transaction that some node has called finalized. Throws where this one does not find it. */
  transaction(signature: string): Promise<ChainTransaction>;
}
