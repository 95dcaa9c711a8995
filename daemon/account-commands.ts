/** The commands that look after an account's keys, usage and service levels, as the command line describes them. */

import { type Command, Option } from "commander";
import { RESETS } from "../core/account/budget.ts";
import { SCOPES } from "../core/account/scopes.ts";
import { USAGE_BY } from "../core/account/usage.ts";
import { LIMITS } from "../core/limits.ts";
import type { Context, GlobalFlags } from "./commands/context.ts";
import {
  type CreateKeyFlags,
  createKey,
  listKeys,
  type RotateKeyFlags,
  revokeKey,
  rotateKey,
} from "./commands/keys.ts";
import { type ServiceFlags, showService } from "./commands/service.ts";
import { showUsage, type UsageFlags } from "./commands/usage.ts";
import type { ExitCode } from "./failure.ts";
import { catalogModel, day, idEntry, moment, scopeEntry, usdAmount, wholeNumber } from "./flags.ts";

export function addUsage(program: Command, context: Context, done: (code: ExitCode) => void): void {
  program
    .command("usage")
    .description("what the account's jobs used and cost")
    .addOption(new Option("--by <group>", "what it is split by").choices(USAGE_BY).default("day"))
    .option("--from <time>", "the first day or time, in UTC (else 30 days back)", moment)
    .option("--to <time>", "the day or time before which jobs ended", moment)
    .action(async (_flags, command: Command) => {
      done(await showUsage(context, command.optsWithGlobals<UsageFlags>()));
    });
}

export function addService(program: Command, context: Context, done: (code: ExitCode) => void): void {
  program
    .command("service")
    .description("how long jobs in reserved slots waited, by day, and what missed days gave back")
    .option("--from <day>", "the first day, in UTC (else 30 days back)", day)
    .action(async (_flags, command: Command) => {
      done(await showService(context, command.optsWithGlobals<ServiceFlags>()));
    });
}

export function addKeys(program: Command, context: Context, done: (code: ExitCode) => void): void {
  const keys = program
    .command("keys")
    .description("the account's API keys")
    .action(async (_flags, command: Command) => {
      done(await listKeys(context, command.optsWithGlobals<GlobalFlags>()));
    });
  keys
    .command("create")
    .description("make a key; its text alone is written to stdout, this once")
    .argument("<name>", "how the list calls it")
    .option("--scope <scope>", `what it may do: ${SCOPES.join(", ")} (repeatable; else inference and read)`, scopeEntry)
    .option("--model <id>", "a model that it may use (repeatable; else all)", catalogModel)
    .option("--budget <usd>", "what its jobs may cost", usdAmount)
    .addOption(new Option("--reset <when>", "when its budget begins anew (else never)").choices(RESETS))
    .option("--expires <time>", "the day or time, in UTC, from which it is refused", moment)
    .option("--member <id>", "the member whose key it becomes, if an owner makes it (else one's own)", idEntry)
    .option("--requests-per-minute <n>", "jobs that it may begin in a minute", wholeNumber(1, LIMITS.requestsPerMinute))
    .action(async (name: string, _flags, command: Command) => {
      done(await createKey(context, name, command.optsWithGlobals<CreateKeyFlags>()));
    });
  keys
    .command("rotate")
    .description("give a key a new text; the old one is taken for a while")
    .argument("<id>", "the key's id")
    .option("--overlap <seconds>", "how long (else a day)", wholeNumber(0, LIMITS.keyOverlapSeconds))
    .action(async (id: string, _flags, command: Command) => {
      done(await rotateKey(context, id, command.optsWithGlobals<RotateKeyFlags>()));
    });
  keys
    .command("revoke")
    .description("refuse a key from now on, for good")
    .argument("<id>", "the key's id")
    .action(async (id: string, _flags, command: Command) => {
      done(await revokeKey(context, id, command.optsWithGlobals<GlobalFlags>()));
    });
}
