/** From wallets in D1 to the stakes that accounts look up, as the platform's clock pokes it. */

import { env } from "cloudflare:workers";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { MemberId, WalletAddress } from "../../../core/ids.ts";
import { LIMITS } from "../../../core/limits.ts";
import { snapshotDueAt } from "../../../core/stake/times.ts";
import { linkWallet, unlinkWallet } from "../../../db/wallets.ts";
import { runDue } from "../../../workers/cron/index.ts";
import { takeStakes } from "../../../workers/cron/take-stakes.ts";
import { keyOf } from "../../support/payments.ts";
import { idOf } from "../../support/receipts.ts";
import { addressOf, FakeNode, MINT } from "./fake-node.ts";
import { account, EPOCH, emptyStakes } from "./support.ts";

const MEMBER = idOf("member") as unknown as MemberId;
const solana = {
  ...env,
  SOLANA_RPC_URL: "http://node.test",
  TREASURY_ADDRESS: keyOf(1),
  USDC_MINT: keyOf(3),
  STAKE_MINT: MINT,
} as Env;

let node: FakeNode;
beforeEach(async () => {
  await emptyStakes();
  await env.DB.batch(["stakes", "stake_snapshots", "wallets"].map((table) => env.DB.prepare(`DELETE FROM ${table}`)));
  node = new FakeNode();
  vi.stubGlobal("fetch", node.fetch);
  // The node's history catches up with its state meanwhile.
  node.onRequest = () => node.advance(LIMITS.stakeHistorySlots);
});
afterEach(() => vi.unstubAllGlobals());

const link = (wallet: string, of: string, at = 1) =>
  linkWallet(env.DB, {
    address: addressOf(wallet) as WalletAddress,
    account: account(of),
    member: MEMBER,
    role: "sign_in",
    linked_at: at,
  });

/** Pokes as a cron does, some minutes after 23:00. */
const poke = (epoch: number, minutes = 0) => takeStakes(solana, () => snapshotDueAt(epoch) + minutes * 60_000);

async function stakesOf(epoch: number): Promise<Record<string, string>> {
  const { results } = await env.DB.prepare("SELECT account, stake FROM stakes WHERE epoch = ? ORDER BY account")
    .bind(epoch)
    .all<{ account: string; stake: string }>();
  return Object.fromEntries(results.map((row) => [row.account, row.stake]));
}

it("puts in place what each account's wallets had at both of the last two snapshots", async () => {
  await link("a1", "a");
  await link("a2", "a");
  await link("b", "b");
  node.set(addressOf("a1"), 700n);
  node.set(addressOf("a2"), 50n);
  node.set(addressOf("b"), 9n);
  expect(await poke(EPOCH)).toEqual({ snapshot: "whole", stakes: "sealed" });
  // There is no earlier snapshot, and that is known: the row need not wait.
  expect(await stakesOf(EPOCH)).toEqual({});
  node.set(addressOf("a1"), 1_000n);
  node.set(addressOf("a2"), 20n);
  await link("late", "c", 2);
  node.set(addressOf("late"), 5n);
  expect(await poke(EPOCH + 1)).toEqual({ snapshot: "whole", stakes: "sealed" });
  expect(await stakesOf(EPOCH + 1)).toEqual({ [account("a")]: "720", [account("b")]: "9" });
});

it("counts a wallet that changed hands from its second snapshot on", async () => {
  await link("w", "a");
  node.set(addressOf("w"), 100n);
  await link("other", "a");
  await poke(EPOCH);
  await unlinkWallet(env.DB, { account: account("a"), member: MEMBER }, addressOf("w") as WalletAddress);
  await link("w", "b", 2);
  await poke(EPOCH + 1);
  expect(await stakesOf(EPOCH + 1)).toEqual({});
  await poke(EPOCH + 2);
  expect(await stakesOf(EPOCH + 2)).toEqual({ [account("b")]: "100" });
});

it("does the same poked twice, at the same time, and again when all is in place", async () => {
  for (const name of ["a", "b", "c"]) {
    await link(name, name);
    node.set(addressOf(name), 10n);
  }
  await poke(EPOCH);
  const both = await Promise.all([poke(EPOCH + 1), poke(EPOCH + 1)]);
  expect(both.map((taken) => taken?.snapshot)).toContain("whole");
  expect(await poke(EPOCH + 1, 1)).toEqual({ snapshot: "whole", stakes: "sealed" });
  const first = await stakesOf(EPOCH + 1);
  expect(Object.values(first)).toEqual(["10", "10", "10"]);
  node.set(addressOf("a"), 1n);
  expect(await poke(EPOCH + 1, 45)).toEqual({ snapshot: "whole", stakes: "sealed" });
  expect(await stakesOf(EPOCH + 1)).toEqual(first);
});

it("goes on where a poke broke off between the snapshot and the accounts' stakes", async () => {
  await link("a", "a");
  node.set(addressOf("a"), 10n);
  await poke(EPOCH);
  const broken: Env = {
    ...solana,
    DB: new Proxy(env.DB, {
      get(db, name) {
        if (name === "batch") return (statements: D1PreparedStatement[]) => failing(db, statements);
        const value: unknown = Reflect.get(db, name);
        return typeof value === "function" ? value.bind(db) : value;
      },
    }),
  };
  let isBroken = true;
  const failing = async (db: D1Database, statements: D1PreparedStatement[]) => {
    const written = await stateOf();
    if (written === "whole" && isBroken) throw new Error("D1 is away");
    return await db.batch(statements);
  };
  const stateOf = () =>
    env.DB.prepare("SELECT state FROM stake_readings WHERE epoch = ?")
      .bind(EPOCH + 1)
      .first<string>("state");
  const due = snapshotDueAt(EPOCH + 1);
  await expect(Promise.resolve(takeStakes(broken, () => due))).rejects.toThrow("D1 is away");
  isBroken = false;
  expect(await takeStakes(broken, () => due + 60_000)).toEqual({ snapshot: "whole", stakes: "sealed" });
  expect(await stakesOf(EPOCH + 1)).toEqual({ [account("a")]: "10" });
});

it("begins at 23:00, and never counts what is not whole at 23:30", async () => {
  await link("a", "a");
  expect(await poke(EPOCH, -1)).toBeNull();
  node.onRequest = () => new Response("", { status: 403 });
  expect(await poke(EPOCH)).toEqual({ snapshot: "reading", stakes: "open" });
  node.onRequest = () => {};
  expect(await poke(EPOCH, 31)).toMatchObject({ stakes: "open" });
  expect(await stakesOf(EPOCH)).toEqual({});
});

it("does nothing in a network without a chain", async () => {
  expect(await takeStakes({ ...solana, SOLANA_RPC_URL: "" } as Env, () => snapshotDueAt(EPOCH))).toBeNull();
});

it("is poked by the platform's clock, and forgets the stakes of epochs long past", async () => {
  await link("a", "a");
  node.set(addressOf("a"), 10n);
  const epochs = Array.from({ length: LIMITS.stakeEpochs + 2 }, (_, index) => EPOCH + index);
  for (const epoch of epochs) await runDue(solana, snapshotDueAt(epoch));
  const kept = await env.DB.prepare("SELECT DISTINCT epoch FROM stakes ORDER BY epoch").all<{ epoch: number }>();
  expect(kept.results.map(({ epoch }) => epoch)).toEqual(epochs.slice(-LIMITS.stakeEpochs));
});
