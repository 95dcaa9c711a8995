/**
 * Stake read from a chain that does not stand still: holders, of whom some send their stake to wallets that are read later,
 * or back, while the reading runs. TOLLMILL_STAKE_HOLDERS=1000 makes it as many.
 */

import type { D1Database } from "@cloudflare/workers-types";
import type { Address } from "@solana/kit";
import { createTransferInstruction, getAssociatedTokenAddressSync } from "@solana/spl-token";
import { Keypair, PublicKey } from "@solana/web3.js";
import { AccountState, getTokenEncoder } from "@solana-program/token";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { AccountId } from "../../core/ids.ts";
import { snapshotDueAt } from "../../core/stake/times.ts";
import { countedStakes } from "../../db/counted-stakes.ts";
import { type StakeReading, stakeReadingOf } from "../../db/stakes.ts";
import { ONE_MINT } from "../../localnet/chain/mints.ts";
import { SYSTEM, TOKEN } from "../../localnet/chain/programs.ts";
import { type RunningChain, startChain } from "../../localnet/chain/start-chain.ts";
import { type StakeEnv, snapshotStakes } from "../../workers/stake/index.ts";
import { idOf } from "../support/receipts.ts";
import { connect, send } from "../unit/localnet/chain/support.ts";
import { type Server, startServer } from "./support/server.ts";

const HOLDERS = Number(process.env["TOLLMILL_STAKE_HOLDERS"] ?? 150);
const PAGE = Math.ceil(HOLDERS / 12);
const EACH = 3_000_000_000_000_000n;
const EPOCH = 20_783;
const mint = new PublicKey(ONE_MINT);

interface Holder {
  readonly key: Keypair;
  readonly address: string;
  readonly tokenAccount: PublicKey;
}

let server: Server;
let db: D1Database;
const chains: RunningChain[] = [];

beforeAll(async () => {
  server = await startServer();
  ({ DB: db } = await server.harness.getWorker<{ DB: D1Database }>().getEnv());
});
afterAll(async () => {
  await Promise.all([server.close(), ...chains.map(({ close }) => close())]);
});

/** A chain on which everybody has the same stake, finalized, in order of address. */
async function holdersOn(settings: Parameters<typeof startChain>[0] = {}) {
  const chain = await startChain(settings);
  chains.push(chain);
  const holders = Array.from({ length: HOLDERS }, (): Holder => {
    const key = Keypair.generate();
    const tokenAccount = getAssociatedTokenAddressSync(mint, key.publicKey);
    return { key, address: key.publicKey.toBase58(), tokenAccount };
  }).sort((a, b) => (a.address < b.address ? -1 : 1));
  for (const { address, tokenAccount } of holders) {
    const owner = address as Address;
    chain.chain.setAccount(owner, { lamports: 10n ** 9n, owner: SYSTEM, data: new Uint8Array(), executable: false });
    const fields = {
      mint: ONE_MINT,
      owner,
      amount: EACH,
      delegate: null,
      state: AccountState.Initialized,
      isNative: null,
      delegatedAmount: 0n,
      closeAuthority: null,
    };
    const data = Uint8Array.from(getTokenEncoder().encode(fields));
    const at = tokenAccount.toBase58() as Address;
    chain.chain.setAccount(at, { lamports: chain.chain.rentFor(data.length), owner: TOKEN, data, executable: false });
  }
  chain.chain.advance(100);
  const client = connect(chain);
  const balances = new Map(holders.map(({ address }) => [address, EACH]));
  /** Every change of a balance with its slot. */
  const changes: { slot: number; address: string; before: bigint; after: bigint }[] = [];
  const transfer = async (from: Holder, to: Holder, amount: bigint) => {
    const { slot } = chain.chain;
    await send(
      client,
      [from.key],
      createTransferInstruction(from.tokenAccount, to.tokenAccount, from.key.publicKey, amount),
    );
    for (const [{ address }, change] of [
      [from, -amount],
      [to, amount],
    ] as const) {
      const before = balances.get(address) ?? 0n;
      balances.set(address, before + change);
      changes.push({ slot, address, before, after: before + change });
    }
  };
  return { ...chain, holders, balances, changes, transfer };
}
type World = Awaited<ReturnType<typeof holdersOn>>;

const accountOf = (address: string) => idOf<AccountId>(address);

/** Pokes until the snapshot has ended; `between` runs before each page of wallets, and time passes after each poke. */
async function snapshot(world: World, epoch: number, between: (page: number) => Promise<void> = async () => {}) {
  let page = 0;
  let seen = 0n;
  const env: StakeEnv = {
    DB: db,
    rpcUrl: world.url,
    stakeMint: ONE_MINT,
    linkedWallets: async (after, limit) => {
      // With the last call, behind all pages: what was seen, unchecked.
      seen = await sumOf(epoch);
      await between(page++);
      return world.holders
        .filter(({ address }) => address > after)
        .slice(0, Math.min(limit, PAGE))
        .map(({ address }) => ({ address, account: accountOf(address), linkedAt: 1 }));
    },
  };
  for (let pokes = 0; pokes < 100; pokes++) {
    const { state } = await snapshotStakes(env, epoch, () => snapshotDueAt(epoch));
    if (state === "whole") return { seen, reading: (await stakeReadingOf(db, epoch)) as StakeReading };
    world.chain.advance(32);
  }
  throw new Error("the snapshot does not end");
}

