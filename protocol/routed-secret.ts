/**
 * Secrets that name their account: prefix · account (22 digits) · secret (43 digits) · checksum (6 digits), all base62. So no
 * table stands between such a text and its account's object; the checksum is an HMAC under the edge's key, so a forged one
 * calls no object into being (architecture.md, step 1). Only the secret's hash is stored.
 */

import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { isEqual } from "../core/constant-time.ts";
import { type AccountId, base62, base62Length, isId128, parseBase62 } from "../core/ids.ts";

/** One sort of them. The domain keeps the checksum of one sort from ever being right for another. */
export interface SecretKind {
  readonly prefix: string;
  readonly domain: string;
}

const ID_LENGTH = base62Length(16);
const SECRET_LENGTH = base62Length(32);
const CHECKSUM_LENGTH = 6;

export interface RoutedSecret {
  readonly account: AccountId;
  /** SHA-256 of the secret, hex: what the account compares and stores. */
  readonly secretHash: string;
}

/** Writes the text of an account's secret of 32 random bytes. */
export function formatSecret(kind: SecretKind, account: AccountId, secret: Uint8Array, edgeKey: Uint8Array): string {
  const stem = account + base62(secret);
  return kind.prefix + stem + checksum(kind, stem, edgeKey);
}

/** Reads a text, or null when it is malformed or its checksum is not this network's. Touches no object. */
export function parseSecret(kind: SecretKind, text: string, edgeKey: Uint8Array): RoutedSecret | null {
  const { prefix } = kind;
  if (!text.startsWith(prefix) || text.length !== prefix.length + ID_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH) {
    return null;
  }
  const stem = text.slice(prefix.length, -CHECKSUM_LENGTH);
  const account = stem.slice(0, ID_LENGTH);
  const secret = parseBase62(stem.slice(ID_LENGTH), 32);
  if (!isId128(account) || secret === null) return null;
  if (!isEqual(text.slice(-CHECKSUM_LENGTH), checksum(kind, stem, edgeKey))) return null;
  return { account: account as AccountId, secretHash: secretHashOf(secret) };
}

/** SHA-256 of a secret, hex. It has 256 bits of entropy, so a plain hash is enough. */
export function secretHashOf(secret: Uint8Array): string {
  return bytesToHex(sha256(secret));
}

function checksum({ domain }: SecretKind, stem: string, edgeKey: Uint8Array): string {
  const mac = hmac(sha256, edgeKey, utf8ToBytes(domain + stem));
  return base62(mac.subarray(0, 16)).slice(-CHECKSUM_LENGTH);
}
