/** Bytes that are signed and hashed: RFC 8785 (JCS) text in UTF-8, SHA-256. */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, concatBytes, hexToBytes } from "@noble/hashes/utils.js";
import canonicalize from "canonicalize";

/** Values nested deeper than this are left to the library, which needs no stack for them. */
const DEEPEST = 16;

/**
 * The RFC 8785 text of a JSON value. Throws when the value is no JSON. JSON.stringify writes the same numbers and strings,
 * so a value whose keys are in order already, as receipts and claims are made, is written by it.
 */
export function canonicalText(value: unknown): string {
  if (isInOrder(value, 0)) return JSON.stringify(value);
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("not a JSON value");
  return text;
}

/** Whether a value is plain JSON with its keys in the order of their UTF-16 code units, at every depth. */
function isInOrder(value: unknown, depth: number): boolean {
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object") return typeof value === "boolean";
  if (value === null) return true;
  if (depth === DEEPEST) return false;
  if (Array.isArray(value)) return value.every((item) => isInOrder(item, depth + 1)) && !("toJSON" in value);
  if (Object.getPrototypeOf(value) !== Object.prototype || "toJSON" in value) return false;
  let before: string | null = null;
  for (const key of Object.keys(value)) {
    if ((before !== null && key <= before) || !key.isWellFormed()) return false;
    if (!isInOrder((value as Record<string, unknown>)[key], depth + 1)) return false;
    before = key;
  }
  return true;
}

/** SHA-256 of a text's UTF-8 bytes, in hex. */
export function hashText(text: string): string {
  return bytesToHex(sha256(utf8ToBytes(text)));
}

/** SHA-256 of bytes, in hex. */
export function hashBytes(...parts: Uint8Array[]): string {
  return bytesToHex(sha256(concatBytes(...parts)));
}

/** The bytes that a signature covers: a line that names what is signed, then the text. */
export function signedBytes(domain: string, text: string): Uint8Array {
  return utf8ToBytes(`${domain}\n${text}`);
}

/** Every runtime has one, though none is typed here. */
declare const TextEncoder: new () => { encode(text: string): Uint8Array<ArrayBuffer> };
const encoder = new TextEncoder();

/** A text's bytes in UTF-8. The libraries' own function copies and wipes them, which takes as long again. */
export function utf8ToBytes(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

export { bytesToHex, hexToBytes };
