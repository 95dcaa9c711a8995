/** The local Solana as a process of its own, as `npm start` runs it. */

import { randomUUID } from "node:crypto";
import { Command, InvalidArgumentError } from "commander";
import { type Fault, parseFaults } from "./faults.ts";
import { startChain } from "./start-chain.ts";

interface Options {
  readonly port: number;
  readonly seed?: string;
  readonly faults: readonly Fault[];
  readonly faultSeed: number;
}

const { port, seed, faults, faultSeed } = new Command("chain")
  .option("--port <port>", "of JSON-RPC; subscriptions are at the next one", whole, 8899)
  .option("--seed <text>", "what its blockhashes follow from (else chance)")
  .option("--faults <list>", "what goes wrong, such as drop@0.1,lag=5@0.3", faultsOf, [])
  .option("--fault-seed <n>", "what their chances follow from", whole, 1)
  .parse()
  .opts<Options>();

function whole(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError("It must be a whole number.");
}

function faultsOf(text: string): Fault[] {
  try {
    return parseFaults(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

// A signature of an earlier run must mean nothing to this one, whose clients may remember it.
const running = await startChain({ port, clock: "running", faults, faultSeed, seed: seed ?? randomUUID() });
console.log(`${running.url} ${running.wsUrl}`);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void running.close());