async function amountsOf(epoch: number): Promise<Map<string, bigint>> {
  const { results } = await db
    .prepare("SELECT wallet, amount FROM stake_balances WHERE epoch = ?")
    .bind(epoch)
    .all<{ wallet: string; amount: string }>();
  return new Map(results.map(({ wallet, amount }) => [wallet, BigInt(amount)]));
}

const add = (amounts: Iterable<bigint>) => [...amounts].reduce((sum, amount) => sum + amount, 0n);
const sumOf = async (epoch: number) => add((await amountsOf(epoch)).values());

/** The smallest balance of everybody from the reading's first slot to its last one, from the list of all changes. */
function smallest(world: World, { first_slot, last_slot }: StakeReading): Map<string, bigint> {
  const least = new Map<string, bigint>();
  for (const { address } of world.holders) {
    const own = world.changes.filter((change) => change.address === address);
    const atStart = own.findLast(({ slot }) => slot < first_slot)?.after ?? EACH;
    const within = own.filter(({ slot }) => slot >= first_slot && slot <= last_slot).map(({ after }) => after);
    least.set(
      address,
      within.reduce((a, b) => (a < b ? a : b), atStart),
    );
  }
  return least;
}

/** Sends stake on from wallets that were read to those that will be, and some of it back. */
function wandering(world: World) {
  const { chain, holders, balances, transfer } = world;
  return async (page: number) => {
    const [read, next] = [holders.slice(0, page * PAGE), holders.slice((page + 1) * PAGE)];
    for (let turn = 0; turn < 4; turn++) {
      const [from, to] = [read.at(-1 - turn), next.at(-1 - turn)];
      if (from === undefined || to === undefined) break;
      const all = balances.get(from.address) ?? 0n;
      await transfer(from, to, all);
      chain.advance(1);
      // As if nothing had happened.
      if (turn === 1) await transfer(to, from, all);
      chain.advance(1);
    }
    // What was sent becomes final before the next page is read.
    chain.advance(40);
  };
}

it("counts everything where nothing moves", async () => {
  const world = await holdersOn();
  const { reading } = await snapshot(world, EPOCH);
  expect(reading).toMatchObject({ state: "whole", wallets: HOLDERS });
  expect(await amountsOf(EPOCH)).toEqual(world.balances);
  await snapshot(world, EPOCH + 1);
  const page = await countedStakes(db, EPOCH + 1, "", HOLDERS + 1);
  expect(page?.next).toBeNull();
  expect(new Map(page?.stakes.map(({ account, stake }) => [account, stake]))).toEqual(
    new Map(world.holders.map(({ address }) => [accountOf(address), EACH])),
  );
});

it("never counts more than there is while stake wanders, nor less than anybody's smallest balance", async () => {
  const world = await holdersOn();
  const supply = EACH * BigInt(HOLDERS);
  const { seen, reading } = await snapshot(world, EPOCH + 10, wandering(world));
  // What was seen page by page is more than there is.
  expect(seen).toBeGreaterThan(supply);
  const amounts = await amountsOf(EPOCH + 10);
  expect(add(amounts.values())).toBeLessThan(supply);
  const expected = smallest(world, reading);
  for (const { address } of world.holders) expect(amounts.get(address) ?? 0n).toBe(expected.get(address));
  // Most did not move.
  expect([...amounts.values()].filter((amount) => amount === EACH).length).toBeGreaterThan(HOLDERS / 3);
});

it("counts the same when nodes lag, refuse and break", async () => {
  const world = await holdersOn({ faultSeed: 7 });
  world.faults.add(
    { kind: "lag", slots: 60, probability: 0.2, method: "getMultipleAccounts" },
    { kind: "lag", slots: 60, probability: 0.002, method: "getSignaturesForAddress" },
    { kind: "rate_limit", probability: 0.1, method: "getMultipleAccounts" },
    { kind: "break_after", probability: 0.1, method: "getMultipleAccounts" },
    { kind: "break_before", probability: 0.02, method: "getTransaction" },
  );
  const { reading } = await snapshot(world, EPOCH + 20, wandering(world));
  const amounts = await amountsOf(EPOCH + 20);
  expect(Object.keys(world.faults.happened).sort()).toEqual(["break_after", "break_before", "lag", "rate_limit"]);
  expect(add(amounts.values())).toBeLessThan(EACH * BigInt(HOLDERS));
  const expected = smallest(world, reading);
  for (const { address } of world.holders) expect(amounts.get(address) ?? 0n).toBe(expected.get(address));
});
