/**
 * API keys: `tm_` · account (22 digits) · secret (43 digits) · checksum (6 digits), all base62. The key names its account,
 * so no table stands in the hot path; the checksum is an HMAC under the edge's key, so a forged key calls no object into
 * being (architecture.md, step 1). Only the secret's hash is stored.
 */

import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { isEqual } from "../core/constant-time.ts";
import { type AccountId, base62, base62Length, isId128, parseBase62 } from "../core/ids.ts";

export const API_KEY_PREFIX = "tm_";
const ID_LENGTH = base62Length(16);
const SECRET_LENGTH = base62Length(32);
const CHECKSUM_LENGTH = 6;
const CHECKSUM_DOMAIN = "tollmill/key/v1\n";

export interface ApiKey {
  readonly account: AccountId;
  /** SHA-256 of the secret, hex: what the account compares and stores. */
  readonly secretHash: string;
}

/** Writes a key from an account and 32 random bytes. The text is shown once and never stored. */
export function formatApiKey(account: AccountId, secret: Uint8Array, edgeKey: Uint8Array): string {
  const stem = account + base62(secret);
  return API_KEY_PREFIX + stem + checksum(stem, edgeKey);
}

/** Reads a key, or null when it is malformed or its checksum is not this network's. Touches no object. */
export function parseApiKey(text: string, edgeKey: Uint8Array): ApiKey | null {
  if (
    !text.startsWith(API_KEY_PREFIX) ||
    text.length !== API_KEY_PREFIX.length + ID_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH
  )
    return null;
  const stem = text.slice(API_KEY_PREFIX.length, -CHECKSUM_LENGTH);
  const account = stem.slice(0, ID_LENGTH);
  const secret = parseBase62(stem.slice(ID_LENGTH), 32);
  if (!isId128(account) || secret === null) return null;
  if (!isEqual(text.slice(-CHECKSUM_LENGTH), checksum(stem, edgeKey))) return null;
  return { account: account as AccountId, secretHash: secretHashOf(secret) };
}

/** SHA-256 of a key's secret, hex. The secret has 256 bits of entropy, so a plain hash is enough. */
export function secretHashOf(secret: Uint8Array): string {
  return bytesToHex(sha256(secret));
}

function checksum(stem: string, edgeKey: Uint8Array): string {
  const mac = hmac(sha256, edgeKey, utf8ToBytes(CHECKSUM_DOMAIN + stem));
  return base62(mac.subarray(0, 16)).slice(-CHECKSUM_LENGTH);
}
