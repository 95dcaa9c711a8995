/** What counts of the last two snapshots (economics.md §7). */

import type { AccountId } from "../ids.ts";
import { type StakeUnits, stakeUnits } from "../units.ts";

/** A wallet in a snapshot. */
export interface WalletStake {
  readonly account: AccountId;
  /** When the wallet was linked to that account, in milliseconds since 1970: another time is another link. */
  readonly linkedAt: number;
  readonly amount: StakeUnits;
}

/** What an account's wallets count together. */
export interface CountedStake {
  readonly account: AccountId;
  readonly stake: StakeUnits;
}

/**
 * What a wallet counts: the smaller of its last two snapshots. Nothing without an earlier one, and nothing where the wallet
 * was linked anew between them, to whichever account, so that no stake counts for two accounts within a day.
 */
export function countedAmount(latest: WalletStake, before: WalletStake | null): StakeUnits {
  if (before === null || before.account !== latest.account || before.linkedAt !== latest.linkedAt)
    return stakeUnits(0n);
  return before.amount < latest.amount ? before.amount : latest.amount;
}

/** What each account counts, in the order in which accounts come first; none that counts nothing. */
export function sumByAccount(
  wallets: Iterable<{ readonly latest: WalletStake; readonly before: WalletStake | null }>,
): CountedStake[] {
  const sums = new Map<AccountId, bigint>();
  for (const { latest, before } of wallets) {
    const amount = countedAmount(latest, before);
    if (amount > 0n) sums.set(latest.account, (sums.get(latest.account) ?? 0n) + amount);
  }
  return [...sums].map(([account, stake]) => ({ account, stake: stakeUnits(stake) }));
}
