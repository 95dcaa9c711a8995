/** Who asks: API keys, sessions, operators' keys, and the names that accounts have in public. Touches no object. */

import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import type { Context } from "hono";
import { getCookie } from "hono/cookie";
import { refuse } from "../core/errors.ts";
import type { AccountId, Pseudonym } from "../core/ids.ts";
import { type ApiKey, parseApiKey } from "../protocol/api-key.ts";
import type { Answer } from "../protocol/internal/account.ts";
import { pseudonymUnder } from "../protocol/pseudonym.ts";
import { ACCESS_COOKIE, parseAccessToken, SESSION_PREFIX } from "../protocol/session-token.ts";
import type { Config } from "./config.ts";

/** Pseudonyms kept in memory: 44 characters each, so well under a mebibyte. */
const KNOWN_PSEUDONYMS = 4_096;

/** Keys and access tokens whose checksum was found right, by their text: two hundred bytes each, so under a mebibyte. */
const KNOWN_KEYS = 4_096;

const pseudonyms = new Map<AccountId, Pseudonym>();
const keys = new WeakMap<Config, Map<string, ApiKey>>();

/**
 * Reads the API key or a session's access token of a call: from its Authorization header, or where it has none from the
 * cookie of a page of this network. Whether the secret is one of the account's is for the account to say; what is malformed
 * or forged ends here, before any object is called.
 */
export function authenticate(
  c: Context,
  config: Config,
  authorization = c.req.header("authorization"),
): Answer<ApiKey> {
  const token = authorization === undefined ? (getCookie(c, ACCESS_COOKIE) ?? null) : bearer(authorization);
  if (token === null) return { ok: false, refusal: refuse("missing_api_key") };
  if (authorization === undefined && !mayUseCookies(c)) return { ok: false, refusal: refuse("foreign_origin") };
  const key = keyOf(token, config);
  return key === null ? { ok: false, refusal: refuse("invalid_api_key") } : { ok: true, value: key };
}

/**
 * Whether a call that changes something, or opens a socket, comes from a page of this very origin. A cookie goes out with
 * calls that other pages make a browser do; `SameSite=Strict` keeps it from most of them, and this from the others.
 */
export function mayUseCookies(c: Context): boolean {
  const onlyReads = ["GET", "HEAD"].includes(c.req.method) && c.req.header("upgrade") === undefined;
  return onlyReads || c.req.header("origin") === new URL(c.req.url).origin;
}

/** Who comes again need not be computed again. Only right keys are kept, so nobody fills the memory with wrong ones. */
function keyOf(token: string, config: Config): ApiKey | null {
  const known = keys.get(config) ?? new Map<string, ApiKey>();
  keys.set(config, known);
  const before = known.get(token);
  if (before !== undefined) return before;
  const parse = token.startsWith(SESSION_PREFIX) ? parseAccessToken : parseApiKey;
  const key = parse(token, config.edgeKey);
  if (key === null) return null;
  if (known.size >= KNOWN_KEYS) known.clear();
  known.set(token, key);
  return key;
}

/**
 * Finds the operator of a key by its name. Every operator's key is looked at, in a time that does not depend on where one
 * differs from what was sent.
 */
export function authenticateAdmin(authorization: string | null | undefined, { operators }: Config): Answer<string> {
  const token = bearer(authorization);
  if (token === null) return { ok: false, refusal: refuse("missing_api_key") };
  const sent = sha256(utf8ToBytes(token));
  let found: string | null = null;
  for (const { name, key } of operators) {
    const right = sha256(utf8ToBytes(key));
    const difference = sent.reduce((all, byte, i) => all | (byte ^ (right[i] ?? 0)), 0);
    if (difference === 0) found = name;
  }
  return found === null ? { ok: false, refusal: refuse("invalid_api_key") } : { ok: true, value: found };
}

/** The token of `Authorization: Bearer …`, or null. */
function bearer(authorization: string | null | undefined): string | null {
  return /^bearer +(\S+) *$/i.exec(authorization ?? "")?.[1] ?? null;
}

/** What receipts call an account: only the network can tie it to the account's id. */
export function pseudonymOf(account: AccountId, config: Config): Pseudonym {
  const known = pseudonyms.get(account);
  if (known !== undefined) return known;
  const name = pseudonymUnder(config.edgeKey, account);
  if (pseudonyms.size >= KNOWN_PSEUDONYMS) pseudonyms.clear();
  pseudonyms.set(account, name);
  return name;
}
