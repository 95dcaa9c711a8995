/** The commands that look after an account's daemons, as the command line describes them. */

import type { Command } from "commander";
import type { Context, GlobalFlags } from "./commands/context.ts";
import { drainDaemon, listDaemons, resumeDaemon, showDaemon } from "./commands/daemons.ts";
import type { ExitCode } from "./failure.ts";

export function addDaemons(program: Command, context: Context, done: (code: ExitCode) => void): void {
  const daemons = program
    .command("daemons")
    .description("the account's daemons, and what state each is in")
    .action(async (_flags, command: Command) => {
      done(await listDaemons(context, command.optsWithGlobals<GlobalFlags>()));
    });
  const verbs = [
    ["show", "one daemon: its models, schedule, power and jobs", showDaemon],
    ["drain", "give a daemon no new jobs, also when it starts again; those that run go on to their end", drainDaemon],
    ["resume", "give a daemon jobs again", resumeDaemon],
  ] as const;
  for (const [verb, description, perform] of verbs) {
    daemons
      .command(verb)
      .description(description)
      .argument("<id>", "the daemon's id")
      .action(async (id: string, _flags, command: Command) => {
        done(await perform(context, id, command.optsWithGlobals<GlobalFlags>()));
      });
  }
}
