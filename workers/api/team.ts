import { createRoute, z } from "@hono/zod-openapi";
import { refuse } from "../../core/errors.ts";
import { base62, type InviteId, type KeyId, type MemberId } from "../../core/ids.ts";
import { formatUsd } from "../../core/units.ts";
import { unlinkMember } from "../../db/wallets.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import { formatApiKey, secretHashOf } from "../../protocol/api-key.ts";
import { edgeMac } from "../../protocol/edge-mac.ts";
import { inviteId, memberId } from "../../protocol/ids.ts";
import type { InviteRecord, MemberView } from "../../protocol/internal/team.ts";
import { formatInviteToken, parseInviteToken } from "../../protocol/invite-token.ts";
import { idempotencyHeaders, timeText } from "../../protocol/network/common.ts";
import {
  changeMember,
  createdInvite,
  createInvite,
  inviteList,
  invite as inviteShape,
  joinedTeam,
  joinTeam,
  memberList,
  member as memberShape,
} from "../../protocol/network/team.ts";
import { configOf } from "../config.ts";
import { problem } from "../http.ts";
import { boundJoins, boundTries } from "../join-limit.ts";
import { onAccount } from "../objects.ts";
import { answers, byAnyoneWithJson, byKey, byKeyWithJson, named, newApi, problems, takes } from "./app.ts";

const INVITE_DOMAIN = "tollmill/invite-id/v1";
const INVITE_SECRET_DOMAIN = "tollmill/invite-secret/v1";
const JOIN_DOMAIN = "tollmill/join-id/v1";
const JOIN_SECRET_DOMAIN = "tollmill/join-secret/v1";

const member = named("Member", memberShape);
const invite = named("Invite", inviteShape);
const tags = ["Team"];

const getTeam = createRoute({
  method: "get",
  path: "/team",
  tags,
  summary: "The account's members",
  description: "Every member with role, keys and this month's spending, removed ones too, oldest first.",
  ...byKey,
  responses: { 200: answers(memberList, "The members."), ...problems },
});

const patchMember = createRoute({
  method: "patch",
  path: "/team/members/{id}",
  tags,
  summary: "Change a member's role or name",
  description:
    "For owners; everyone may change its own name. A lower role counts at once: the member's keys lose what it does not " +
    "allow, and a key that is left without a scope is revoked. A higher role adds nothing to keys that exist.",
  ...byKeyWithJson,
  request: { params: z.object({ id: memberId }), body: takes(changeMember) },
  responses: { 200: answers(member, "The member as it is now."), ...problems },
});

const deleteMember = createRoute({
  method: "delete",
  path: "/team/members/{id}",
  tags,
  summary: "Remove a member",
  description:
    "For owners; everyone may leave, but the last owner. The member's keys, sessions and invites end at once, and its wallets are free. Jobs that run " +
    "end as they would, and are charged. Removing twice changes nothing.",
  ...byKey,
  request: { params: z.object({ id: memberId }) },
  responses: { 200: answers(member, "The removed member."), ...problems },
});

const getInvites = createRoute({
  method: "get",
  path: "/team/invites",
  tags,
  summary: "The account's invites",
  description: "Every invite that was made, oldest first, for owners. Their tokens are not stored anywhere.",
  ...byKey,
  responses: { 200: answers(inviteList, "The invites."), ...problems },
});

const postInvite = createRoute({
  method: "post",
  path: "/team/invites",
  tags,
  summary: "Invite somebody",
  description:
    "For owners, with a key that has no expiry and every scope of the role that it gives. With an `Idempotency-Key` (or `id`) " +
    "the token follows from it, so the same call again gets the very same one. An invite ends when its maker is no owner any more, and not with the key that " +
    "made it.",
  ...byKeyWithJson,
  request: { headers: idempotencyHeaders, body: takes(createInvite) },
  responses: { 200: answers(createdInvite, "The invite with its token."), ...problems },
});

const deleteInvite = createRoute({
  method: "delete",
  path: "/team/invites/{id}",
  tags,
  summary: "Revoke an invite",
  description: "From now on nobody joins by it; who has joined stays. Revoking twice changes nothing.",
  ...byKey,
  request: { params: z.object({ id: inviteId }) },
  responses: { 200: answers(invite, "The revoked invite."), ...problems },
});

const postJoin = createRoute({
  method: "post",
  path: "/team/join",
  tags,
  summary: "Join a team by an invite",
  description:
    "Makes a member with a first key, which may do all that the role allows. Needs no key, so tries are bounded to a hundred a " +
    "minute from one address and for one account. With an `Idempotency-Key` (or `id`, " +
    "which nobody else should guess) member and key follow from it and the token, so the same call again gets the same key.",
  ...byAnyoneWithJson,
  request: { headers: idempotencyHeaders, body: takes(joinTeam) },
  responses: {
    200: answers(joinedTeam, "The same call has joined before."),
    201: answers(joinedTeam, "The new member with its key."),
    ...problems,
  },
});

export const team = newApi();

team.openapi(getTeam, async (c) => {
  const { account, secretHash } = c.var.key;
  const answer = await onAccount(c.env, account, (object) => object.team({ secretHash }));
  return answer.ok ? c.json({ data: answer.value.map(shownMember) }, 200) : problem(c, answer.refusal);
});

