import { createRoute, z } from "@hono/zod-openapi";
import { refuse } from "../../core/errors.ts";
import type { AccountId } from "../../core/ids.ts";
import { endMembership, lastMembership, membersOf, type NetworkMemberRow } from "../../db/networks.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import { networkId, pseudonym } from "../../protocol/ids.ts";
import { timeText } from "../../protocol/network/common.ts";
import {
  endedMember,
  networkMemberList,
  networkMember as networkMemberShape,
} from "../../protocol/network/private-networks.ts";
import { pseudonymOf } from "../auth.ts";
import { configOf } from "../config.ts";
import { problem } from "../http.ts";
import { asAdmin, asMember, checkKey, tellRelays } from "../network-access.ts";
import { answers, byKey, named, newApi, problems } from "./app.ts";

const ME = "me";

const networkMember = named("NetworkMember", networkMemberShape);
const tags = ["Private networks"];

const getMembers = createRoute({
  method: "get",
  path: "/networks/{id}/members",
  tags,
  summary: "Who is in a private network",
  description:
    "Its members, in the order in which they came in, under the names by which receipts know them. For members.",
  ...byKey,
  request: { params: z.object({ id: networkId }) },
  responses: { 200: answers(networkMemberList.extend({ data: z.array(networkMember) }), "The members."), ...problems },
});

const deleteMember = createRoute({
  method: "delete",
  path: "/networks/{id}/members/{member}",
  tags,
  summary: "Remove a member, or leave",
  description:
    "For the admin; with `me` everyone may leave, but the admin. When the call returns, the member's daemons get no more jobs of " +
    "the network; its own calls are refused there after five seconds at the latest. Jobs that wait or run end as they would. " +
    "Who was removed comes back by a newer invite only. Removing twice changes nothing.",
  ...byKey,
  request: {
    params: z.object({
      id: networkId,
      member: z
        .union([z.literal(ME), pseudonym])
        .meta({ description: "A member's id as the list shows it, or `me`.", example: ME, type: "string" }),
    }),
  },
  responses: { 200: answers(endedMember, "The member that was."), ...problems },
});

export const networkMembers = newApi();

networkMembers.openapi(getMembers, async (c) => {
  const { account } = c.var.key;
  const found = await asMember(c.env, c.var.key, c.req.valid("param").id, "read");
  if (!found.ok) return problem(c, found.refusal);
  const { id, account: admin } = found.value;
  const members = await membersOf(c.env.DB, id);
  const data = members.map((member) => ({
    id: member.pseudonym,
    name: member.name,
    admin: member.account === admin,
    you: member.account === account,
    joined_at: timeText(member.joined_at),
  }));
  return c.json({ data }, 200);
});

networkMembers.openapi(deleteMember, async (c) => {
  const { account } = c.var.key;
  const { id, member } = c.req.valid("param");
  const may = await checkKey(c.env, c.var.key, "manage");
  if (!may.ok) return problem(c, may.refusal);
  const isSelf = member === ME || member === pseudonymOf(account, configOf(c.env));
  const end = async (last: NetworkMemberRow) => {
    const now = Date.now();
    await endMembership(c.env.DB, id, last.account, now);
    // Also where it had ended before: an earlier try may have ended here.
    await tellRelays(c.env, last.account);
    told(last.account);
    return c.json({ id: last.pseudonym, ended_at: timeText(last.ended_at ?? now) }, 200);
  };
  const told = (ended: AccountId) =>
    emit("network_member_ended", { account: ended, private_network: id, left: isSelf, request_id: c.var.requestId });
  if (isSelf) {
    const own = await lastMembership(c.env.DB, id, { account });
    if (own === null) return problem(c, refuse("network_not_found"));
    if (own.invite === null) return problem(c, refuse(own.ended_at === null ? "admin_stays" : "network_not_found"));
    return await end(own);
  }
  const found = await asAdmin(c.env, c.var.key, id);
  if (!found.ok) return problem(c, found.refusal);
  const last = await lastMembership(c.env.DB, id, { pseudonym: member });
  return last === null ? problem(c, refuse("network_member_not_found")) : await end(last);
});
