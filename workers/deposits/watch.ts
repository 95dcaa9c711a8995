/** What makes the network look for deposits: the clock, and whoever waits for one. */

import type { IntentRow } from "../../db/deposit-intents.ts";
import { emitError } from "../../durable-objects/shared/events.ts";
import { configOf, type SolanaConfig } from "../config.ts";
import type { Scan } from "./scan.ts";

/** Looks at everything. Does nothing in a network that takes no deposits. */
export async function scanForDeposits(env: Env, now: number): Promise<void> {
  const { solana } = configOf(env);
  if (solana === null) return;
  const { scanDeposits } = await import("./scan.ts");
  await scanDeposits(await scanOf(env, solana, now));
}

/** Looks at the reference of an intent that somebody waits for. Never throws: whoever waits asks again. */
export async function watchIntent(env: Env, intent: IntentRow, now: number): Promise<void> {
  const { solana } = configOf(env);
  if (solana === null) return;
  try {
    const { scanIntent } = await import("./scan.ts");
    await scanIntent(await scanOf(env, solana, now), intent);
  } catch (error) {
    emitError("deposit_watch_failed", error, { account: intent.account, intent: intent.id });
  }
}

async function scanOf(env: Env, { rpc, treasury, usdcMint }: SolanaConfig, now: number): Promise<Scan> {
  // The library behind it is large, and most requests never need it.
  const { solanaChain, treasuryOf } = await import("./solana-chain.ts");
  return { env, chain: solanaChain(rpc), treasury: treasuryOf(treasury, usdcMint), now };
}
