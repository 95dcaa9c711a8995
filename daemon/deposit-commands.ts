/** The commands about money that comes in, as the command line describes them. */

import { type Command, Option } from "commander";
import { RESOLUTION_STATES } from "../protocol/network/deposit-resolutions.ts";
import { PAYMENT_STATES } from "../protocol/network/deposits.ts";
import {
  type ApproveFlags,
  approveForDeposit,
  declineForDeposit,
  listDeposits,
  listResolutions,
  type ProposeFlags,
  proposeForDeposit,
  type StateFlags,
} from "./commands/admin-deposits.ts";
import type { AdminFlags, Context, GlobalFlags } from "./commands/context.ts";
import { type DepositFlags, deposit, showPackages } from "./commands/deposit.ts";
import type { ExitCode } from "./failure.ts";
import { httpUrl, wholeNumber } from "./flags.ts";

const DAY_SECONDS = 86_400;
/** Long enough for a person with a wallet. */
const WAIT_SECONDS = 900;

export function addDeposits(program: Command, context: Context, done: (code: ExitCode) => void): void {
  program
    .command("deposit")
    .description("pay in USDC on Solana: prints a link with its QR code and waits until it is credited")
    .argument("<what>", "an amount in USD, or a package: starter, team, scale")
    .option("--id <id>", "the deposit's id: the same id never asks twice")
    .option("--no-wait", "only print the link")
    .option("--timeout <seconds>", "how long to wait", wholeNumber(1, DAY_SECONDS), WAIT_SECONDS)
    .option("--pay", "pay from the faucet of the local Solana")
    .option("--rpc <url>", "with --pay: that chain (else that of this folder, else http://127.0.0.1:8899)", httpUrl)
    .action(async (what: string, _flags, command: Command) => {
      done(await deposit(context, what, command.optsWithGlobals<DepositFlags>()));
    });
  program
    .command("packages")
    .description("the packages on offer: usage with slots reserved for it")
    .action(async (_flags, command: Command) => {
      done(await showPackages(context, command.optsWithGlobals<GlobalFlags>()));
    });
}

/** The operators' part, below `tollmill admin`. */
export function addAdminDeposits(admin: Command, context: Context, done: (code: ExitCode) => void): void {
  const deposits = admin.command("deposits").description("what arrived; what nobody can tell needs two operators");
  deposits
    .command("list")
    .description("what arrived at the treasury, newest first")
    .addOption(new Option("--state <state>", "only those in this state").choices(PAYMENT_STATES))
    .action(async (_flags, command: Command) => {
      done(await listDeposits(context, command.optsWithGlobals<StateFlags>()));
    });
  deposits
    .command("proposals")
    .description("what was proposed for deposits in suspense, newest first")
    .addOption(new Option("--state <state>", "only those in this state").choices(RESOLUTION_STATES))
    .action(async (_flags, command: Command) => {
      done(await listResolutions(context, command.optsWithGlobals<StateFlags>()));
    });
  const proposing = (command: Command) =>
    command
      .requiredOption("--reason <text>", "why")
      .option("--id <id>", "the proposal's id: the same id never proposes twice");
  proposing(
    deposits
      .command("credit")
      .description("propose to credit an account with a deposit in suspense; another operator has to approve it")
      .argument("<deposit>", "the deposit")
      .argument("<account>", "the account that gets it"),
  ).action(async (one: string, account: string, _flags, command: Command) => {
    done(await proposeForDeposit(context, one, { action: "credit", account }, command.optsWithGlobals<ProposeFlags>()));
  });
  proposing(
    deposits
      .command("returned")
      .description("propose to note that a deposit was paid back; the reason names the transaction")
      .argument("<deposit>", "the deposit"),
  ).action(async (one: string, _flags, command: Command) => {
    done(await proposeForDeposit(context, one, { action: "return" }, command.optsWithGlobals<ProposeFlags>()));
  });
  proposing(
    deposits
      .command("kept")
      .description("propose to note that a deposit is the network's own: paid into the treasury by its founders")
      .argument("<deposit>", "the deposit"),
  ).action(async (one: string, _flags, command: Command) => {
    done(await proposeForDeposit(context, one, { action: "keep" }, command.optsWithGlobals<ProposeFlags>()));
  });
  deposits
    .command("approve")
    .description("carry out what another operator proposed")
    .argument("<id>", "the proposal's id")
    .option("--yes", "really do it")
    .action(async (id: string, _flags, command: Command) => {
      done(await approveForDeposit(context, id, command.optsWithGlobals<ApproveFlags>()));
    });
  deposits
    .command("decline")
    .description("close a proposal for good")
    .argument("<id>", "the proposal's id")
    .action(async (id: string, _flags, command: Command) => {
      done(await declineForDeposit(context, id, command.optsWithGlobals<AdminFlags>()));
    });
}
