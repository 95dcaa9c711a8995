/** Bytes that are signed and hashed: RFC 8785 (JCS) text in UTF-8, SHA-256. */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, concatBytes, hexToBytes } from "@noble/hashes/utils.js";
import canonicalize from "canonicalize";

/** The RFC 8785 text of a JSON value. Throws when the value is no JSON. */
export function canonicalText(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("not a JSON value");
  return text;
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
