import { createRoute, z } from "@hono/zod-openapi";
import { type Refusal, refuse } from "../../core/errors.ts";
import { base62, type InviteId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { canonicalText } from "../../core/receipt/canonical.ts";
import {
  addInvite,
  getInvite,
  invitesOf,
  type JoinOutcome,
  joinByInvite,
  type NetworkInviteRow,
  revokeInvite,
} from "../../db/network-invites.ts";
import { networkOfMember } from "../../db/networks.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import { edgeMac } from "../../protocol/edge-mac.ts";
import { inviteId, networkId } from "../../protocol/ids.ts";
import { idempotencyHeaders, timeText } from "../../protocol/network/common.ts";
import {
  createdNetworkInvite,
  createNetworkInvite,
  joinedNetwork,
  joinNetwork,
  networkInviteList,
  networkInvite as networkInviteShape,
} from "../../protocol/network/private-networks.ts";
import { formatNetworkInvite, parseNetworkInvite } from "../../protocol/network-invite-token.ts";
import { secretHashOf } from "../../protocol/routed-secret.ts";
import { pseudonymOf } from "../auth.ts";
import { configOf } from "../config.ts";
import { problem } from "../http.ts";
import { boundTries } from "../join-limit.ts";
import { asAdmin, checkKey, tellRelays } from "../network-access.ts";
import { answers, byKey, byKeyWithJson, named, newApi, problems, takes } from "./app.ts";
import { shownNetwork } from "./networks.ts";

const ID_DOMAIN = "tollmill/network-invite-id/v1";
const SECRET_DOMAIN = "tollmill/network-invite-secret/v1";

const networkInvite = named("NetworkInvite", networkInviteShape);
const params = z.object({ id: networkId });
const tags = ["Private networks"];

const getInvites = createRoute({
  method: "get",
  path: "/networks/{id}/invites",
  tags,
  summary: "A private network's invites",
  description: "Every invite that was made, oldest first, for the admin. Their tokens are not stored anywhere.",
  ...byKey,
  request: { params },
  responses: { 200: answers(networkInviteList.extend({ data: z.array(networkInvite) }), "The invites."), ...problems },
});

const postInvite = createRoute({
  method: "post",
  path: "/networks/{id}/invites",
  tags,
  summary: "Invite to a private network",
  description:
    "For the admin. With an `Idempotency-Key` (or `id`) the token follows from it, so the same call again gets the very same one.",
  ...byKeyWithJson,
  request: { params, headers: idempotencyHeaders, body: takes(createNetworkInvite) },
  responses: { 200: answers(createdNetworkInvite, "The invite with its token."), ...problems },
});

const deleteInvite = createRoute({
  method: "delete",
  path: "/networks/{id}/invites/{invite}",
  tags,
  summary: "Revoke an invite to a network",
  description: "For the admin. From now on nobody joins by it; who has joined stays. Revoking twice changes nothing.",
  ...byKey,
  request: { params: z.object({ id: networkId, invite: inviteId }) },
  responses: { 200: answers(networkInvite, "The revoked invite."), ...problems },
});

const postJoin = createRoute({
  method: "post",
  path: "/networks/join",
  tags,
  summary: "Join a private network",
  description:
    "Makes this account a member by an invite's token. Tries are bounded to a hundred a minute from one address. Who is in " +
    "already stays in, and takes no use of the invite.",
  ...byKeyWithJson,
  request: { body: takes(joinNetwork) },
  responses: {
    200: answers(joinedNetwork, "The network, which the account was in already."),
    201: answers(joinedNetwork, "The network that it has joined."),
    ...problems,
  },
});

/** Why an invite let nobody in. */
const REFUSALS: Readonly<Record<Exclude<JoinOutcome["type"], "joined" | "member_before">, Refusal>> = {
  unknown: refuse("invalid_invite", { param: "token" }),
  older_than_end: refuse("invalid_invite", {
    detail: "The invite is older than the end of this account's membership.",
    param: "token",
  }),
  expired: refuse("invite_expired"),
  used: refuse("invite_used"),
  network_full: refuse("network_full"),
  too_many_networks: refuse("network_limit"),
};

export const networkInvites = newApi();

networkInvites.openapi(getInvites, async (c) => {
  const found = await asAdmin(c.env, c.var.key, c.req.valid("param").id);
  if (!found.ok) return problem(c, found.refusal);
  const rows = await invitesOf(c.env.DB, found.value.id);
  return c.json({ data: rows.map(shownInvite) }, 200);
});

networkInvites.openapi(postInvite, async (c) => {
  c.header("cache-control", "no-store");
  const found = await asAdmin(c.env, c.var.key, c.req.valid("param").id);
  if (!found.ok) return problem(c, found.refusal);
  const network = found.value.id;
  const { edgeKey } = configOf(c.env);
  const { name = null, expires_at: expires = null, uses = 1, id: bodyId } = c.req.valid("json");
  const now = Date.now();
  const expiresAt = expires === null ? now + LIMITS.inviteDefaultMs : Date.parse(expires);
  const call = `${network}\n${bodyId ?? c.req.valid("header")["idempotency-key"] ?? randomId()}`;
  const secret = edgeMac(edgeKey, SECRET_DOMAIN, call);
  const id = base62(edgeMac(edgeKey, ID_DOMAIN, call).subarray(0, 16)) as InviteId;
  const made = canonicalText({ name, uses, expires });
  let invite = await getInvite(c.env.DB, network, id);
  if (invite === null) {
    if (expiresAt <= now || expiresAt > now + LIMITS.inviteMs) {
      const detail = "expires_at: must be in the future, and within 30 days.";
      return problem(c, refuse("invalid_request", { detail, param: "expires_at" }));
    }
    const terms = { id, network, secret_hash: secretHashOf(secret), name, uses, made };
    const added = await addInvite(c.env.DB, { ...terms, created_at: now, expires_at: expiresAt });
    if (!added) {
      return problem(c, refuse("invite_limit", { detail: "The network has as many open invites as it may." }));
    }
    invite = await getInvite(c.env.DB, network, id);
  }
  if (invite?.made !== made) return problem(c, refuse("id_conflict", { param: "id" }));
  return c.json({ ...shownInvite(invite), token: formatNetworkInvite(network, secret, edgeKey) }, 200);
});

networkInvites.openapi(deleteInvite, async (c) => {
  const { id, invite } = c.req.valid("param");
  const found = await asAdmin(c.env, c.var.key, id);
  if (!found.ok) return problem(c, found.refusal);
  await revokeInvite(c.env.DB, id, invite, Date.now());
  const revoked = await getInvite(c.env.DB, id, invite);
  return revoked === null ? problem(c, refuse("network_invite_not_found")) : c.json(shownInvite(revoked), 200);
});

networkInvites.openapi(postJoin, async (c) => {
  const config = configOf(c.env);
  const { account } = c.var.key;
  const { token, name = null } = c.req.valid("json");
  const tooMany = await boundTries(c);
  if (tooMany !== null) return problem(c, tooMany);
  const parsed = parseNetworkInvite(token, config.edgeKey);
  if (parsed === null) return problem(c, refuse("invalid_invite", { param: "token" }));
  const may = await checkKey(c.env, c.var.key, "manage");
  if (!may.ok) return problem(c, may.refusal);
  const join = { ...parsed, account, pseudonym: pseudonymOf(account, config), name };
  const outcome = await joinByInvite(c.env.DB, join, Date.now());
  if (outcome.type !== "joined" && outcome.type !== "member_before") return problem(c, REFUSALS[outcome.type]);
  // Its daemons may have named the network before they could serve it. Also where it was in already: an earlier try may
  // have ended here.
  await tellRelays(c.env, account);
  const network = await networkOfMember(c.env.DB, parsed.network, account);
  // Removed, or closed, in this very moment.
  if (network === null) return problem(c, refuse("network_not_found"));
  const joined = outcome.type === "joined";
  emit("network_joined", { account, private_network: network.id, joined, request_id: c.var.requestId });
  return c.json({ network: shownNetwork(network, account), joined }, joined ? 201 : 200);
});

function shownInvite({ id, name, created_at, expires_at, uses, used, revoked_at }: NetworkInviteRow) {
  return {
    id,
    name,
    created_at: timeText(created_at),
    expires_at: timeText(expires_at),
    uses,
    used,
    revoked_at: revoked_at === null ? null : timeText(revoked_at),
  };
}

function randomId(): string {
  return base62(crypto.getRandomValues(new Uint8Array(16)));
}
