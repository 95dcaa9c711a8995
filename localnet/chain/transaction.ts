/** Transactions as clients send them: their bytes, what they say, and which accounts they name. */

import {
  type Address,
  getAddressDecoder,
  getBase58Decoder,
  getCompiledTransactionMessageDecoder,
  getTransactionDecoder,
  type ReadonlyUint8Array,
  type Transaction,
} from "@solana/kit";
import { ADDRESS_LOOKUP_TABLE, COMPUTE_BUDGET, MEMO_PROGRAMS } from "./programs.ts";
import type { Account } from "./state/accounts.ts";

/** A packet of 1,280 bytes less the headers of IPv6. */
export const MAX_TRANSACTION_BYTES = 1_232;

export interface CompiledInstruction {
  /** Places in the transaction's list of accounts. */
  readonly program: number;
  readonly accounts: readonly number[];
  readonly data: Uint8Array;
}

export interface TableLookup {
  readonly table: Address;
  readonly writable: readonly number[];
  readonly readonly: readonly number[];
}

export interface ReadMessage {
  readonly version: "legacy" | 0;
  readonly header: { readonly signers: number; readonly readonlySigners: number; readonly readonlyOthers: number };
  /** The accounts that the message itself names; the first one pays the fee. */
  readonly named: readonly Address[];
  readonly blockhash: string;
  readonly instructions: readonly CompiledInstruction[];
  readonly lookups: readonly TableLookup[];
}

export interface ReadTransaction extends ReadMessage {
  readonly bytes: Uint8Array;
  /** As the virtual machine takes it. */
  readonly parsed: Transaction;
  /** The first signature, by which the transaction is known, in base58. */
  readonly signature: string;
  readonly signatures: readonly string[];
}

export interface KeyOfTransaction {
  readonly address: Address;
  readonly signer: boolean;
  readonly writable: boolean;
  readonly fromTable: boolean;
}

const base58 = getBase58Decoder();
const NO_SIGNATURE = new Uint8Array(64);

/** Reads a transaction. Throws for bytes that are none. */
export function readTransaction(bytes: Uint8Array): ReadTransaction {
  const parsed = getTransactionDecoder().decode(bytes);
  const signatures = Object.values(parsed.signatures).map((signature) => base58.decode(signature ?? NO_SIGNATURE));
  const [signature] = signatures;
  if (signature === undefined) throw new Error("nobody signs it");
  return { ...readMessage(parsed.messageBytes), bytes, parsed, signature, signatures };
}

/** Reads what is signed of a transaction. Throws for bytes that are no message. */
export function readMessage(bytes: ReadonlyUint8Array): ReadMessage {
  const message = getCompiledTransactionMessageDecoder().decode(bytes);
  if (message.version !== "legacy" && message.version !== 0) throw new Error("this version is not taken");
  const { numSignerAccounts, numReadonlySignerAccounts, numReadonlyNonSignerAccounts } = message.header;
  return {
    version: message.version,
    header: {
      signers: numSignerAccounts,
      readonlySigners: numReadonlySignerAccounts,
      readonlyOthers: numReadonlyNonSignerAccounts,
    },
    named: message.staticAccounts,
    blockhash: message.lifetimeToken,
    instructions: message.instructions.map((instruction) => ({
      program: instruction.programAddressIndex,
      accounts: instruction.accountIndices ?? [],
      data: Uint8Array.from(instruction.data ?? []),
    })),
    lookups: ("addressTableLookups" in message ? (message.addressTableLookups ?? []) : []).map((lookup) => ({
      table: lookup.lookupTableAddress,
      writable: lookup.writableIndexes,
      readonly: lookup.readonlyIndexes,
    })),
  };
}

/** Where the addresses of a lookup table begin in its data. */
const TABLE_HEADER_BYTES = 56;
const ADDRESS_BYTES = 32;

/**
 * Every account of a transaction, in the order in which its instructions count them. Entries of lookup tables that do not
 * exist are left out: such a transaction never runs.
 */
export function keysOf(transaction: ReadMessage, read: (address: Address) => Account | null): KeyOfTransaction[] {
  const { header, named, lookups } = transaction;
  const own = named.map((address, index) => {
    const signer = index < header.signers;
    const writable = signer
      ? index < header.signers - header.readonlySigners
      : index < named.length - header.readonlyOthers;
    return { address, signer, writable, fromTable: false };
  });
  const loaded = (writable: boolean) =>
    lookups.flatMap((lookup) => {
      const table = read(lookup.table);
      if (table?.owner !== ADDRESS_LOOKUP_TABLE) return [];
      return (writable ? lookup.writable : lookup.readonly).flatMap((index) => {
        const start = TABLE_HEADER_BYTES + index * ADDRESS_BYTES;
        if (start + ADDRESS_BYTES > table.data.length) return [];
        const address = getAddressDecoder().decode(table.data.subarray(start, start + ADDRESS_BYTES));
        return [{ address, signer: false, writable, fromTable: true }];
      });
    });
  return [...own, ...loaded(true), ...loaded(false)];
}

const LAMPORTS_PER_SIGNATURE = 5_000n;
const MICRO = 1_000_000n;
const DEFAULT_UNITS = 200_000;
const MAX_UNITS = 1_400_000;
const SET_LIMIT = 2;
const SET_PRICE = 3;

/** Micro-lamports that a transaction offers for each compute unit. */
export function unitPriceOf(transaction: ReadMessage): bigint {
  const data = budgetInstruction(transaction, SET_PRICE, 9);
  return data === undefined ? 0n : view(data).getBigUint64(1, true);
}

/** What a transaction costs whether or not it succeeds. */
export function feeOf(transaction: ReadMessage): bigint {
  const limit = budgetInstruction(transaction, SET_LIMIT, 5);
  const others = transaction.instructions.filter(({ program }) => transaction.named[program] !== COMPUTE_BUDGET);
  const units = Math.min(
    limit === undefined ? others.length * DEFAULT_UNITS : view(limit).getUint32(1, true),
    MAX_UNITS,
  );
  const priority = (unitPriceOf(transaction) * BigInt(units) + MICRO - 1n) / MICRO;
  return LAMPORTS_PER_SIGNATURE * BigInt(transaction.header.signers) + priority;
}

function budgetInstruction({ named, instructions }: ReadMessage, kind: number, bytes: number) {
  return instructions.find(
    ({ program, data }) => named[program] === COMPUTE_BUDGET && data[0] === kind && data.length >= bytes,
  )?.data;
}

function view(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

/** The memos of a transaction with their lengths, as a node lists them. */
export function memoOf({ named, instructions }: ReadMessage): string | null {
  const memos = instructions
    .filter(({ program }) => MEMO_PROGRAMS.has(named[program] ?? ""))
    .map(({ data }) => `[${data.length}] ${new TextDecoder().decode(data)}`);
  return memos.length === 0 ? null : memos.join("; ");
}
