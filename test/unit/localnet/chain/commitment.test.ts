import { createTransferCheckedInstruction } from "@solana/spl-token";
import { Keypair, LAMPORTS_PER_SOL, SystemProgram, type TransactionInstruction } from "@solana/web3.js";
import { describe, expect, it } from "vitest";
import { BLOCKHASH_LIFE } from "../../../../localnet/chain/state/blocks.ts";
import { connect, refusalOf, send, sign, start, type TestChain, usdcAccount, usdcMint } from "./support.ts";

function pay(payer: Keypair, lamports: number): TransactionInstruction {
  return SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: usdcMint, lamports });
}

describe("commitment", () => {
  it("lets each level see the state as it was then, balances and accounts alike", async () => {
    const chain = await start();
    const { client, payer } = chain;
    const to = Keypair.generate().publicKey;
    chain.chain.advance(40);
    const first = await client.requestAirdrop(to, LAMPORTS_PER_SOL);
    chain.chain.advance(10);
    await client.requestAirdrop(to, 2 * LAMPORTS_PER_SOL);
    const balances = async () =>
      await Promise.all((["processed", "confirmed", "finalized"] as const).map((at) => client.getBalance(to, at)));
    const sol = (...list: number[]) => list.map((one) => one * LAMPORTS_PER_SOL);
    expect(await balances()).toEqual(sol(3, 1, 0));
    chain.chain.advance(1);
    expect(await balances()).toEqual(sol(3, 3, 0));
    chain.chain.advance(20);
    expect(await client.getAccountInfo(to, "finalized")).toBeNull();
    chain.chain.advance(1);
    expect(await balances()).toEqual(sol(3, 3, 1));
    expect((await client.getSignatureStatus(first)).value?.confirmationStatus).toBe("finalized");
    chain.chain.advance(10);
    expect(await balances()).toEqual(sol(3, 3, 3));
    // A token account too, and its amount.
    const half = await send(client, [payer], toSelf(payer));
    expect(half).toBeTruthy();
  });

  it("gives a signature its level, its confirmations and, once old, only to those who search", async () => {
    const chain = await start({ confirmedAfter: 2, finalizedAfter: 5 });
    const { client, payer } = chain;
    const signature = await send(client, [payer], pay(payer, 890_880));
    const seen: unknown[] = [];
    for (let slot = 0; slot <= 5; slot++) {
      const { value } = await client.getSignatureStatus(signature);
      seen.push([value?.confirmationStatus, value?.confirmations]);
      chain.chain.advance(1);
    }
    expect(seen).toEqual([
      ["processed", 0],
      ["processed", 1],
      ["confirmed", 2],
      ["confirmed", 3],
      ["confirmed", 4],
      ["finalized", null],
    ]);
    chain.chain.advance(299);
    expect((await client.getSignatureStatus(signature)).value?.confirmationStatus).toBe("finalized");
    chain.chain.advance(1);
    expect((await client.getSignatureStatus(signature)).value).toBeNull();
    const searched = await client.getSignatureStatus(signature, { searchTransactionHistory: true });
    expect(searched.value?.err).toBeNull();
  });

  it("keeps from the history what is not confirmed or not finalized yet", async () => {
    const chain = await start();
    const { client, payer } = chain;
    const signature = await send(client, [payer], pay(payer, 890_880));
    const found = async (at: "confirmed" | "finalized") => [
      (await client.getSignaturesForAddress(payer.publicKey, { limit: 1 }, at))[0]?.signature === signature,
      (await client.getTransaction(signature, { commitment: at, maxSupportedTransactionVersion: 0 })) !== null,
    ];
    expect(await found("confirmed")).toEqual([false, false]);
    chain.chain.advance(1);
    expect(await found("confirmed")).toEqual([true, true]);
    expect(await found("finalized")).toEqual([false, false]);
    chain.chain.advance(31);
    expect(await found("finalized")).toEqual([true, true]);
  });

  it("refuses to answer before the slot that a client wants", async () => {
    const { client, chain, payer } = await start();
    chain.advance(50);
    const [tip, finalized] = [chain.slot, chain.slot - 32];
    expect(await client.getSlot({ commitment: "processed", minContextSlot: tip })).toBe(tip);
    for (const call of [
      client.getAccountInfo(payer.publicKey, { commitment: "finalized", minContextSlot: finalized + 1 }),
      client.getLatestBlockhash({ commitment: "processed", minContextSlot: tip + 1 }),
      client.getBalance(payer.publicKey, { commitment: "confirmed", minContextSlot: tip }),
    ]) {
      expect((await refusalOf(call)).message).toContain("Minimum context slot has not been reached");
    }
    expect(
      await client.getBalance(payer.publicKey, { commitment: "finalized", minContextSlot: finalized }),
    ).toBeGreaterThan(0);
  });
});

