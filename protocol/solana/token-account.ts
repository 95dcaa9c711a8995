/** Token accounts of the SPL token program: where a wallet's is, and what its bytes say. */

import { ed25519 } from "@noble/curves/ed25519.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes } from "@noble/hashes/utils.js";
import { base58 } from "@scure/base";
import { utf8ToBytes } from "../../core/receipt/canonical.ts";
import { type StakeUnits, stakeUnits } from "../../core/units.ts";

export const TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
const ASSOCIATED_TOKEN_PROGRAM = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL";

const TOKEN_PROGRAM_BYTES = base58.decode(TOKEN_PROGRAM);
/** What stands behind the seeds of an address that no key has. */
const DERIVED = concatBytes(base58.decode(ASSOCIATED_TOKEN_PROGRAM), utf8ToBytes("ProgramDerivedAddress"));

const KEY_BYTES = 32;
const MAX_BUMP = 255;
/** mint · owner · amount (u64, little-endian): the first fields of a token account. */
const AMOUNT_OFFSET = 2 * KEY_BYTES;
/** So many bytes of a token account {@link parseTokenAccount} needs. */
export const TOKEN_ACCOUNT_HEAD_BYTES = AMOUNT_OFFSET + 8;

export interface TokenAccount {
  readonly mint: string;
  readonly owner: string;
  readonly amount: StakeUnits;
}

/** Reads the head of a token account; null where there are not as many bytes. */
export function parseTokenAccount(head: Uint8Array): TokenAccount | null {
  if (head.length !== TOKEN_ACCOUNT_HEAD_BYTES) return null;
  return {
    mint: base58.encode(head.subarray(0, KEY_BYTES)),
    owner: base58.encode(head.subarray(KEY_BYTES, AMOUNT_OFFSET)),
    amount: stakeUnits(head.subarray(AMOUNT_OFFSET).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n)),
  };
}

/**
 * The address of a wallet's associated token account of a mint: the first of SHA-256(wallet ‖ token program ‖ mint ‖ bump ‖
 * associated-token program ‖ "ProgramDerivedAddress"), bump from 255 down, that is no point of the curve. Null where
 * `wallet` is no address of 32 bytes. Throws where `mint` is none.
 */
export function associatedTokenAddress(wallet: string, mint: string): string | null {
  const owner = keyBytes(wallet);
  const mintKey = keyBytes(mint);
  if (mintKey === null) throw new TypeError(`${mint} is no address of a mint`);
  if (owner === null) return null;
  for (let bump = MAX_BUMP; bump >= 0; bump--) {
    const address = sha256(concatBytes(owner, TOKEN_PROGRAM_BYTES, mintKey, Uint8Array.of(bump), DERIVED));
    if (!isOnCurve(address)) return base58.encode(address);
  }
  return null;
}

function keyBytes(text: string): Uint8Array | null {
  try {
    const bytes = base58.decode(text);
    return bytes.length === KEY_BYTES ? bytes : null;
  } catch {
    return null;
  }
}

function isOnCurve(bytes: Uint8Array): boolean {
  try {
    ed25519.Point.fromBytes(bytes);
    return true;
  } catch {
    return false;
  }
}
