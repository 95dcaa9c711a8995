/**
 * Digests of what was asked and answered (interfaces.md §4). Salted, so that a short prompt cannot be guessed from its
 * digest; independent of how the answer was cut into frames, so that who kept the text can compute them again.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { hashBytes } from "./canonical.ts";

/** The kinds of payload: text, and structured deltas (tool calls, log probabilities) as JSON. */
export const PAYLOAD_KINDS = [0, 1] as const;
export type PayloadKind = (typeof PAYLOAD_KINDS)[number];

/** SHA-256(salt ‖ the body's bytes), hex. */
export function requestDigest(salt: Uint8Array, body: Uint8Array): string {
  return hashBytes(salt, body);
}

/**
 * The digest of an answer: for each choice two running SHA-256, over the text payloads and over the structured ones, each
 * started with salt ‖ kind ‖ choice (one byte each); the result is the SHA-256 of their concatenation in order of choice.
 */
export class ResponseDigest {
  readonly #hashes: ReturnType<typeof sha256.create>[][];

  constructor(salt: Uint8Array, choices: number) {
    this.#hashes = Array.from({ length: choices }, (_, choice) =>
      PAYLOAD_KINDS.map((kind) => sha256.create().update(salt).update(Uint8Array.of(kind, choice))),
    );
  }

  /** Adds a payload. Throws a RangeError for a choice that the request did not ask for. */
  update(kind: PayloadKind, choice: number, payload: Uint8Array): void {
    const hash = this.#hashes[choice]?.[kind];
    if (hash === undefined) throw new RangeError(`no choice ${choice}`);
    hash.update(payload);
  }

  /** The digest of what was added so far, hex. Can be asked for more than once. */
  hex(): string {
    const total = sha256.create();
    for (const hash of this.#hashes.flat()) total.update(hash.clone().digest());
    return bytesToHex(total.digest());
  }
}
