/**
 * Which transactions the network signs as the fee payer: those that pay it exactly what a challenge asks for, and do nothing
 * else (specs/schemes/exact/scheme_exact_svm.md). Everything that a transaction may do is named here, so what is not named
 * is refused.
 */

import { base58 } from "@scure/base";
import { type Refusal, refuse } from "../../core/errors.ts";
import { verifyStrict } from "../../core/keys.ts";
import { LIMITS } from "../../core/limits.ts";
import { utf8ToBytes } from "../../core/receipt/canonical.ts";
import type { MicroUsdc } from "../../core/units.ts";
import { TOKEN_PROGRAM } from "../solana/token-account.ts";

/** A transaction as its bytes say it, in no library's own form. */
export interface WireTransaction {
  /** What is signed. */
  readonly message: Uint8Array;
  /** One for each of the first keys, zeros where one is missing. */
  readonly signatures: readonly Uint8Array[];
  /** The keys that the message itself names; the first one pays the fee. */
  readonly keys: readonly string[];
  /** Whether it takes keys from lookup tables, which only a node could read. */
  readonly usesTables: boolean;
  readonly instructions: readonly WireInstruction[];
}

export interface WireInstruction {
  readonly program: string;
  readonly accounts: readonly string[];
  readonly data: Uint8Array;
}

/** What it has to pay. */
export interface Wanted {
  readonly feePayer: string;
  readonly mint: string;
  /** The treasury's token account of the mint. */
  readonly tokenAccount: string;
  readonly amount: MicroUsdc;
  readonly memo: string;
}

const COMPUTE_BUDGET = "ComputeBudget111111111111111111111111111111";
const MEMO_PROGRAM = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr";
const SET_UNIT_LIMIT = 2;
const SET_UNIT_PRICE = 3;
const TRANSFER_CHECKED = 12;
const MICRO_LAMPORTS = 1_000_000n;

export type Checked = { readonly ok: true; readonly payer: string } | { readonly ok: false; readonly refusal: Refusal };

/** Checks a transaction against what it has to pay. `payer` is the wallet that pays and has signed. */
export function checkPayment(transaction: WireTransaction, wanted: Wanted): Checked {
  const { keys, signatures, instructions, message } = transaction;
  const [limit, price, transfer, memo, ...more] = instructions;
  const payer = keys[1] ?? "";
  const refusal =
    feePayerRefusal(transaction, wanted) ??
    (more.length > 0 || limit === undefined || price === undefined || transfer === undefined || memo === undefined
      ? refuse("payment_foreign_instruction")
      : (budgetRefusal(limit, price) ?? transferRefusal(transfer, payer, wanted) ?? memoRefusal(memo, wanted)));
  if (refusal !== null) return { ok: false, refusal };
  // Two signers, and no more: each signature costs, and nobody else has a say in it.
  const isSigned =
    signatures.length === 2 && verifyStrict(signatures[1] ?? new Uint8Array(), message, base58.decode(payer));
  return isSigned ? { ok: true, payer } : { ok: false, refusal: refuse("payment_wrong_signature") };
}

/** The network's own key pays the fee and is touched by nothing else: it can neither spend nor sign for anybody. */
function feePayerRefusal({ keys, usesTables, instructions }: WireTransaction, { feePayer }: Wanted): Refusal | null {
  // What a table holds may change until the transaction lands.
  if (usesTables) return refuse("payment_foreign_instruction", { detail: "The transaction uses a lookup table." });
  const isTouched = instructions.some(({ program, accounts }) => program === feePayer || accounts.includes(feePayer));
  return keys[0] === feePayer && !isTouched ? null : refuse("payment_wrong_fee_payer");
}

function budgetRefusal(limit: WireInstruction, price: WireInstruction): Refusal | null {
  const isLimit = isBudget(limit, SET_UNIT_LIMIT, 5);
  if (!isLimit || !isBudget(price, SET_UNIT_PRICE, 9)) return refuse("payment_foreign_instruction");
  const units = view(limit.data).getUint32(1, true);
  const lamports = (BigInt(units) * view(price.data).getBigUint64(1, true) + MICRO_LAMPORTS - 1n) / MICRO_LAMPORTS;
  const isDear = units > LIMITS.x402ComputeUnits || lamports > BigInt(LIMITS.x402PriorityLamports);
  if (!isDear) return null;
  const { x402ComputeUnits: most, x402PriorityLamports: fee } = LIMITS;
  const detail = `The network pays for ${most} compute units and ${fee} lamports of priority fee at most.`;
  return refuse("payment_fee_too_high", { detail });
}

function isBudget({ program, accounts, data }: WireInstruction, kind: number, bytes: number): boolean {
  return program === COMPUTE_BUDGET && accounts.length === 0 && data.length === bytes && data[0] === kind;
}

function transferRefusal(
  { program, accounts, data }: WireInstruction,
  payer: string,
  { mint, tokenAccount, amount }: Wanted,
): Refusal | null {
  const [source, coin, destination, authority] = accounts;
  // A further account would be a signer of a multisig.
  const isTransfer =
    program === TOKEN_PROGRAM && accounts.length === 4 && data.length === 10 && data[0] === TRANSFER_CHECKED;
  if (!isTransfer) return refuse("payment_foreign_instruction");
  if (coin !== mint) return refuse("payment_wrong_mint");
  if (destination !== tokenAccount || source === tokenAccount) return refuse("payment_wrong_destination");
  if (view(data).getBigUint64(1, true) !== BigInt(amount)) return refuse("payment_wrong_amount");
  return authority === payer ? null : refuse("payment_wrong_signature");
}

function memoRefusal({ program, accounts, data }: WireInstruction, { memo }: Wanted): Refusal | null {
  if (program !== MEMO_PROGRAM || accounts.length > 0) return refuse("payment_foreign_instruction");
  const wanted = utf8ToBytes(memo);
  const isSame = data.length === wanted.length && wanted.every((byte, at) => byte === data[at]);
  return isSame ? null : refuse("payment_wrong_memo");
}

function view(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}
