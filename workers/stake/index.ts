/** The stake snapshot as a cron pokes it. */

import type { D1Database } from "@cloudflare/workers-types";
import { LIMITS } from "../../core/limits.ts";
import { SolanaRpc } from "../solana/rpc.ts";
import type { LinkedWallets } from "./read-page.ts";
import { type SnapshotSummary, takeSnapshot } from "./snapshot.ts";

/** What the edge brings for it. */
export interface StakeEnv {
  readonly DB: D1Database;
  /** Where Solana's JSON-RPC is; it may hold a key and is never logged. */
  readonly rpcUrl: string;
  /** The stake token's mint, in base58. */
  readonly stakeMint: string;
  readonly linkedWallets: LinkedWallets;
}

/** As {@link takeSnapshot}, from what the edge has. Never throws for what a later poke may mend. */
export async function snapshotStakes(env: StakeEnv, epoch: number, clock: () => number): Promise<SnapshotSummary> {
  const { DB: db, rpcUrl, stakeMint: mint, linkedWallets } = env;
  const parts = { db, rpc: new SolanaRpc(rpcUrl), mint, linkedWallets, stepWallets: LIMITS.stakeWallets };
  return await takeSnapshot(parts, epoch, clock);
}
