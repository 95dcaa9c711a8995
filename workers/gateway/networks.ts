/**
 * Private networks as a request meets them (economics.md §3): whether its account is in the one that it names, as an isolate
 * knows for a few seconds, and what that says of the lane and the rate.
 */

import { refuse } from "../../core/errors.ts";
import type { AccountId, NetworkId } from "../../core/ids.ts";
import type { Lane } from "../../core/lanes.ts";
import { LIMITS } from "../../core/limits.ts";
import type { Parameters } from "../../core/parameters.ts";
import { catalogRate, type Rate } from "../../core/pricing.ts";
import { type NetworkRow, networkOfMember } from "../../db/networks.ts";
import { type CatalogModel, rateOf } from "../../protocol/catalog.ts";
import type { Answer } from "../../protocol/internal/account.ts";
import type { ChatRequest } from "../../protocol/openai/chat.ts";

/** A network with its rates, of which the caller is a member. */
export type MemberNetwork = Pick<NetworkRow, "id" | "name" | "rates">;

/** Memberships kept in memory: with all their rates 13 KB each, so under seven mebibytes. */
const KNOWN_MEMBERSHIPS = 512;

interface Known {
  readonly network: MemberNetwork;
  readonly until: number;
}

const cache = new WeakMap<object, Map<string, Known>>();

/**
 * The network that a request names, or null where it names none, or one that is not there or that its account is not in. An
 * isolate believes for 5 s what D1 said, from when it was asked; who is removed, and a rate that changes, is not believed for
 * longer, also while D1 is away.
 */
export async function memberNetwork(
  env: Env,
  id: string | undefined,
  account: AccountId,
  now: number,
): Promise<MemberNetwork | null> {
  if (id === undefined) return null;
  const known = cache.get(env) ?? new Map<string, Known>();
  cache.set(env, known);
  const name = `${account}/${id}`;
  const before = known.get(name);
  if (before !== undefined && now < before.until) return before.network;
  known.delete(name);
  const network = await networkOfMember(env.DB, id, account);
  // Only members are kept: who has just joined need not wait, and nobody fills the memory with names of nothing.
  if (network === null) return null;
  if (known.size >= KNOWN_MEMBERSHIPS) known.clear();
  known.set(name, { network, until: now + LIMITS.networkCacheMs });
  return network;
}

/** Where a request is served, and at which rate. */
export interface Market {
  /** Null lets the account choose among `lanes`. */
  readonly lane: Lane | null;
  readonly lanes: readonly Lane[];
  readonly rate: Rate;
  readonly network: NetworkId | null;
}

/** The open market at the catalog's rate, or the private network that the request names at that network's. */
export function marketOf(
  { lane, network }: Pick<ChatRequest, "lane" | "network">,
  model: CatalogModel,
  parameters: Parameters,
  member: MemberNetwork | null,
): Answer<Market> {
  if (network === undefined) {
    if (lane !== "private") {
      const rate = rateOf(model, parameters);
      return { ok: true, value: { lane: lane ?? null, lanes: model.lanes, rate, network: null } };
    }
    const detail = "The lane `private` is a private network's: name the network in `network`.";
    return { ok: false, refusal: refuse("invalid_request", { detail, param: "network" }) };
  }
  if (member === null) return { ok: false, refusal: refuse("network_not_found", { param: "network" }) };
  if (lane !== undefined && lane !== "private") {
    const detail = "What names a private network runs in the lane `private`: leave `lane` out.";
    return { ok: false, refusal: refuse("invalid_request", { detail, param: "lane" }) };
  }
  const rate = Object.hasOwn(member.rates, model.id) ? member.rates[model.id] : undefined;
  if (rate === undefined) {
    const detail = `The private network ${member.id} sets no rate for ${model.id}: GET /api/v1/networks/${member.id} lists those that it serves.`;
    return { ok: false, refusal: refuse("invalid_request", { detail, param: "model" }) };
  }
  // A network serves what it has a rate for, whatever the open market does with that model.
  const lanes = ["private"] as const;
  const own = catalogRate(rate.completion, rate.prompt);
  return { ok: true, value: { lane: "private", lanes, rate: own, network: member.id } };
}
