/** MACs under the edge's key, which only the network has. */

import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";

/** HMAC-SHA-256 under the edge's key; the domain keeps one use from ever standing for another. */
export function edgeMac(edgeKey: Uint8Array, domain: string, text: string): Uint8Array {
  return hmac(sha256, edgeKey, utf8ToBytes(`${domain}\n${text}`));
}
