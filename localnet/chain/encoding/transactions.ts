/** Transactions that have landed, in the encodings of `getTransaction`. */

import { type Address, getBase58Decoder } from "@solana/kit";
import type { Account } from "../state/accounts.ts";
import type { InnerInstruction, Landed } from "../state/history.ts";
import type { CompiledInstruction } from "../transaction.ts";
import { uiAmount } from "./amounts.ts";
import { parseInstruction } from "./instructions.ts";
import { tokenOf } from "./tokens.ts";

export const TRANSACTION_ENCODINGS = ["json", "jsonParsed", "base58", "base64"] as const;
export type TransactionEncoding = (typeof TRANSACTION_ENCODINGS)[number];

const base58 = getBase58Decoder();

/** The answer of `getTransaction`. `versioned`: whether the client asked for versions, so that it is told this one's. */
export function encodeTransaction(landed: Landed, encoding: TransactionEncoding, versioned: boolean): object {
  return {
    slot: landed.slot,
    blockTime: landed.blockTime,
    transaction: encodeBody(landed, encoding),
    meta: encodeMeta(landed, encoding === "jsonParsed"),
    ...(versioned ? { version: landed.transaction.version } : {}),
  };
}

function encodeBody(landed: Landed, encoding: TransactionEncoding): unknown {
  const { transaction } = landed;
  if (encoding === "base64") return [Buffer.from(transaction.bytes).toString("base64"), "base64"];
  if (encoding === "base58") return [base58.decode(transaction.bytes), "base58"];
  const message = encoding === "json" ? plainMessage(landed) : parsedMessage(landed);
  return { signatures: transaction.signatures, message };
}

function plainMessage({ transaction }: Landed): object {
  const { signers, readonlySigners, readonlyOthers } = transaction.header;
  return {
    header: {
      numRequiredSignatures: signers,
      numReadonlySignedAccounts: readonlySigners,
      numReadonlyUnsignedAccounts: readonlyOthers,
    },
    accountKeys: transaction.named,
    recentBlockhash: transaction.blockhash,
    instructions: transaction.instructions.map((instruction) => plainInstruction(instruction, 1)),
    ...tableLookups(transaction.version, transaction.lookups),
  };
}

function parsedMessage({ transaction, keys }: Landed): object {
  return {
    accountKeys: keys.map(({ address, signer, writable, fromTable }) => ({
      pubkey: address,
      signer,
      writable,
      source: fromTable ? "lookupTable" : "transaction",
    })),
    recentBlockhash: transaction.blockhash,
    instructions: transaction.instructions.map((instruction) => parse(instruction, 1, keys)),
    ...tableLookups(transaction.version, transaction.lookups),
  };
}

function tableLookups(version: "legacy" | 0, lookups: Landed["transaction"]["lookups"]): object {
  if (version === "legacy") return {};
  return {
    addressTableLookups: lookups.map(({ table, writable, readonly }) => ({
      accountKey: table,
      writableIndexes: writable,
      readonlyIndexes: readonly,
    })),
  };
}

function plainInstruction({ program, accounts, data }: CompiledInstruction, stackHeight: number): object {
  return { programIdIndex: program, accounts, data: base58.decode(data), stackHeight };
}

function parse({ program, accounts, data }: CompiledInstruction, stackHeight: number, keys: Landed["keys"]): object {
  const addresses = accounts.map((place) => addressAt(keys, place));
  return parseInstruction({ program: addressAt(keys, program), accounts: addresses, data, stackHeight });
}

function addressAt(keys: Landed["keys"], place: number): Address {
  const key = keys[place];
  if (key === undefined) throw new RangeError(`the transaction has no account ${place}`);
  return key.address;
}

function encodeMeta(landed: Landed, parsed: boolean): object {
  const { error, keys } = landed;
  const loaded = keys.filter(({ fromTable }) => fromTable);
  const addresses = (writable: boolean) =>
    loaded.filter((key) => key.writable === writable).map(({ address }) => address);
  return {
    err: error,
    status: error === null ? { Ok: null } : { Err: error },
    fee: Number(landed.feeLamports),
    preBalances: landed.before.map(lamports),
    postBalances: landed.after.map(lamports),
    preTokenBalances: tokenBalances(landed, landed.before),
    postTokenBalances: tokenBalances(landed, landed.after),
    innerInstructions: innerInstructions(landed, parsed),
    logMessages: landed.logs,
    rewards: [],
    computeUnitsConsumed: landed.units,
    ...(parsed ? {} : { loadedAddresses: { writable: addresses(true), readonly: addresses(false) } }),
    ...(landed.returned === null ? {} : { returnData: encodeReturned(landed.returned) }),
  };
}

/** What a program handed back, as answers show it. */
export function encodeReturned({ program, data }: NonNullable<Landed["returned"]>): object {
  return { programId: program, data: [Buffer.from(data).toString("base64"), "base64"] };
}

function lamports(account: Account | null): number {
  return Number(account?.lamports ?? 0n);
}

function innerInstructions({ inner, keys }: Landed, parsed: boolean): object[] {
  const encode = (instruction: InnerInstruction) =>
    parsed ? parse(instruction, instruction.stackHeight, keys) : plainInstruction(instruction, instruction.stackHeight);
  return inner.flatMap((called, index) => (called.length === 0 ? [] : [{ index, instructions: called.map(encode) }]));
}

function tokenBalances(landed: Landed, accounts: readonly (Account | null)[]): object[] {
  return accounts.flatMap((account, accountIndex) => {
    const token = tokenOf(account);
    if (token === null || account === null) return [];
    const uiTokenAmount = uiAmount(token.amount, landed.decimals.get(token.mint) ?? 0);
    return [{ accountIndex, mint: token.mint, owner: token.owner, programId: account.owner, uiTokenAmount }];
  });
}
