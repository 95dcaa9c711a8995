/** The commands of private networks, as the command line describes them. */

import type { Command } from "commander";
import { LIMITS } from "../core/limits.ts";
import type { Context, GlobalFlags } from "./commands/context.ts";
import {
  inviteToNetwork,
  type JoinNetworkFlags,
  joinNetwork,
  leaveNetwork,
  listNetworkInvites,
  removeFromNetwork,
  revokeNetworkInvite,
} from "./commands/network-members.ts";
import {
  type CreateFlags,
  changeRates,
  closeNetwork,
  createNetwork,
  listNetworks,
  type RatesFlags,
  showNetwork,
} from "./commands/private-networks.ts";
import type { InviteFlags } from "./commands/team.ts";
import type { ExitCode } from "./failure.ts";
import { catalogModel, moment, rateEntry, wholeNumber } from "./flags.ts";

const ID = ["<network>", "the network's id"] as const;
const RATE = [
  "--rate <model=prompt/completion>",
  "USD per 1,000 prompt and completion tokens of a model (repeatable)",
] as const;

export function addNetworks(program: Command, context: Context, done: (code: ExitCode) => void): void {
  const networks = program
    .command("networks")
    .description("private networks: members serve each other at rates that the admin sets");
  networks
    .command("list", { isDefault: true })
    .description("the networks that the account is in")
    .action(async (_flags, command: Command) => {
      done(await listNetworks(context, command.optsWithGlobals<GlobalFlags>()));
    });
  networks
    .command("show")
    .description("a network's rates and members")
    .argument(...ID)
    .action(async (id: string, _flags, command: Command) => {
      done(await showNetwork(context, id, command.optsWithGlobals<GlobalFlags>()));
    });
  networks
    .command("create")
    .description("make a network; its id alone is written to stdout")
    .argument("<name>", "what its members see")
    .option(...RATE, rateEntry, new Map())
    .option("--id <id>", "the call's id: the same id makes one network")
    .action(async (name: string, _flags, command: Command) => {
      done(await createNetwork(context, name, command.optsWithGlobals<CreateFlags>()));
    });
  networks
    .command("rates")
    .description("set rates, take models out, or give another name; other models keep their rates")
    .argument(...ID)
    .option(...RATE, rateEntry, new Map())
    .option("--drop <model>", "serve a model no more (repeatable)", catalogModel, [])
    .option("--name <name>", "another name")
    .action(async (id: string, _flags, command: Command) => {
      done(await changeRates(context, id, command.optsWithGlobals<RatesFlags>()));
    });
  networks
    .command("close")
    .description("close a network for good")
    .argument(...ID)
    .action(async (id: string, _flags, command: Command) => {
      done(await closeNetwork(context, id, command.optsWithGlobals<GlobalFlags>()));
    });
  addMembers(networks, context, done);
}

function addMembers(networks: Command, context: Context, done: (code: ExitCode) => void): void {
  networks
    .command("invite")
    .description("invite others; the token alone is written to stdout")
    .argument(...ID)
    .option("--name <name>", "for whom it is")
    .option("--expires <time>", "the day or time, in UTC, from which it is refused (else in a week)", moment)
    .option("--uses <n>", "how many may join by it (else one)", wholeNumber(1, LIMITS.inviteUses))
    .action(async (id: string, _flags, command: Command) => {
      done(await inviteToNetwork(context, id, command.optsWithGlobals<InviteFlags>()));
    });
  networks
    .command("invites")
    .description("the invites that were made, and which of them are open")
    .argument(...ID)
    .action(async (id: string, _flags, command: Command) => {
      done(await listNetworkInvites(context, id, command.optsWithGlobals<GlobalFlags>()));
    });
  networks
    .command("revoke")
    .description("let nobody join by an invite any more")
    .argument(...ID)
    .argument("<invite>", "the invite's id")
    .action(async (id: string, invite: string, _flags, command: Command) => {
      done(await revokeNetworkInvite(context, id, invite, command.optsWithGlobals<GlobalFlags>()));
    });
  networks
    .command("join")
    .description("join a network; its id alone is written to stdout")
    .argument("<token>", "the invite's token")
    .option("--name <name>", "how the other members call you")
    .action(async (token: string, _flags, command: Command) => {
      done(await joinNetwork(context, token, command.optsWithGlobals<JoinNetworkFlags>()));
    });
  networks
    .command("leave")
    .description("leave a network")
    .argument(...ID)
    .action(async (id: string, _flags, command: Command) => {
      done(await leaveNetwork(context, id, command.optsWithGlobals<GlobalFlags>()));
    });
  networks
    .command("remove")
    .description("remove a member; it comes back by a newer invite only")
    .argument(...ID)
    .argument("<member>", "the member's id")
    .action(async (id: string, member: string, _flags, command: Command) => {
      done(await removeFromNetwork(context, id, member, command.optsWithGlobals<GlobalFlags>()));
    });
}
