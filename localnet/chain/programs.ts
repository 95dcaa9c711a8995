/** Addresses of the programs that the chain knows by name. */

import { address } from "@solana/kit";

export const SYSTEM = address("11111111111111111111111111111111");
export const TOKEN = address("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
export const TOKEN_2022 = address("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");
export const ASSOCIATED_TOKEN = address("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
export const ADDRESS_LOOKUP_TABLE = address("AddressLookupTab1e1111111111111111111111111");
export const COMPUTE_BUDGET = address("ComputeBudget111111111111111111111111111111");
export const MEMO = address("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr");

/** The memo program in its two editions. */
export const MEMO_PROGRAMS: ReadonlySet<string> = new Set([MEMO, "Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo"]);
