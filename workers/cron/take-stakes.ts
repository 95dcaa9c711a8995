/** The stakes of the next daily epoch (economics.md §7): read from the chain from 23:00 UTC on, and put where accounts look. */

import { epochOf } from "../../core/allotment/epochs.ts";
import { LIMITS } from "../../core/limits.ts";
import { snapshotDueAt } from "../../core/stake/times.ts";
import { countedStakes } from "../../db/counted-stakes.ts";
import { forgetCountedStakes, putStakes, type SnapshotState } from "../../db/epochs.ts";
import { listWallets } from "../../db/wallets.ts";
import { configOf } from "../config.ts";
import { snapshotStakes } from "../stake/index.ts";
import type { SnapshotSummary } from "../stake/snapshot.ts";

export interface StakesTaken {
  readonly snapshot: SnapshotSummary["state"];
  /** Whether the accounts' stakes are in place: `sealed` once they all are. */
  readonly stakes: SnapshotState;
}

/**
 * Takes the snapshot on as far as one poke gets, and once it is whole puts in place what each account counts. Safe to call
 * twice, at the same time, late or half: both have places in D1 from which they go on. Null where it is not time, and in a
 * network that has no chain. `clock` gives milliseconds since 1970.
 */
export async function takeStakes(env: Env, clock: () => number): Promise<StakesTaken | null> {
  const { solana } = configOf(env);
  const epoch = epochOf(clock()) + 1;
  if (solana === null || clock() < snapshotDueAt(epoch)) return null;
  const { DB: db } = env;
  const { rpc: rpcUrl, stakeMint } = solana;
  const { state: snapshot } = await snapshotStakes(
    { DB: db, rpcUrl, stakeMint, linkedWallets: walletsIn(db) },
    epoch,
    clock,
  );
  if (snapshot !== "whole") return { snapshot, stakes: "open" };
  return { snapshot, stakes: await putCounted(db, epoch) };
}

/** Puts the accounts' stakes in place, page by page, unless they are. */
async function putCounted(db: D1Database, epoch: number): Promise<SnapshotState> {
  let state = await putStakes(db, epoch, [], false);
  for (let after: string | null = ""; after !== null && state === "open"; ) {
    const page = await countedStakes(db, epoch, after, LIMITS.stakeWallets);
    if (page === null) throw new Error("a whole snapshot is gone");
    state = await putStakes(db, epoch, page.stakes, page.next === null);
    after = page.next;
  }
  await forgetCountedStakes(db, epoch);
  return state;
}

function walletsIn(db: D1Database) {
  return async (after: string, limit: number) => {
    const rows = await listWallets(db, { after, limit });
    return rows.map(({ address, account, linked_at: linkedAt }) => ({ address, account, linkedAt }));
  };
}
