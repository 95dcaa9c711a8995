/** Accounts in the encodings of JSON-RPC. */

import { getBase58Decoder } from "@solana/kit";
import { invalidParams } from "../errors.ts";
import type { Account } from "../state/accounts.ts";
import { parsedToken, type Read } from "./tokens.ts";

export const ACCOUNT_ENCODINGS = ["base58", "base64", "jsonParsed"] as const;
export type AccountEncoding = (typeof ACCOUNT_ENCODINGS)[number];

export interface DataSlice {
  readonly offset: number;
  readonly length: number;
}

/** More than this no node writes in base58, which takes time that grows with the square. */
const MAX_BASE58_BYTES = 128;
/** Accounts that pay no rent say so with the largest number of 64 bits. */
const RENT_EXEMPT = 2 ** 64;

export interface AccountOptions {
  readonly encoding?: AccountEncoding | undefined;
  readonly dataSlice?: DataSlice | undefined;
}

/** An account as `getAccountInfo` answers it. `read` finds the mint of a token account. */
export function encodeAccount(account: Account, { encoding, dataSlice }: AccountOptions, read: Read): object {
  return {
    lamports: Number(account.lamports),
    owner: account.owner,
    executable: account.executable,
    rentEpoch: RENT_EXEMPT,
    space: account.data.length,
    data: encodeData(account, encoding, dataSlice, read),
  };
}

function encodeData(
  account: Account,
  encoding: AccountEncoding | undefined,
  slice: DataSlice | undefined,
  read: Read,
): unknown {
  const parsed = encoding === "jsonParsed" ? parsedToken(account, read) : null;
  if (parsed !== null) return parsed;
  const data = slice === undefined ? account.data : account.data.subarray(slice.offset, slice.offset + slice.length);
  if (encoding === "base64" || encoding === "jsonParsed") return [Buffer.from(data).toString("base64"), "base64"];
  if (data.length > MAX_BASE58_BYTES) {
    throw invalidParams(`Encoded binary (base 58) data should be less than ${MAX_BASE58_BYTES} bytes, use base64.`);
  }
  const text = getBase58Decoder().decode(data);
  // Without a named encoding nodes keep the form of their first years.
  return encoding === undefined ? text : [text, "base58"];
}