function toSelf(payer: Keypair): TransactionInstruction {
  const account = usdcAccount(payer.publicKey);
  return createTransferCheckedInstruction(account, usdcMint, account, payer.publicKey, 1n, 6);
}

describe("a blockhash", () => {
  it("is taken for 150 blocks and refused after that", async () => {
    const { client, chain, payer } = await start();
    const { blockhash, lastValidBlockHeight } = await client.getLatestBlockhash();
    const [early, late] = [
      await sign(client, [payer], pay(payer, 890_881)),
      await sign(client, [payer], pay(payer, 890_882)),
    ];
    chain.advance(BLOCKHASH_LIFE);
    expect(await client.getBlockHeight()).toBe(lastValidBlockHeight);
    expect((await client.isBlockhashValid(blockhash)).value).toBe(true);
    await client.sendRawTransaction(early);
    chain.advance(1);
    expect((await client.isBlockhashValid(blockhash)).value).toBe(false);
    const refused = await refusalOf(client.sendRawTransaction(late));
    expect(refused.message).toContain("Transaction simulation failed: Blockhash not found");
    // Without a preflight it is taken and never lands.
    const lost = await client.sendRawTransaction(late, { skipPreflight: true });
    chain.advance(200);
    expect((await client.getSignatureStatus(lost, { searchTransactionHistory: true })).value).toBeNull();
  });

  it("of the latest block is not known yet to a preflight at `finalized`", async () => {
    const chain = await start();
    const { client, payer } = chain;
    chain.chain.advance(40);
    const fresh = await sign(client, [payer], pay(payer, 890_880));
    const refused = client.sendRawTransaction(fresh, { preflightCommitment: "finalized" });
    expect((await refusalOf(refused)).message).toContain("Blockhash not found");
    const { blockhash } = await connect(chain, "finalized").getLatestBlockhash();
    expect((await client.isBlockhashValid(blockhash, { commitment: "processed" })).value).toBe(true);
    await client.sendRawTransaction(fresh);
  });

  it("simulates on the state of the preflight's commitment: money that is not final cannot be spent there", async () => {
    const chain = await start();
    const final = connect(chain, "finalized");
    chain.chain.advance(40);
    const young = Keypair.generate();
    await chain.faucet.give({ address: young.publicKey.toBase58(), sol: "1" });
    const spend = await sign(final, [young], pay(young, 890_880));
    const refused = await refusalOf(final.sendRawTransaction(spend));
    expect(refused.message).toContain("found no record of a prior credit");
    // What the simulation put back for a moment is as it was.
    expect(await chain.client.getBalance(young.publicKey)).toBe(LAMPORTS_PER_SOL);
    chain.chain.advance(32);
    await final.sendRawTransaction(spend);
  });

  it("is another one in every block, and no height is a slot", async () => {
    const { client, chain } = await start();
    const seen = new Set<string>();
    for (let block = 0; block < 20; block++) {
      seen.add((await client.getLatestBlockhash()).blockhash);
      chain.advance(1);
    }
    expect(seen.size).toBe(20);
    expect(await client.getBlockHeight()).not.toBe(await client.getSlot());
    expect((await client.getLatestBlockhash()).lastValidBlockHeight - (await client.getBlockHeight())).toBe(150);
  });
});

describe("the same bytes", () => {
  it("land once, however often they are sent", async () => {
    const chain = await start();
    const { client, payer } = chain;
    const to = Keypair.generate().publicKey;
    const raw = await sign(
      client,
      [payer],
      SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports: 1_000_000 }),
    );
    const signature = await client.sendRawTransaction(raw);
    expect(await client.sendRawTransaction(raw, { skipPreflight: true })).toBe(signature);
    expect((await refusalOf(client.sendRawTransaction(raw))).message).toContain("already been processed");
    // A node that preflights on an older state does not know it yet.
    await expectOnce(chain, signature, to);
    chain.chain.advance(100);
    expect(await client.sendRawTransaction(raw, { skipPreflight: true })).toBe(signature);
    await expectOnce(chain, signature, to);
  });

  it("land once also when both are on their way", async () => {
    const chain = await start();
    const { client, payer } = chain;
    const to = Keypair.generate().publicKey;
    chain.faults.add({ kind: "delay", slots: 3, times: 1 }, { kind: "delay", slots: 5, times: 1 });
    const pays = SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports: 1_000_000 });
    const raw = await sign(client, [payer], pays);
    const signature = await client.sendRawTransaction(raw);
    await client.sendRawTransaction(raw);
    chain.chain.advance(10);
    await expectOnce(chain, signature, to);
  });
});

async function expectOnce({ client, chain }: TestChain, signature: string, to: Keypair["publicKey"]): Promise<void> {
  chain.advance(1);
  expect(await client.getBalance(to)).toBe(1_000_000);
  const history = await client.getSignaturesForAddress(to, {}, "confirmed");
  expect(history.map((one) => one.signature)).toEqual([signature]);
}
