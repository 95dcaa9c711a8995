/** What of the treasury is free: finalized USDC beyond everything that is owed (economics.md §7, T). */

import { epochOf } from "../../core/allotment/epochs.ts";
import { freeTreasury } from "../../core/allotment/free-treasury.ts";
import type { MicroUsdc } from "../../core/units.ts";
import { readOwed } from "../../db/treasury.ts";
import { associatedTokenAddress } from "../../protocol/solana/token-account.ts";
import { configOf, type SolanaConfig } from "../config.ts";
import { balancesOf } from "../solana/balances.ts";
import { SolanaRpc } from "../solana/rpc.ts";

export interface FreeTreasury {
  /** Null where nothing says what is free. It then counts as 0, for it is never assumed. */
  read(): Promise<MicroUsdc | null>;
}

/** The treasury of a network as it is at a time; of one that has no chain nothing is known. */
export function freeTreasuryOf(env: Env, now: number): FreeTreasury {
  const { solana } = configOf(env);
  return { read: () => (solana === null ? Promise.resolve(null) : readFree(env.DB, solana, now)) };
}

async function readFree(db: D1Database, { rpc, treasury, usdcMint }: SolanaConfig, now: number): Promise<MicroUsdc> {
  const tokenAccount = associatedTokenAddress(treasury, usdcMint);
  if (tokenAccount === null) throw new Error("the treasury's address is none");
  // What is owed is read first: what arrives in between is on the chain and in no sum, and the lesser of the two counts.
  const owed = await readOwed(db, epochOf(now));
  const [balance] = await balancesOf(new SolanaRpc(rpc), usdcMint, [{ wallet: treasury, tokenAccount }], 0);
  return freeTreasury({ ...owed, onChain: balance?.amount ?? 0n });
}
