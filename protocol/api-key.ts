/** API keys: `tm_` and what every secret that names its account has (routed-secret.ts). */

import type { AccountId } from "../core/ids.ts";
import { formatSecret, parseSecret, type RoutedSecret } from "./routed-secret.ts";

export { secretHashOf } from "./routed-secret.ts";

export const API_KEY_PREFIX = "tm_";
const KIND = { prefix: API_KEY_PREFIX, domain: "tollmill/key/v1\n" };

export type ApiKey = RoutedSecret;

/** Writes a key from an account and 32 random bytes. The text is shown once and never stored. */
export function formatApiKey(account: AccountId, secret: Uint8Array, edgeKey: Uint8Array): string {
  return formatSecret(KIND, account, secret, edgeKey);
}

/** Reads a key, or null when it is malformed or its checksum is not this network's. Touches no object. */
export function parseApiKey(text: string, edgeKey: Uint8Array): ApiKey | null {
  return parseSecret(KIND, text, edgeKey);
}
