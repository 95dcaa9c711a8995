/** The first pass of a snapshot: what each linked wallet has. */

import type { D1Database } from "@cloudflare/workers-types";
import type { AccountId } from "../../core/ids.ts";
import { addStakes, enterStakeState, type StakeReading } from "../../db/stakes.ts";
import { emit } from "../../durable-objects/shared/events.ts";
import { associatedTokenAddress } from "../../protocol/solana/token-account.ts";
import { balancesOf } from "../solana/balances.ts";
import type { SolanaRpc } from "../solana/rpc.ts";

/** A wallet that is linked to an account. */
export interface LinkedWallet {
  /** 32 bytes in base58. */
  readonly address: string;
  readonly account: AccountId;
  /** Milliseconds since 1970; another link, also to the same account, has another time. */
  readonly linkedAt: number;
}

/** Reads linked wallets in order of their addresses, at most `limit` of those after `after`. */
export type LinkedWallets = (after: string, limit: number) => Promise<readonly LinkedWallet[]>;

/** What a snapshot is taken with. */
export interface SnapshotParts {
  readonly db: D1Database;
  readonly rpc: SolanaRpc;
  /** The stake token's mint, in base58. */
  readonly mint: string;
  readonly linkedWallets: LinkedWallets;
  /** How many wallets a step looks at. */
  readonly stepWallets: number;
}

/** Reads the next wallets, or ends the pass where there are none. Null where another call was faster. */
export async function readPage(
  { db, rpc, mint, linkedWallets, stepWallets }: SnapshotParts,
  reading: StakeReading,
  now: number,
): Promise<StakeReading | null> {
  const wallets = await linkedWallets(reading.after_wallet, stepWallets);
  const after = lastOf(wallets, reading.after_wallet);
  if (after === null) return await enterStakeState(db, reading, "checking", now);
  const holders = wallets.flatMap(({ address, account, linkedAt }) => {
    const tokenAccount = associatedTokenAddress(address, mint);
    if (tokenAccount === null) emit("stake_wallet_malformed", { account });
    return tokenAccount === null ? [] : [{ wallet: address, account, linkedAt, tokenAccount }];
  });
  const balances = await balancesOf(rpc, mint, holders, reading.first_slot);
  const rows = balances.flatMap(({ slot, amount }, index) => {
    const holder = holders[index];
    if (holder === undefined || amount === 0n) return [];
    const { account, wallet, linkedAt, tokenAccount } = holder;
    return [{ account, wallet, linked_at: linkedAt, token_account: tokenAccount, amount, slot }];
  });
  const lastSlot = balances.reduce((last, { slot }) => Math.max(last, slot), reading.last_slot);
  return await addStakes(db, reading, { rows, after, lastSlot, wallets: wallets.length });
}

/** The last address, which must come after all others: a wallet that came twice would count twice. */
function lastOf(wallets: readonly LinkedWallet[], after: string): string | null {
  let last = after;
  for (const { address } of wallets) {
    if (address <= last) throw new Error("linkedWallets must give each wallet once, in order of address");
    last = address;
  }
  return wallets.length === 0 ? null : last;
}
