/** The second pass of a snapshot: what moved while it was read counts its smallest balance in that span. */

import { LIMITS } from "../../core/limits.ts";
import { smallestIn } from "../../core/stake/smallest.ts";
import { enterStakeState, lowerStakes, type StakeReading, type StakeRow, stakesToCheck } from "../../db/stakes.ts";
import { balancesOf, type Holder } from "../solana/balances.ts";
import { RpcFailure } from "../solana/rpc.ts";
import { type Activity, activityOf, readMovements } from "./movements.ts";
import type { SnapshotParts } from "./read-page.ts";

interface Checked {
  readonly row: StakeRow;
  readonly activity: Activity;
}

/** Checks the next wallets, or ends the snapshot where there are none: it is whole then. Null where another call was faster. */
export async function checkPage(
  parts: SnapshotParts,
  reading: StakeReading,
  now: number,
): Promise<StakeReading | null> {
  const { db, rpc, mint, stepWallets } = parts;
  const rows = await stakesToCheck(db, reading, stepWallets);
  if (rows.length === 0) return await enterStakeState(db, reading, "whole", now);
  const { checked, signatures } = withinBounds(await activitiesOf(parts, reading, rows));
  const span = { first: reading.first_slot, last: reading.last_slot };
  const least = new Map(checked.map(({ row }) => [row.token_account, row.amount]));
  const holders = new Map(checked.map(({ row }) => [row.token_account, holderOf(row)]));
  await readMovements(rpc, mint, signatures, holders, ({ tokenAccount }, movement) => {
    const amount = least.get(tokenAccount);
    if (amount !== undefined) least.set(tokenAccount, smallestIn(span, amount, [movement]));
  });
  const lower = checked.flatMap(({ row: { account, wallet, token_account, amount: read } }) => {
    const amount = least.get(token_account) ?? read;
    return amount < read ? [{ account, wallet, amount }] : [];
  });
  const last = checked.at(-1)?.row;
  return last === undefined ? reading : await lowerStakes(db, reading, lower, last);
}

/**
 * What happened to token accounts since the reading began, of as many rows as can be listed. Balances are read once more, only
 * to see that the node has the history that goes with them.
 */
async function activitiesOf(
  { rpc, mint }: SnapshotParts,
  { first_slot, last_slot }: StakeReading,
  rows: readonly StakeRow[],
): Promise<Checked[]> {
  const balances = await balancesOf(rpc, mint, rows.map(holderOf), last_slot + LIMITS.stakeHistorySlots);
  const minSlot = balances.reduce((latest, { slot }) => Math.max(latest, slot), 0);
  const tokenAccounts = rows.map(({ token_account }) => token_account);
  const activities = await activityOf(rpc, tokenAccounts, { first: first_slot, last: last_slot }, minSlot);
  return activities.map((activity, index) => {
    const row = rows[index] as StakeRow;
    const hasMoved = balances[index]?.amount !== row.amount;
    if (hasMoved && (activity.latestSlot ?? 0) <= row.slot) {
      throw new RpcFailure("the node has no history of a balance that changed", true);
    }
    return { row, activity };
  });
}

/** As many rows as have transactions for one step, and these: of the first row alone they are never too many. */
function withinBounds(all: readonly Checked[]): { checked: readonly Checked[]; signatures: ReadonlySet<string> } {
  const signatures = new Set<string>();
  for (const [index, { activity }] of all.entries()) {
    const more = activity.signatures.filter((signature) => !signatures.has(signature));
    if (signatures.size + more.length > LIMITS.stakeTransactions) return { checked: all.slice(0, index), signatures };
    for (const signature of more) signatures.add(signature);
  }
  return { checked: all, signatures };
}

function holderOf({ wallet, token_account }: StakeRow): Holder {
  return { wallet, tokenAccount: token_account };
}
