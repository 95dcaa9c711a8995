/** What the tests of stake snapshots share: wallets, a node, pokes, and what is in D1 then. */

import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { AccountId } from "../../../core/ids.ts";
import { snapshotDueAt } from "../../../core/stake/times.ts";
import { countedStakes } from "../../../db/counted-stakes.ts";
import { stakeReadingOf } from "../../../db/stakes.ts";
import { SolanaRpc } from "../../../workers/solana/rpc.ts";
import type { LinkedWallet, SnapshotParts } from "../../../workers/stake/read-page.ts";
import { takeSnapshot } from "../../../workers/stake/snapshot.ts";
import { idOf } from "../../support/receipts.ts";
import { addressOf, FakeNode, MINT } from "./fake-node.ts";

export const EPOCH = 20_783;
export const account = (name: string): AccountId => idOf<AccountId>(name);

/** Begins with no snapshot, whatever a test before has left. */
export async function emptyStakes(): Promise<void> {
  const tables = ["stake_readings", "stake_balances"];
  await env.DB.batch(tables.map((table) => env.DB.prepare(`DELETE FROM ${table}`)));
}

/** A market of wallets, each of an account of its own unless told otherwise. */
export function world(names: readonly string[], accountsOf: Readonly<Record<string, string>> = {}) {
  const node = new FakeNode();
  vi.stubGlobal("fetch", node.fetch);
  const wallets = new Map(
    names.map((name): [string, LinkedWallet] => {
      return [name, { address: addressOf(name), account: account(accountsOf[name] ?? name), linkedAt: 1 }];
    }),
  );
  const parts: SnapshotParts = {
    db: env.DB,
    rpc: new SolanaRpc("http://node.test"),
    mint: MINT,
    stepWallets: 2,
    linkedWallets: async (after, limit) =>
      await Promise.resolve(
        [...wallets.values()]
          .filter(({ address }) => address > after)
          .sort((a, b) => (a.address < b.address ? -1 : 1))
          .slice(0, limit),
      ),
  };
  return { node, wallets, parts };
}
export type World = ReturnType<typeof world>;

/** The names in the order in which their wallets are read. */
export const inOrder = (names: readonly string[]): string[] =>
  names.toSorted((a, b) => (addressOf(a) < addressOf(b) ? -1 : 1));

/** Pokes once, `afterMs` after 23:00 UTC. */
export async function poke({ parts }: Pick<World, "parts">, { epoch = EPOCH, afterMs = 0 } = {}) {
  return await takeSnapshot(parts, epoch, () => snapshotDueAt(epoch) + afterMs);
}

/** The node goes on by so much whenever it has been asked for balances, so that its history catches up. */
export function letTimePass(node: FakeNode, slots = 1): void {
  node.onRequest = () => node.advance(slots);
}

export async function snapshotOf(epoch = EPOCH): Promise<Record<string, bigint>> {
  const { results } = await env.DB.prepare("SELECT wallet, amount FROM stake_balances WHERE epoch = ? ORDER BY wallet")
    .bind(epoch)
    .all<{ wallet: string; amount: string }>();
  return Object.fromEntries(results.map(({ wallet, amount }) => [wallet, BigInt(amount)]));
}

/** By names, those that count nothing left out. */
export async function amountsOf({ wallets }: World, epoch = EPOCH): Promise<Record<string, bigint>> {
  const amounts = await snapshotOf(epoch);
  return Object.fromEntries(
    [...wallets].flatMap(([name, { address }]) => {
      const amount = amounts[address] ?? 0n;
      return amount === 0n ? [] : [[name, amount]];
    }),
  );
}

/** Everything that counts for an epoch, page by page; null where nothing is known. */
export async function countedOf(epoch = EPOCH, limit = 2): Promise<Map<string, bigint> | null> {
  const found = new Map<string, bigint>();
  for (let after: string | null = ""; after !== null; ) {
    const page = await countedStakes(env.DB, epoch, after, limit);
    if (page === null) return null;
    for (const { account: of, stake } of page.stakes) found.set(of, stake);
    after = page.next;
  }
  return found;
}

export const readingOf = async (epoch = EPOCH) => await stakeReadingOf(env.DB, epoch);
