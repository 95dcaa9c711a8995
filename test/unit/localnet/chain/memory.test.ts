import { address } from "@solana/kit";
import { Keypair } from "@solana/web3.js";
import { expect, it } from "vitest";
import { Accounts } from "../../../../localnet/chain/state/accounts.ts";
import { KEPT_BLOCKS } from "../../../../localnet/chain/state/blocks.ts";
import { start } from "./support.ts";

it("stays as small as it is over a hundred thousand slots with a transaction now and then", async () => {
  const { chain, client } = await start({ historyLimit: 50 });
  const to = Keypair.generate().publicKey;
  const most = { accountVersions: 0, transactions: 0, blocks: 0, delayed: 0, addresses: 0 };
  for (let slots = 0; slots < 100_000; slots += 1_000) {
    await client.requestAirdrop(to, 1_000_000);
    await client.requestAirdrop(Keypair.generate().publicKey, 1_000_000);
    chain.advance(1_000);
    const { kept } = chain;
    for (const name of Object.keys(most) as (keyof typeof most)[]) most[name] = Math.max(most[name], kept[name]);
  }
  expect(await client.getBalance(to)).toBe(100 * 1_000_000);
  expect(most.blocks).toBe(KEPT_BLOCKS);
  expect(most.transactions).toBe(50);
  // Payer and receiver change in two slots that are readable; every account that exists has one version.
  expect(most.accountVersions).toBeLessThan(100 + 2 * 3 + 10);
  expect(most.addresses).toBeLessThan(2 * 50 + 10);
});

it("keeps of an account what readers of the oldest slot see, and nothing before it", () => {
  const [one, two] = [
    address("11111111111111111111111111111111"),
    address("SysvarC1ock11111111111111111111111111111111"),
  ];
  const accounts = new Accounts();
  const worth = (lamports: bigint) => ({ lamports, owner: one, data: new Uint8Array(), executable: false });
  for (let slot = 1; slot <= 100; slot++) accounts.write(slot, one, worth(BigInt(slot)));
  accounts.write(100, one, worth(1_000n));
  accounts.write(100, two, worth(5n));
  expect(accounts.size).toBe(101);
  accounts.prune(90);
  expect([accounts.size, accounts.read(90, one)?.lamports, accounts.read(95, one)?.lamports]).toEqual([12, 90n, 95n]);
  accounts.write(101, two, null);
  expect([accounts.read(100, two)?.lamports, accounts.read(101, two), accounts.read(99, two)]).toEqual([
    5n,
    null,
    null,
  ]);
  expect([...accounts.ownedBy(100, one)].map(([at]) => at)).toEqual([one, two]);
  expect([...accounts.ownedBy(101, one)].map(([at]) => at)).toEqual([one]);
  accounts.prune(101);
  expect([accounts.size, accounts.read(101, one)?.lamports, accounts.read(101, two)]).toEqual([1, 1_000n, undefined]);
});
