/**
 * Tokens of sessions: `tms_` (access) and `tmr_` (refresh) with what every secret that names its account has
 * (routed-secret.ts), and the names of the cookies that carry them for the console.
 */

import type { AccountId } from "../core/ids.ts";
import { formatSecret, parseSecret, type RoutedSecret } from "./routed-secret.ts";

export const SESSION_PREFIX = "tms_";
const ACCESS = { prefix: SESSION_PREFIX, domain: "tollmill/session/v1\n" };
const REFRESH = { prefix: "tmr_", domain: "tollmill/refresh/v1\n" };

/** The prefix `__Host-` makes browsers refuse them from anything but this very host, over HTTPS, for all of its paths. */
export const ACCESS_COOKIE = "__Host-tollmill-session";
export const REFRESH_COOKIE = "__Host-tollmill-refresh";

/** Writes an access token from an account and 32 secret bytes. */
export function formatAccessToken(account: AccountId, secret: Uint8Array, edgeKey: Uint8Array): string {
  return formatSecret(ACCESS, account, secret, edgeKey);
}

/** Reads an access token, or null when it is malformed or its checksum is not this network's. Touches no object. */
export function parseAccessToken(text: string, edgeKey: Uint8Array): RoutedSecret | null {
  return parseSecret(ACCESS, text, edgeKey);
}

/** Writes a refresh token from an account and 32 secret bytes. */
export function formatRefreshToken(account: AccountId, secret: Uint8Array, edgeKey: Uint8Array): string {
  return formatSecret(REFRESH, account, secret, edgeKey);
}

/** Reads a refresh token, or null when it is malformed or its checksum is not this network's. Touches no object. */
export function parseRefreshToken(text: string, edgeKey: Uint8Array): RoutedSecret | null {
  return parseSecret(REFRESH, text, edgeKey);
}
