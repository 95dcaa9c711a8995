/** Shapes of an account's team: members, roles and invites. */

import { z } from "zod";
import { ROLES } from "../../core/account/team.ts";
import { LIMITS } from "../../core/limits.ts";
import { accountId, inviteId, memberId } from "../ids.ts";
import { idempotencyKey, inviteTerms, personText, time, usd } from "./common.ts";

const role = z.enum(ROLES).meta({
  description:
    "`owner`: everything, and the team. `billing`: sees and sends credits, begins no job. `developer`: begins jobs, reads. " +
    "`viewer`: only reads.",
  example: "developer",
});
const name = personText(1, LIMITS.memberNameCharacters).meta({ example: "Ada" });
const count = z.int().min(0);

export const member = z.object({
  id: memberId.meta({ example: "0R7uXmQ2b1vXkYt3Zp9aLc" }),
  name: z.string().meta({ example: "Ada" }),
  role,
  joined_at: time,
  removed_at: time.nullable(),
  keys: count.meta({ description: "Keys that are not revoked.", example: 2 }),
  month: z
    .object({ spent_usd: usd, held_usd: usd })
    .meta({ description: "What the jobs of its keys cost in this month (UTC), and what open ones have reserved." }),
});
export type Member = z.infer<typeof member>;

export const memberList = z.object({ data: z.array(member) });

export const changeMember = z.strictObject({ name: name.optional(), role: role.optional() });

export const createInvite = z.strictObject({
  role,
  name: name.optional().meta({ description: "For whom it is; shown in the list of invites.", example: "Ada" }),
  ...inviteTerms,
  id: idempotencyKey.optional(),
});

export const invite = z.object({
  id: inviteId.meta({ example: "0R7uXmQ2b1vXkYt3Zp9aLc" }),
  role,
  name: z.string().nullable(),
  made_by: memberId.meta({ description: "The member that made it." }),
  created_at: time,
  expires_at: time,
  uses: count.meta({ example: 1 }),
  used: count.meta({ example: 0 }),
  revoked_at: time.nullable(),
});

export const inviteList = z.object({ data: z.array(invite) });

export const createdInvite = invite.extend({
  token: z.string().meta({
    description: "What the invited sends to `POST /api/v1/team/join`. Only its hash is stored.",
    example: "tmi_…",
  }),
});

export const joinTeam = z.strictObject({
  token: z.string().min(1).max(128).meta({ description: "The invite's token.", example: "tmi_…" }),
  name,
  id: idempotencyKey.optional(),
});

export const joinedTeam = z.object({
  account: accountId,
  member,
  api_key: z.string().nullable().meta({
    description:
      "The member's first key, which may do all that its role allows. Null when it was revoked or rotated since.",
    example: "tm_…",
  }),
  notice: z.string().nullable().meta({ description: "Why there is no key text, when there is none." }),
  joined: z.boolean().meta({ description: "False when the same call has joined before." }),
});
