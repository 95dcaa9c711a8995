/** Transactions as clients send them, read and signed by Solana's library. */

import { ed25519 } from "@noble/curves/ed25519.js";
import { base58 } from "@scure/base";
import { VersionedTransaction } from "@solana/web3.js";
import type { WireTransaction } from "../../protocol/x402/check-payment.ts";

/** Reads a transaction, legacy or of version 0. Throws for bytes that are none. */
export function readWire(bytes: Uint8Array): {
  readonly transaction: VersionedTransaction;
  readonly wire: WireTransaction;
} {
  const transaction = VersionedTransaction.deserialize(bytes);
  const { message, signatures } = transaction;
  const keys = message.staticAccountKeys.map((key) => key.toBase58());
  const keyAt = (index: number) => keys[index] ?? "";
  const instructions = message.compiledInstructions.map(({ programIdIndex, accountKeyIndexes, data }) => ({
    program: keyAt(programIdIndex),
    accounts: accountKeyIndexes.map(keyAt),
    data,
  }));
  const { numRequiredSignatures } = message.header;
  if (signatures.length !== numRequiredSignatures) throw new Error("it has not as many signatures as it needs");
  const usesTables = message.addressTableLookups.length > 0;
  return { transaction, wire: { message: message.serialize(), signatures, keys, usesTables, instructions } };
}

/** Signs as the fee payer. Ed25519 is deterministic: the same transaction always gets the same bytes and signature. */
export function signWire(
  transaction: VersionedTransaction,
  seed: Uint8Array,
): { readonly bytes: Uint8Array; readonly signature: string } {
  const signature = ed25519.sign(transaction.message.serialize(), seed);
  transaction.signatures[0] = signature;
  return { bytes: transaction.serialize(), signature: base58.encode(signature) };
}
