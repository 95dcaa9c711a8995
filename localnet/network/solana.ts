/** The local Solana as a process of the network: a new chain at every start. */

import { join } from "node:path";
import { ONE_MINT, USDC_MINT } from "../chain/mints.ts";
import { type Started, start, waitUntil } from "./processes.ts";

const READY_MS = 30_000;

/** What programs read to use it. */
export interface SolanaEntry {
  readonly rpc: string;
  /** For subscriptions: at the next port, where clients look for it. */
  readonly ws: string;
  readonly usdcMint: string;
  readonly stakeMint: string;
}

/** litesvm is built for these. */
const BUILDS: ReadonlySet<string> = new Set(["darwin-arm64", "darwin-x64", "linux-arm64", "linux-x64"]);

/** Whether a Solana runs on a machine; elsewhere the network does without. */
export function hasSolana(platform: string, arch: string): boolean {
  return BUILDS.has(`${platform}-${arch}`);
}

/** Starts the chain and waits until it answers. Its port and the next one must be free. */
export async function startSolana(options: {
  root: string;
  folder: string;
  port: number;
  faults: string | undefined;
  /** Told of the process as soon as it runs, so that it can be stopped before it is ready. */
  onStart: (chain: Started) => void;
}): Promise<SolanaEntry> {
  const { root, folder, port, faults, onStart } = options;
  const program = join(root, "localnet", "chain", "main.ts");
  const args = [program, "--port", String(port), ...(faults === undefined ? [] : ["--faults", faults])];
  const chain = start("The local Solana", args, { cwd: root, env: process.env, logFile: join(folder, "solana.log") });
  onStart(chain);
  const rpc = `http://127.0.0.1:${port}`;
  await waitUntil(chain, READY_MS, async () => ((await fetch(`${rpc}/health`)).ok ? true : null));
  return { rpc, ws: `ws://127.0.0.1:${port + 1}`, usdcMint: USDC_MINT, stakeMint: ONE_MINT };
}
