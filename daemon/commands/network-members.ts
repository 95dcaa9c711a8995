/** `tollmill networks`: who is in a private network, and who comes in. Tokens go to stdout alone, what is said of them to stderr. */

import { randomUUID } from "node:crypto";
import { isId128 } from "../../core/ids.ts";
import {
  createdNetworkInvite,
  endedMember,
  joinedNetwork,
  type NetworkInvite,
  networkInvite,
  networkInviteList,
} from "../../protocol/network/private-networks.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";
import { networkPath } from "./private-networks.ts";
import type { InviteFlags } from "./team.ts";

export interface JoinNetworkFlags extends GlobalFlags {
  readonly name?: string;
}

export async function inviteToNetwork(context: Context, id: string, flags: InviteFlags): Promise<ExitCode> {
  const { name, expires, uses } = flags;
  const body = {
    ...(name === undefined ? {} : { name }),
    ...(expires === undefined ? {} : { expires_at: expires }),
    ...(uses === undefined ? {} : { uses }),
  };
  const call = { method: "POST", body, idempotencyKey: randomUUID() } as const;
  const made = await callJson(
    await settingsOf(context, flags),
    `${networkPath(id)}/invites`,
    createdNetworkInvite,
    call,
  );
  const { terminal } = context;
  if (flags.json === true) {
    terminal.out(JSON.stringify(made));
    return EXIT.ok;
  }
  const times = made.uses === 1 ? "once" : `${made.uses} times`;
  terminal.err(`Invite ${made.id}, to be used ${times} until ${made.expires_at}:`);
  terminal.out(made.token);
  return EXIT.ok;
}

export async function listNetworkInvites(context: Context, id: string, flags: GlobalFlags): Promise<ExitCode> {
  const { data } = await callJson(await settingsOf(context, flags), `${networkPath(id)}/invites`, networkInviteList);
  const { terminal } = context;
  if (flags.json === true) {
    for (const invite of data) terminal.out(JSON.stringify(invite));
    return EXIT.ok;
  }
  const rows = data.map((each) => [each.id, each.name ?? "", stateOf(each), `${each.used} of ${each.uses}`]);
  terminal.out(table(["id", "for", "state", "used"], rows, ["used"]));
  return EXIT.ok;
}

export async function revokeNetworkInvite(
  context: Context,
  id: string,
  invite: string,
  flags: GlobalFlags,
): Promise<ExitCode> {
  const path = `${networkPath(id)}/invites/${checked(invite, "invite", `tollmill networks invites ${id}`)}`;
  const revoked = await callJson(await settingsOf(context, flags), path, networkInvite, { method: "DELETE" });
  if (flags.json === true) context.terminal.out(JSON.stringify(revoked));
  else context.terminal.err(`Invite ${revoked.id} is revoked: nobody joins by it any more, and who has joined stays.`);
  return EXIT.ok;
}

export async function joinNetwork(context: Context, token: string, flags: JoinNetworkFlags): Promise<ExitCode> {
  const { name } = flags;
  const call = { method: "POST", body: { token, ...(name === undefined ? {} : { name }) } } as const;
  const { network, joined } = await callJson(
    await settingsOf(context, flags),
    "/api/v1/networks/join",
    joinedNetwork,
    call,
  );
  const { terminal } = context;
  if (flags.json === true) terminal.out(JSON.stringify({ network, joined }));
  else {
    terminal.err(`${joined ? "You are in" : "You were already in"} the network ${network.name}. Its id:`);
    terminal.out(network.id);
  }
  return EXIT.ok;
}

export async function leaveNetwork(context: Context, id: string, flags: GlobalFlags): Promise<ExitCode> {
  return await end(context, id, "me", flags, "You have left the network, and your daemons serve it no more.");
}

export async function removeFromNetwork(
  context: Context,
  id: string,
  member: string,
  flags: GlobalFlags,
): Promise<ExitCode> {
  const known = checked(member, "member", `tollmill networks show ${id}`);
  return await end(context, id, known, flags, `${known} is removed, and its daemons serve the network no more.`);
}

async function end(context: Context, id: string, member: string, flags: GlobalFlags, said: string): Promise<ExitCode> {
  const path = `${networkPath(id)}/members/${member}`;
  const ended = await callJson(await settingsOf(context, flags), path, endedMember, { method: "DELETE" });
  if (flags.json === true) context.terminal.out(JSON.stringify(ended));
  else context.terminal.err(said);
  return EXIT.ok;
}

/** An id that goes into a path, so nothing else may. */
function checked(id: string, what: string, shownBy: string): string {
  if (isId128(id)) return id;
  throw new Failure(EXIT.usage, `${id} is no ${what}'s id: it has 22 letters and digits, and ${shownBy} shows it.`);
}

function stateOf({ revoked_at, expires_at, used, uses }: NetworkInvite): string {
  if (revoked_at !== null) return `revoked ${revoked_at.slice(0, 10)}`;
  if (used >= uses) return "used";
  return `${Date.parse(expires_at) <= Date.now() ? "expired" : "open until"} ${expires_at.slice(0, 16)}`;
}
