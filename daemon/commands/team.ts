/** `tollmill team`: the account's members and invites. Tokens and keys go to stdout alone, what is said of them to stderr. */

import { randomUUID } from "node:crypto";
import type { Role } from "../../core/account/team.ts";
import { isId128 } from "../../core/ids.ts";
import {
  createdInvite,
  joinedTeam,
  type Member,
  memberList,
  member as memberShape,
} from "../../protocol/network/team.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { table } from "../output/tables.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

const PATH = "/api/v1/team";

export interface InviteFlags extends GlobalFlags {
  readonly name?: string;
  /** RFC 3339. */
  readonly expires?: string;
  readonly uses?: number;
}

export interface JoinFlags extends GlobalFlags {
  readonly id?: string;
}

export async function listTeam(context: Context, flags: GlobalFlags): Promise<ExitCode> {
  const { data } = await callJson(await settingsOf(context, flags), PATH, memberList);
  const { terminal } = context;
  if (flags.json === true) {
    for (const member of data) terminal.out(JSON.stringify(member));
    return EXIT.ok;
  }
  const rows = data.map((member) => [
    member.id,
    member.name,
    member.role,
    member.removed_at === null ? "active" : `removed ${member.removed_at.slice(0, 10)}`,
    String(member.keys),
    member.month.spent_usd,
  ]);
  terminal.out(table(["id", "name", "role", "state", "keys", "USD this month"], rows, ["keys", "USD this month"]));
  return EXIT.ok;
}

export async function invite(context: Context, role: Role, flags: InviteFlags): Promise<ExitCode> {
  const { name, expires, uses } = flags;
  const body = {
    role,
    ...(name === undefined ? {} : { name }),
    ...(expires === undefined ? {} : { expires_at: expires }),
    ...(uses === undefined ? {} : { uses }),
  };
  const call = { method: "POST", body, idempotencyKey: randomUUID() } as const;
  const made = await callJson(await settingsOf(context, flags), `${PATH}/invites`, createdInvite, call);
  const { terminal } = context;
  if (flags.json === true) {
    terminal.out(JSON.stringify(made));
    return EXIT.ok;
  }
  const times = made.uses === 1 ? "once" : `${made.uses} times`;
  terminal.err(`Invite ${made.id} for the role ${made.role}, to be used ${times} until ${made.expires_at}:`);
  terminal.out(made.token);
  return EXIT.ok;
}

export async function join(context: Context, token: string, name: string, flags: JoinFlags): Promise<ExitCode> {
  const call = { method: "POST", body: { token, name }, idempotencyKey: flags.id ?? randomUUID() } as const;
  // Whoever joins has no key of this account yet, and one of another account is not for this call.
  const settings = { ...(await settingsOf(context, flags)), apiKey: null };
  const joined = await callJson(settings, `${PATH}/join`, joinedTeam, call);
  const { terminal } = context;
  if (flags.json === true) {
    terminal.out(JSON.stringify(joined));
    return EXIT.ok;
  }
  if (joined.api_key === null)
    throw new Failure(EXIT.refused, joined.notice ?? "The network did not show the key's text.");
  const { id, role } = joined.member;
  terminal.err(`You are member ${id} of the account ${joined.account}, as ${role}. Your key:`);
  terminal.out(joined.api_key);
  return EXIT.ok;
}

export async function changeRole(context: Context, id: string, role: Role, flags: GlobalFlags): Promise<ExitCode> {
  const call = { method: "PATCH", body: { role } } as const;
  return await change(context, id, flags, call, ({ name }) => `${name} is ${role} now.`);
}

export async function removeMember(context: Context, id: string, flags: GlobalFlags): Promise<ExitCode> {
  const said = ({ name }: Member) => `${name} is removed for good, and every key of that member revoked.`;
  return await change(context, id, flags, { method: "DELETE" }, said);
}

/** Changes one member and says so. */
async function change(
  context: Context,
  id: string,
  flags: GlobalFlags,
  call: { readonly method: "PATCH" | "DELETE"; readonly body?: object },
  said: (member: Member) => string,
): Promise<ExitCode> {
  // The id goes into a path, so nothing else may.
  if (!isId128(id)) {
    throw new Failure(
      EXIT.usage,
      `${id} is no member id: it has 22 letters and digits, and tollmill team list shows it.`,
    );
  }
  const member = await callJson(await settingsOf(context, flags), `${PATH}/members/${id}`, memberShape, call);
  if (flags.json === true) context.terminal.out(JSON.stringify(member));
  else context.terminal.err(said(member));
  return EXIT.ok;
}
