/** The network's Ed25519 key, with which it signs receipts. WebCrypto signs in some 15 µs, so it serves the hot path. */

import { base64url } from "../../core/keys.ts";
import { hexToBytes } from "../../core/receipt/canonical.ts";

export interface NetworkKey {
  /** base64url, as receipts name it. */
  readonly publicKey: string;
  /** The signature of bytes, base64url. Ed25519 is deterministic: the same bytes always get the same signature. */
  sign(bytes: Uint8Array): Promise<string>;
}

/** DER in front of a 32-byte Ed25519 seed (RFC 8410, PKCS #8). */
const PKCS8_HEAD = hexToBytes("302e020100300506032b657004220420");

/** A value, never a promise: a promise belongs to the request that began it, and may end with it. */
let cached: { readonly seed: string; readonly key: NetworkKey } | undefined;

/**
 * The network's key from its seed (64 hex digits, the secret NETWORK_SEED). Read once per isolate. Throws a TypeError
 * that names the secret when it is malformed.
 */
export async function networkKey(env: { readonly NETWORK_SEED: string }): Promise<NetworkKey> {
  const seed = env.NETWORK_SEED;
  if (cached?.seed === seed) return cached.key;
  const key = await importKey(seed);
  cached = { seed, key };
  return key;
}

async function importKey(seed: string): Promise<NetworkKey> {
  if (!/^[0-9a-f]{64}$/.test(seed)) {
    throw new TypeError("NETWORK_SEED must be 64 hex digits: set it with `wrangler secret put NETWORK_SEED`");
  }
  const pkcs8 = new Uint8Array([...PKCS8_HEAD, ...hexToBytes(seed)]);
  // The public half can only be had by exporting, hence an extractable key that never leaves this function.
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", true, ["sign"]);
  const jwk = await crypto.subtle.exportKey("jwk", key);
  if (!("x" in jwk) || jwk.x === undefined) throw new TypeError("NETWORK_SEED gave no public key");
  const publicKey = jwk.x;
  return {
    publicKey,
    sign: async (bytes) => base64url(new Uint8Array(await crypto.subtle.sign("Ed25519", key, bytes))),
  };
}
