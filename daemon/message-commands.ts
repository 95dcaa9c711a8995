/** The commands with which operators tell daemons something, as the command line describes them. */

import { type Command, Option } from "commander";
import { NOTICE_LEVELS } from "../protocol/daemon/messages.ts";
import type { AdminFlags, Context } from "./commands/context.ts";
import { listMessages, type SendMessageFlags, sendMessage, withdrawMessage } from "./commands/operator-messages.ts";
import type { ExitCode } from "./failure.ts";
import { idEntry, moment } from "./flags.ts";

export function addAdminMessages(admin: Command, context: Context, done: (code: ExitCode) => void): void {
  const messages = admin.command("messages").description("messages to the people who run daemons");
  messages
    .command("list")
    .description("what was sent, newest first")
    .action(async (_flags, command: Command) => {
      done(await listMessages(context, command.optsWithGlobals<AdminFlags>()));
    });
  messages
    .command("send")
    .description("tell daemons something: those that are connected, and those that connect until a time")
    .argument("<text>", "what their logs show")
    .requiredOption("--until <time>", "the day or time, in UTC, from which daemons that connect are not told", moment)
    .addOption(new Option("--level <level>", "how their logs show it").choices(NOTICE_LEVELS).default("info"))
    .option("--daemon <id>", "for one daemon")
    .option("--account <id>", "for an account's daemons", idEntry)
    .option("--all", "for every daemon")
    .option("--id <id>", "the message's id: the same id is shown once")
    .action(async (text: string, _flags, command: Command) => {
      done(await sendMessage(context, text, command.optsWithGlobals<SendMessageFlags>()));
    });
  messages
    .command("withdraw")
    .description("tell no more daemons of a message")
    .argument("<id>", "the message's id")
    .action(async (id: string, _flags, command: Command) => {
      done(await withdrawMessage(context, id, command.optsWithGlobals<AdminFlags>()));
    });
}
