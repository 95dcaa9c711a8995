/** The commands that sign in and look after wallets, as the command line describes them. */

import type { Command } from "commander";
import type { Context, GlobalFlags } from "./commands/context.ts";
import { redeemStarter } from "./commands/starters.ts";
import {
  type LinkFlags,
  linkOwn,
  listWallets,
  login,
  logout,
  unlinkOwn,
  type WalletFlags,
} from "./commands/wallets.ts";
import type { ExitCode } from "./failure.ts";

const KEYPAIR = ["--keypair <file>", "the wallet, as solana-keygen writes it (else ~/.config/solana/id.json)"] as const;

export function addWallets(program: Command, context: Context, done: (code: ExitCode) => void): void {
  program
    .command("login")
    .description("sign in with a wallet; the first time opens an account, whose id is written to stdout")
    .option(...KEYPAIR)
    .action(async (_flags, command: Command) => {
      done(await login(context, command.optsWithGlobals<WalletFlags>()));
    });
  program
    .command("logout")
    .description("end this machine's session")
    .action(async (_flags, command: Command) => {
      done(await logout(context, command.optsWithGlobals<GlobalFlags>()));
    });
  program
    .command("starter")
    .description("use a code that an operator gave you: it brings the account its starter balance")
    .argument("<code>", "the code (tmc_…)")
    .action(async (code: string, _flags, command: Command) => {
      done(await redeemStarter(context, code, command.optsWithGlobals<GlobalFlags>()));
    });
  const wallets = program
    .command("wallets")
    .description("the wallets that sign you in")
    .action(async (_flags, command: Command) => {
      done(await listWallets(context, command.optsWithGlobals<GlobalFlags>()));
    });
  wallets
    .command("link")
    .description("let another wallet sign in; from the session of a recovery wallet it takes the place of those before")
    .option(...KEYPAIR)
    .option("--recovery", "only to restore access")
    .action(async (_flags, command: Command) => {
      done(await linkOwn(context, command.optsWithGlobals<LinkFlags>()));
    });
  wallets
    .command("unlink")
    .description("let a wallet sign in no more, and end what it has begun")
    .argument("<address>", "the wallet")
    .option("--keypair <file>", "that wallet, or another one that signs you in (else ~/.config/solana/id.json)")
    .action(async (address: string, _flags, command: Command) => {
      done(await unlinkOwn(context, address, command.optsWithGlobals<WalletFlags>()));
    });
}
