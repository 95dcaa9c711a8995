/** Who may do what with a private network, and what its changes mean for daemons. */

import type { Scope } from "../core/account/scopes.ts";
import { refuse } from "../core/errors.ts";
import type { AccountId } from "../core/ids.ts";
import { LIMITS } from "../core/limits.ts";
import { listDaemons } from "../db/daemons.ts";
import { type NetworkRow, networkOfMember } from "../db/networks.ts";
import type { ApiKey } from "../protocol/api-key.ts";
import type { Answer } from "../protocol/internal/account.ts";
import { configOf } from "./config.ts";
import { onAccount, onRelay } from "./objects.ts";
import { relaysOf } from "./regions.ts";

/** Whether a key counts and may do something: D1 does not know keys, so the account is asked. */
export function checkKey(env: Env, { account, secretHash }: ApiKey, scope: Scope): Promise<Answer<null>> {
  return onAccount(env, account, (object) => object.check({ secretHash }, scope));
}

/** A network for one of its members. Everybody else learns nothing of it, not even that it is there. */
export async function asMember(env: Env, key: ApiKey, id: string, scope: Scope): Promise<Answer<NetworkRow>> {
  const may = await checkKey(env, key, scope);
  if (!may.ok) return may;
  const network = await networkOfMember(env.DB, id, key.account);
  return network === null ? { ok: false, refusal: refuse("network_not_found") } : { ok: true, value: network };
}

/** A network for its admin. */
export async function asAdmin(env: Env, key: ApiKey, id: string): Promise<Answer<NetworkRow>> {
  const found = await asMember(env, key, id, "manage");
  if (!found.ok || found.value.account === key.account) return found;
  return { ok: false, refusal: refuse("not_network_admin") };
}

/**
 * Makes the relays of an account's daemons read again which private networks those may serve. Where it returns they know it; a
 * call that breaks before that is made again.
 */
export async function tellRelays(env: Env, account: AccountId): Promise<void> {
  const config = configOf(env);
  const relays = new Set<string>();
  let after: string | undefined = "";
  while (after !== undefined && relays.size < config.shards * config.regions.length) {
    const page = await listDaemons(env.DB, account, { after, limit: LIMITS.maxPageRows });
    for (const { id } of page) for (const relay of relaysOf(config, id)) relays.add(relay);
    after = page.at(-1)?.id;
  }
  await Promise.all([...relays].map((name) => onRelay(env, name, (relay) => relay.membershipsChanged(account))));
}
