/** Tokens of invites to an account's team: `tmi_` and what every secret that names its account has (routed-secret.ts). */

import type { AccountId } from "../core/ids.ts";
import { formatSecret, parseSecret, type RoutedSecret } from "./routed-secret.ts";

const KIND = { prefix: "tmi_", domain: "tollmill/invite/v1\n" };

/** Writes an invite's token from its account and 32 secret bytes. */
export function formatInviteToken(account: AccountId, secret: Uint8Array, edgeKey: Uint8Array): string {
  return formatSecret(KIND, account, secret, edgeKey);
}

/** Reads a token, or null when it is malformed or its checksum is not this network's. Touches no object. */
export function parseInviteToken(text: string, edgeKey: Uint8Array): RoutedSecret | null {
  return parseSecret(KIND, text, edgeKey);
}
