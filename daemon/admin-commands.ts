/** The commands of a network's operators, as the command line describes them. */

import { type Command, Option } from "commander";
import { LIMITS } from "../core/limits.ts";
import { REVERSAL_STATES } from "../protocol/network/reversals.ts";
import { type ChecksFlags, listChecks } from "./commands/checks.ts";
import type { AdminFlags, Context } from "./commands/context.ts";
import {
  type ApproveFlags,
  approveReversal,
  declineReversal,
  type ListFlags,
  listReversals,
  type ProposeFlags,
  proposeReversal,
} from "./commands/reversals.ts";
import { type CodesFlags, makeCodes } from "./commands/starters.ts";
import { addAdminDeposits } from "./deposit-commands.ts";
import type { ExitCode } from "./failure.ts";
import { wholeNumber } from "./flags.ts";
import { addAdminMessages } from "./message-commands.ts";

const CODE_DAYS = 30;
const MOST_CODE_DAYS = 3_650;

export function addAdmin(program: Command, context: Context, done: (code: ExitCode) => void): void {
  const admin = program
    .command("admin")
    .description("what operators of a network do")
    .option("--key <key>", "an operator's key (TOLLMILL_ADMIN_KEY; else that of the local network of this folder)");
  admin
    .command("checks")
    .description("the checks that daemons failed, and what was taken back for it, newest first")
    .option("--open", "only those that are not done")
    .action(async (_flags, command: Command) => {
      done(await listChecks(context, command.optsWithGlobals<ChecksFlags>()));
    });
  admin
    .command("starter-codes")
    .description("codes that each bring one account a starter balance, one a line")
    .argument("<batch>", "what they are for: the same name gives the same codes")
    .option("--count <n>", "how many", wholeNumber(1, LIMITS.maxPageRows), 1)
    .option("--days <n>", "how long they may be used", wholeNumber(1, MOST_CODE_DAYS), CODE_DAYS)
    .action(async (batch: string, _flags, command: Command) => {
      done(await makeCodes(context, batch, command.optsWithGlobals<CodesFlags>()));
    });
  addAdminDeposits(admin, context, done);
  addAdminMessages(admin, context, done);
  const reversals = admin.command("reversals").description("taking receipts back, which needs two operators");
  reversals
    .command("list")
    .description("what was proposed and what became of it, newest first")
    .addOption(new Option("--state <state>", "only those in this state").choices(REVERSAL_STATES))
    .action(async (_flags, command: Command) => {
      done(await listReversals(context, command.optsWithGlobals<ListFlags>()));
    });
  reversals
    .command("propose")
    .description("propose to take a job's receipt back; another operator has to approve it")
    .argument("<account>", "the account that was charged")
    .argument("<job>", "the job")
    .requiredOption("--reason <text>", "why; it stands in the receipt")
    .option("--id <id>", "the proposal's id: the same id never proposes twice")
    .action(async (account: string, job: string, _flags, command: Command) => {
      done(await proposeReversal(context, account, job, command.optsWithGlobals<ProposeFlags>()));
    });
  reversals
    .command("approve")
    .description("carry out what another operator proposed; without --yes it only says what it would do")
    .argument("<id>", "the proposal's id")
    .option("--yes", "really take the receipt back")
    .action(async (id: string, _flags, command: Command) => {
      done(await approveReversal(context, id, command.optsWithGlobals<ApproveFlags>()));
    });
  reversals
    .command("decline")
    .description("close a proposal for good")
    .argument("<id>", "the proposal's id")
    .action(async (id: string, _flags, command: Command) => {
      done(await declineReversal(context, id, command.optsWithGlobals<AdminFlags>()));
    });
}
