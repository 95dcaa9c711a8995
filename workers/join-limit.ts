/** A bound on tries of invites, which need no key: by the address that tries, and by the account that is to be joined. */

import type { Context } from "hono";
import { type Refusal, refuse } from "../core/errors.ts";
import type { AccountId } from "../core/ids.ts";
import type { HttpEnv } from "./http.ts";

/** The period of the binding in wrangler.toml. */
const PERIOD_SECONDS = 60;

/** Why an address may try no invite now, or null. Where the platform names no address, as in tests, nobody is bound. */
export async function boundTries(c: Context<HttpEnv>): Promise<Refusal | null> {
  const address = c.req.header("cf-connecting-ip");
  return address === undefined ? null : await bound(c, `address/${address}`, "This address");
}

/** Why nobody may try an invite of an account now, or null: the account's object is not asked then. */
export function boundJoins(c: Context<HttpEnv>, account: AccountId): Promise<Refusal | null> {
  return bound(c, `account/${account}`, "This account");
}

async function bound(c: Context<HttpEnv>, key: string, what: string): Promise<Refusal | null> {
  if ((await c.env.JOIN_LIMIT.limit({ key })).success) return null;
  c.header("retry-after", String(PERIOD_SECONDS));
  return refuse("rate_limited", { detail: `${what} has seen too many tries of invites.` });
}
