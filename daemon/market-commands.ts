/** The commands that look at the market, as the command line describes them. */

import type { Command } from "commander";
import type { Context, GlobalFlags } from "./commands/context.ts";
import { type AuctionFlags, showAuction, showMarket } from "./commands/market.ts";
import type { ExitCode } from "./failure.ts";
import { idEntry } from "./flags.ts";

export function addMarket(program: Command, context: Context, done: (code: ExitCode) => void): void {
  const market = program
    .command("market")
    .description("what is asked and what waits, pool by pool")
    .action(async (_flags, command: Command) => {
      done(await showMarket(context, command.optsWithGlobals<GlobalFlags>()));
    });
  market
    .command("auction")
    .description("who asked what for a job, and who got it")
    .argument("<job>", "the job's id", idEntry)
    .option("--verify", "compute it again from what the network has published")
    .action(async (job: string, _flags, command: Command) => {
      done(await showAuction(context, job, command.optsWithGlobals<AuctionFlags>()));
    });
}