team.openapi(patchMember, async (c) => {
  const { account, secretHash } = c.var.key;
  const { name, role } = c.req.valid("json");
  const changes = { ...(name === undefined ? {} : { name }), ...(role === undefined ? {} : { role }) };
  const { id } = c.req.valid("param");
  const answer = await onAccount(c.env, account, (object) => object.changeMember({ secretHash }, id, changes));
  return answer.ok ? c.json(shownMember(answer.value), 200) : problem(c, answer.refusal);
});

team.openapi(deleteMember, async (c) => {
  const { account, secretHash } = c.var.key;
  const { id } = c.req.valid("param");
  const answer = await onAccount(c.env, account, (object) => object.removeMember({ secretHash }, id));
  if (answer.ok) await unlinkMember(c.env.DB, { account, member: id });
  return answer.ok ? c.json(shownMember(answer.value), 200) : problem(c, answer.refusal);
});

team.openapi(getInvites, async (c) => {
  const { account, secretHash } = c.var.key;
  const answer = await onAccount(c.env, account, (object) => object.invites({ secretHash }));
  return answer.ok ? c.json({ data: answer.value.map(shownInvite) }, 200) : problem(c, answer.refusal);
});

team.openapi(postInvite, async (c) => {
  const { account, secretHash } = c.var.key;
  const { edgeKey } = configOf(c.env);
  const { role, name = null, expires_at: expires, uses = 1, id: bodyId } = c.req.valid("json");
  const call = `${account}\n${bodyId ?? c.req.valid("header")["idempotency-key"] ?? randomId()}`;
  const secret = edgeMac(edgeKey, INVITE_SECRET_DOMAIN, call);
  const wanted = {
    id: base62(edgeMac(edgeKey, INVITE_DOMAIN, call).subarray(0, 16)) as InviteId,
    secretHash: secretHashOf(secret),
    name,
    role,
    expiresAt: expires === undefined ? null : Date.parse(expires),
    uses,
  };
  const answer = await onAccount(c.env, account, (object) => object.invite({ secretHash }, wanted));
  if (!answer.ok) return problem(c, answer.refusal);
  return c.json({ ...shownInvite(answer.value), token: formatInviteToken(account, secret, edgeKey) }, 200);
});

team.openapi(deleteInvite, async (c) => {
  const { account, secretHash } = c.var.key;
  const { id } = c.req.valid("param");
  const answer = await onAccount(c.env, account, (object) => object.revokeInvite({ secretHash }, id));
  return answer.ok ? c.json(shownInvite(answer.value), 200) : problem(c, answer.refusal);
});

team.openapi(postJoin, async (c) => {
  c.header("cache-control", "no-store");
  const { edgeKey } = configOf(c.env);
  const { token, name, id: bodyId } = c.req.valid("json");
  const tooMany = await boundTries(c);
  if (tooMany !== null) return problem(c, tooMany);
  const parsed = parseInviteToken(token, edgeKey);
  if (parsed === null) return problem(c, refuse("invalid_invite", { param: "token" }));
  const { account, secretHash: inviteHash } = parsed;
  const full = await boundJoins(c, account);
  if (full !== null) return problem(c, full);
  const call = `${token}\n${bodyId ?? c.req.valid("header")["idempotency-key"] ?? randomId()}`;
  const ids = edgeMac(edgeKey, JOIN_DOMAIN, call);
  const secret = edgeMac(edgeKey, JOIN_SECRET_DOMAIN, call);
  const command = {
    inviteHash,
    member: base62(ids.subarray(0, 16)) as MemberId,
    name,
    key: base62(ids.subarray(16)) as KeyId,
    secretHash: secretHashOf(secret),
  };
  const answer = await onAccount(c.env, account, (object) => object.join(command));
  if (!answer.ok) return problem(c, answer.refusal);
  const { joined, keyStands } = answer.value;
  emit("member_joined", { account, member: command.member, joined, request_id: c.var.requestId });
  const notice = "This call has joined before, and its key was revoked or rotated since. Ask an owner for a new key.";
  const shown = {
    account,
    member: shownMember(answer.value.member),
    api_key: keyStands ? formatApiKey(account, secret, edgeKey) : null,
    notice: keyStands ? null : notice,
    joined,
  };
  return c.json(shown, joined ? 201 : 200);
});

function shownMember({ id, name, role, joinedAt, removedAt, keys, spent, held }: MemberView) {
  return {
    id,
    name,
    role,
    joined_at: timeText(joinedAt),
    removed_at: removedAt === null ? null : timeText(removedAt),
    keys,
    month: { spent_usd: formatUsd(spent), held_usd: formatUsd(held) },
  };
}

function shownInvite({ id, role, name, madeBy, createdAt, expiresAt, uses, used, revokedAt }: InviteRecord) {
  return {
    id,
    role,
    name,
    made_by: madeBy,
    created_at: timeText(createdAt),
    expires_at: timeText(expiresAt),
    uses,
    used,
    revoked_at: revokedAt === null ? null : timeText(revokedAt),
  };
}

function randomId(): string {
  return base62(crypto.getRandomValues(new Uint8Array(16)));
}
