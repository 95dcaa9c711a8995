/** Payments that come with a call, as wallets make them: rightly, or with one thing wrong. */

import { base64 } from "@scure/base";
import { createTransferCheckedInstruction } from "@solana/spl-token";
import {
  type AddressLookupTableAccount,
  ComputeBudgetProgram,
  Keypair,
  PublicKey,
  TransactionInstruction,
  TransactionMessage,
  VersionedTransaction,
} from "@solana/web3.js";
import { utf8ToBytes } from "../../core/receipt/canonical.ts";
import type { Wanted } from "../../protocol/x402/check-payment.ts";
import { keyOf } from "./payments.ts";

const MEMO_PROGRAM = new PublicKey("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");
const USDC_DECIMALS = 6;

export const keypair = (n: number): Keypair => Keypair.fromSeed(new Uint8Array(32).fill(n));
export const FEE_PAYER_SEED = "0b".repeat(32);
export const FEE_PAYER = keypair(11);
export const PAYER = keypair(12);
export const PAYERS_TOKENS = new PublicKey(keyOf(60));

/** A payment's parts, in their order. */
export interface Parts {
  readonly limit: TransactionInstruction;
  readonly price: TransactionInstruction;
  readonly transfer: TransactionInstruction;
  readonly memo: TransactionInstruction;
}

export interface Draft {
  readonly feePayer: PublicKey;
  readonly instructions: readonly TransactionInstruction[];
  readonly signers: readonly Keypair[];
  readonly tables: readonly AddressLookupTableAccount[];
  readonly blockhash: string;
}

export function partsOf({ mint, tokenAccount, amount, memo }: Wanted, payer: Keypair = PAYER): Parts {
  const [coin, to] = [mint, tokenAccount].map((key) => new PublicKey(key)) as [PublicKey, PublicKey];
  return {
    limit: ComputeBudgetProgram.setComputeUnitLimit({ units: 20_000 }),
    price: ComputeBudgetProgram.setComputeUnitPrice({ microLamports: 1 }),
    transfer: createTransferCheckedInstruction(PAYERS_TOKENS, coin, to, payer.publicKey, amount, USDC_DECIMALS),
    memo: memoInstruction(memo),
  };
}

export function memoInstruction(text: string, ...keys: PublicKey[]): TransactionInstruction {
  return new TransactionInstruction({
    programId: MEMO_PROGRAM,
    keys: keys.map((pubkey) => ({ pubkey, isSigner: false, isWritable: false })),
    data: Buffer.from(utf8ToBytes(text)),
  });
}

/** The bytes of a payment that its payer has signed, and the fee payer has not. */
export function signedPayment(wanted: Wanted, changes: Partial<Draft> = {}): Uint8Array {
  const { limit, price, transfer, memo } = partsOf(wanted);
  const draft: Draft = {
    feePayer: new PublicKey(wanted.feePayer),
    instructions: [limit, price, transfer, memo],
    signers: [PAYER],
    tables: [],
    blockhash: keyOf(70),
    ...changes,
  };
  const message = new TransactionMessage({
    payerKey: draft.feePayer,
    recentBlockhash: draft.blockhash,
    instructions: [...draft.instructions],
  }).compileToV0Message([...draft.tables]);
  const transaction = new VersionedTransaction(message);
  transaction.sign([...draft.signers]);
  return transaction.serialize();
}

/** A header of a payment. */
export function paymentHeader(accepted: object, transaction: Uint8Array, changes: object = {}): string {
  const payload = { transaction: base64.encode(transaction) };
  return base64.encode(utf8ToBytes(JSON.stringify({ x402Version: 2, accepted, payload, ...changes })));
}
