/** The commands for the network on this machine, as the command line describes them. */

import type { Command } from "commander";
import type { Context } from "./commands/context.ts";
import { askFaucet, type FaucetFlags } from "./commands/faucet.ts";
import type { ExitCode } from "./failure.ts";
import { httpUrl } from "./flags.ts";

export function addLocal(program: Command, context: Context, done: (code: ExitCode) => void): void {
  program
    .command("local")
    .description("the Solana of the network that npm start runs")
    .command("faucet")
    .description("give an address coins of the local chain, worth nothing anywhere else")
    .argument("<address>", "a Solana address")
    .option("--sol <amount>", "how much SOL")
    .option("--usdc <amount>", "how much USDC")
    .option("--one <amount>", "how much $ONE")
    .option("--rpc <url>", "the chain (else that of this folder, else http://127.0.0.1:8899)", httpUrl)
    .action(async (address: string, _flags, command: Command) => {
      done(await askFaucet(context, address, command.optsWithGlobals<FaucetFlags>()));
    });
}
