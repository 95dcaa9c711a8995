/** The commands that look after an account's team, as the command line describes them. */

import { Argument, type Command } from "commander";
import { ROLES, type Role } from "../core/account/team.ts";
import { LIMITS } from "../core/limits.ts";
import type { Context, GlobalFlags } from "./commands/context.ts";
import { listInvites, revokeInvite } from "./commands/invites.ts";
import { changeRole, type InviteFlags, invite, type JoinFlags, join, listTeam, removeMember } from "./commands/team.ts";
import type { ExitCode } from "./failure.ts";
import { moment, wholeNumber } from "./flags.ts";

export function addTeam(program: Command, context: Context, done: (code: ExitCode) => void): void {
  const team = program.command("team").description("the account's members, their roles, and invites");
  team
    .command("list")
    .description("the members, with what their jobs cost this month")
    .action(async (_flags, command: Command) => {
      done(await listTeam(context, command.optsWithGlobals<GlobalFlags>()));
    });
  team
    .command("invite")
    .description("invite somebody; the token alone is written to stdout")
    .addArgument(new Argument("<role>", "what the new member may do").choices(ROLES))
    .option("--name <name>", "for whom it is")
    .option("--expires <time>", "the day or time, in UTC, from which it is refused (else in a week)", moment)
    .option("--uses <n>", "how many may join by it (else one)", wholeNumber(1, LIMITS.inviteUses))
    .action(async (role: Role, _flags, command: Command) => {
      done(await invite(context, role, command.optsWithGlobals<InviteFlags>()));
    });
  const invites = team
    .command("invites")
    .description("the invites that were made, and which of them are open")
    .action(async (_flags, command: Command) => {
      done(await listInvites(context, command.optsWithGlobals<GlobalFlags>()));
    });
  invites
    .command("revoke")
    .description("let nobody join by an invite any more")
    .argument("<id>", "the invite's id")
    .action(async (id: string, _flags, command: Command) => {
      done(await revokeInvite(context, id, command.optsWithGlobals<GlobalFlags>()));
    });
  team
    .command("join")
    .description("join a team; the new key's text alone is written to stdout")
    .argument("<token>", "the invite's token")
    .argument("<name>", "how the team calls you")
    .option("--id <id>", "the call's id: the same id joins once, and gets the same key")
    .action(async (token: string, name: string, _flags, command: Command) => {
      done(await join(context, token, name, command.optsWithGlobals<JoinFlags>()));
    });
  team
    .command("role")
    .description("give a member another role; a lower one counts at once")
    .argument("<id>", "the member's id")
    .addArgument(new Argument("<role>", "the new role").choices(ROLES))
    .action(async (id: string, role: Role, _flags, command: Command) => {
      done(await changeRole(context, id, role, command.optsWithGlobals<GlobalFlags>()));
    });
  team
    .command("remove")
    .description("remove a member for good and revoke its keys")
    .argument("<id>", "the member's id")
    .action(async (id: string, _flags, command: Command) => {
      done(await removeMember(context, id, command.optsWithGlobals<GlobalFlags>()));
    });
}
