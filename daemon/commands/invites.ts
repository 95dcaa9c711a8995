/** `tollmill team invites`: the invites that were made, and their end. Their tokens were shown once and are stored nowhere. */

import type { z } from "zod";
import { isId128 } from "../../core/ids.ts";
import { inviteList, invite as inviteShape } from "../../protocol/network/team.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

type Invite = z.infer<typeof inviteShape>;

const PATH = "/api/v1/team/invites";

export async function listInvites(context: Context, flags: GlobalFlags): Promise<ExitCode> {
  const { data } = await callJson(await settingsOf(context, flags), PATH, inviteList);
  const { terminal } = context;
  if (flags.json === true) {
    for (const invite of data) terminal.out(JSON.stringify(invite));
    return EXIT.ok;
  }
  const rows = data.map((invite) => [
    invite.id,
    invite.role,
    invite.name ?? "",
    stateOf(invite),
    `${invite.used} of ${invite.uses}`,
    invite.made_by,
  ]);
  terminal.out(table(["id", "role", "for", "state", "used", "made by"], rows, ["used"]));
  return EXIT.ok;
}

export async function revokeInvite(context: Context, id: string, flags: GlobalFlags): Promise<ExitCode> {
  // The id goes into a path, so nothing else may.
  if (!isId128(id)) {
    const detail = "it has 22 letters and digits, and tollmill team invites shows it.";
    throw new Failure(EXIT.usage, `${id} is no invite id: ${detail}`);
  }
  const settings = await settingsOf(context, flags);
  const invite = await callJson(settings, `${PATH}/${id}`, inviteShape, { method: "DELETE" });
  if (flags.json === true) context.terminal.out(JSON.stringify(invite));
  else context.terminal.err(`Invite ${invite.id} is revoked: nobody joins by it any more, and who has joined stays.`);
  return EXIT.ok;
}

function stateOf({ revoked_at, expires_at, used, uses }: Invite): string {
  if (revoked_at !== null) return `revoked ${revoked_at.slice(0, 10)}`;
  if (used >= uses) return "used";
  return `${Date.parse(expires_at) <= Date.now() ? "expired" : "open until"} ${expires_at.slice(0, 16)}`;
}
