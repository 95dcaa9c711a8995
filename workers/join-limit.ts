/** Bounds on calls that need no key: invites by who tries and by the account that is to be joined, and challenges of wallets. */

import { type Refusal, refuse } from "../core/errors.ts";
import type { AccountId } from "../core/ids.ts";
import type { CallContext } from "./http.ts";

/** The period of the binding in wrangler.toml. */
const PERIOD_SECONDS = 60;

/** Why an address may try no invite now, or null. Where the platform names no address, as in tests, nobody is bound. */
export async function boundTries(c: CallContext): Promise<Refusal | null> {
  const address = c.req.header("cf-connecting-ip");
  return address === undefined
    ? null
    : await bound(c, `address/${address}`, "This address has seen too many tries of invites.");
}

/** Why an address may neither get nor answer a challenge of a wallet now, or null. */
export async function boundChallenges(c: CallContext): Promise<Refusal | null> {
  const address = c.req.header("cf-connecting-ip");
  if (address === undefined) return null;
  return await bound(c, `sign-in/${address}`, "This address asks for too many challenges.");
}

/** Why nobody may try an invite of an account now, or null: the account's object is not asked then. */
export function boundJoins(c: CallContext, account: AccountId): Promise<Refusal | null> {
  return bound(c, `account/${account}`, "This account has seen too many tries of invites.");
}

async function bound(c: CallContext, key: string, detail: string): Promise<Refusal | null> {
  if ((await c.env.JOIN_LIMIT.limit({ key })).success) return null;
  c.header("retry-after", String(PERIOD_SECONDS));
  return refuse("rate_limited", { detail });
}
