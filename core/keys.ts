/** Ed25519 keys of daemons, wallets and the network, held to the strict rules (RFC 8032; architecture.md, Trust). */

import { ed25519 } from "@noble/curves/ed25519.js";
import { base58, base64urlnopad } from "@scure/base";
import type { DaemonId } from "./ids.ts";

/** Characters of 32 bytes in base58, at most: ceil(256 / log2(58)). */
const PUBLIC_KEY_LENGTH = 44;
/** The same of the 64 bytes of a signature. */
const SIGNATURE_LENGTH = 88;

/**
 * The public key that a daemon id or a wallet's address writes, or null when it is not 32 bytes of base58, not canonical, of
 * small order, or not in the prime-order group. With a key of small order one signature would fit every message.
 */
export function parsePublicKey(text: string): Uint8Array | null {
  // Base58 takes quadratic time, so a long text must not reach it.
  if (text.length > PUBLIC_KEY_LENGTH) return null;
  const key = decode(() => base58.decode(text), 32);
  return key !== null && isStrongPublicKey(key) ? key : null;
}

/** The public key of a daemon's id, as {@link parsePublicKey} reads it. */
export function parseDaemonId(text: string): Uint8Array | null {
  return parsePublicKey(text);
}

/** The id of a daemon: its public key in base58. */
export function daemonIdOf(publicKey: Uint8Array): DaemonId {
  return base58.encode(publicKey) as DaemonId;
}

/** Whether 32 bytes are a canonical Ed25519 public key of full order. */
export function isStrongPublicKey(key: Uint8Array): boolean {
  try {
    const point = ed25519.Point.fromBytes(key, false);
    return !point.isSmallOrder() && point.isTorsionFree();
  } catch {
    return false;
  }
}

/**
 * Checks a signature in strict mode: canonical encodings, and nothing that the cofactor could hide. The library multiplies
 * the equation by 8; where key and nonce are in the prime-order group that changes nothing, so what this accepts WebCrypto
 * accepts too. About 0.5 ms; hot paths use WebCrypto.
 */
export function verifyStrict(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    return (
      isStrongPublicKey(publicKey) &&
      ed25519.Point.fromBytes(signature.subarray(0, 32), false).isTorsionFree() &&
      ed25519.verify(signature, message, publicKey, { zip215: false })
    );
  } catch {
    return false;
  }
}

/** A signature's 64 bytes from base58, as wallets of Solana write them, or null. */
export function parseWalletSignature(text: string): Uint8Array | null {
  return text.length > SIGNATURE_LENGTH ? null : decode(() => base58.decode(text), 64);
}

/** A signature's 64 bytes from base64url, or null. */
export function parseSignature(text: string): Uint8Array | null {
  return decode(() => base64urlnopad.decode(text), 64);
}

/** Bytes as base64url without padding: how signatures and keys of the network are written. */
export function base64url(bytes: Uint8Array): string {
  return base64urlnopad.encode(bytes);
}

/** The inverse of {@link base64url}, or null when the text is no such encoding of `length` bytes. */
export function parseBase64url(text: string, length: number): Uint8Array | null {
  return decode(() => base64urlnopad.decode(text), length);
}

function decode(decoder: () => Uint8Array, length: number): Uint8Array | null {
  try {
    const bytes = decoder();
    return bytes.length === length ? bytes : null;
  } catch {
    return null;
  }
}
