/**
 * Tokens of invites to private networks: `tmn_` and what every routed secret has (routed-secret.ts). The id in front is the
 * network's, as a network has no account's object of its own.
 */

import type { AccountId, NetworkId } from "../core/ids.ts";
import { formatSecret, parseSecret } from "./routed-secret.ts";

const KIND = { prefix: "tmn_", domain: "tollmill/network-invite/v1\n" };

export interface NetworkInvite {
  readonly network: NetworkId;
  /** SHA-256 of the secret, hex: what is compared and stored. */
  readonly secretHash: string;
}

/** Writes an invite's token from its network and 32 secret bytes. */
export function formatNetworkInvite(network: NetworkId, secret: Uint8Array, edgeKey: Uint8Array): string {
  return formatSecret(KIND, network as string as AccountId, secret, edgeKey);
}

/** Reads a token, or null when it is malformed or its checksum is not this network's. Asks nobody. */
export function parseNetworkInvite(text: string, edgeKey: Uint8Array): NetworkInvite | null {
  const parsed = parseSecret(KIND, text, edgeKey);
  if (parsed === null) return null;
  return { network: parsed.account as string as NetworkId, secretHash: parsed.secretHash };
}
