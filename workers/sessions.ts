/** Sessions on the wire: their secrets, tokens and cookies. */

import type { Context } from "hono";
import { deleteCookie, setCookie } from "hono/cookie";
import type { AccountId } from "../core/ids.ts";
import { secretHashOf } from "../protocol/api-key.ts";
import { edgeMac } from "../protocol/edge-mac.ts";
import type { SessionHashes, SessionRecord } from "../protocol/internal/session.ts";
import { timeText } from "../protocol/network/common.ts";
import type { OpenedSession, ShownSession } from "../protocol/network/sign-in.ts";
import { ACCESS_COOKIE, formatAccessToken, formatRefreshToken, REFRESH_COOKIE } from "../protocol/session-token.ts";

const ACCESS_DOMAIN = "tollmill/session-access/v1";
const REFRESH_DOMAIN = "tollmill/session-refresh/v1";
/** No script sees them, and no other site's page makes a browser send them. */
const COOKIE = { path: "/", secure: true, httpOnly: true, sameSite: "Strict" } as const;

/** The two secrets of a session. */
export interface SessionSecrets {
  readonly access: Uint8Array;
  readonly refresh: Uint8Array;
}

/** The secrets that follow from a call, so that the same call again is answered with the same tokens. */
export function secretsOf(edgeKey: Uint8Array, call: string): SessionSecrets {
  return { access: edgeMac(edgeKey, ACCESS_DOMAIN, call), refresh: edgeMac(edgeKey, REFRESH_DOMAIN, call) };
}

export function hashesOf({ access, refresh }: SessionSecrets): SessionHashes {
  return { secretHash: secretHashOf(access), refreshHash: secretHashOf(refresh) };
}

/** A session with its tokens, in cookies or in the answer. */
export function openedSession(
  c: Context,
  account: AccountId,
  session: SessionRecord,
  secrets: SessionSecrets,
  { edgeKey, inCookies }: { edgeKey: Uint8Array; inCookies: boolean },
): OpenedSession {
  const access = formatAccessToken(account, secrets.access, edgeKey);
  const refresh = formatRefreshToken(account, secrets.refresh, edgeKey);
  if (inCookies) {
    setCookie(c, ACCESS_COOKIE, access, { ...COOKIE, expires: new Date(session.secretUntil) });
    setCookie(c, REFRESH_COOKIE, refresh, { ...COOKIE, expires: new Date(session.expiresAt) });
  }
  return {
    ...shownSession(session),
    account,
    access_token: inCookies ? null : access,
    access_expires_at: timeText(session.secretUntil),
    refresh_token: inCookies ? null : refresh,
  };
}

/** Takes both cookies away. */
export function dropCookies(c: Context): void {
  for (const name of [ACCESS_COOKIE, REFRESH_COOKIE]) deleteCookie(c, name, COOKIE);
}

export function shownSession({ id, member, wallet, recovery, own, ...times }: SessionRecord): ShownSession {
  const { createdAt, refreshedAt, expiresAt } = times;
  return {
    id,
    member,
    wallet,
    recovery,
    created_at: timeText(createdAt),
    refreshed_at: refreshedAt === null ? null : timeText(refreshedAt),
    expires_at: timeText(expiresAt),
    own,
  };
}
