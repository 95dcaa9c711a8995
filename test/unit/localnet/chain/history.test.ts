import { createTransferCheckedInstruction } from "@solana/spl-token";
import { Keypair, type PublicKey, SystemProgram, type TransactionInstruction } from "@solana/web3.js";
import { expect, it } from "vitest";
import { memo, send, start, type TestChain, usdcAccount, usdcMint } from "./support.ts";

/** A payment as Solana Pay builds it: the reference is an account of the transfer that nobody writes. */
function payWith({ payer }: TestChain, reference: PublicKey, amount: bigint): TransactionInstruction {
  const account = usdcAccount(payer.publicKey);
  const transfer = createTransferCheckedInstruction(account, usdcMint, account, payer.publicKey, amount, 6);
  transfer.keys.push({ pubkey: reference, isSigner: false, isWritable: false });
  return transfer;
}

it("finds a payment by the reference of its request, with its memo", async () => {
  const chain = await start();
  const { client, payer } = chain;
  const [reference, other] = [Keypair.generate().publicKey, Keypair.generate().publicKey];
  const signature = await send(client, [payer], payWith(chain, reference, 5n), memo("order 17 ✓"));
  await send(client, [payer], payWith(chain, other, 6n));
  chain.chain.advance(32);
  const [found, ...more] = await client.getSignaturesForAddress(reference, {}, "finalized");
  expect(more).toEqual([]);
  expect(found).toEqual({
    signature,
    slot: chain.chain.slot - 32,
    err: null,
    memo: "[12] order 17 ✓",
    blockTime: chain.chain.timeOf(chain.chain.slot - 32),
    confirmationStatus: "finalized",
  });
  const parsed = await client.getParsedTransaction(signature, "finalized");
  expect(parsed?.transaction.message.instructions[1]).toMatchObject({ program: "spl-memo", parsed: "order 17 ✓" });
  expect(await client.getSignaturesForAddress(Keypair.generate().publicKey, {}, "confirmed")).toEqual([]);
});

it("gives the history of an account in pages, newest first, without a gap", async () => {
  const chain = await start();
  const { client, payer } = chain;
  const reference = Keypair.generate().publicKey;
  const sent: string[] = [];
  for (let payment = 1; payment <= 25; payment++) {
    // Several of them in a slot: what counts is the order in which they landed.
    sent.unshift(await send(client, [payer], payWith(chain, reference, BigInt(payment))));
    if (payment % 4 === 0) chain.chain.advance(1);
  }
  chain.chain.advance(1);
  const page = async (options: { before?: string; until?: string; limit?: number }) =>
    (await client.getSignaturesForAddress(reference, options, "confirmed")).map(({ signature }) => signature);
  expect(await page({})).toEqual(sent);
  const paged: string[] = [];
  for (let before: string | undefined; ; before = paged.at(-1)) {
    const next = await page({ limit: 10, ...(before === undefined ? {} : { before }) });
    if (next.length === 0) break;
    paged.push(...next);
  }
  expect(paged).toEqual(sent);
  const [before, until] = [sent[5] ?? "", sent[9] ?? ""];
  expect(await page({ before, until })).toEqual(sent.slice(6, 9));
  expect(await page({ until })).toEqual(sent.slice(0, 9));
  // A bound need not name the account; one that nobody knows has nothing below it.
  const elsewhere = await send(client, [payer], payWith(chain, payer.publicKey, 1n));
  chain.chain.advance(1);
  expect(await page({ before: elsewhere, limit: 1 })).toEqual([sent[0]]);
  expect(await page({ until: elsewhere })).toEqual([]);
  expect(await page({ before: "1".repeat(64) })).toEqual([]);
});

it("forgets the oldest transactions beyond its limit, and says from where on it knows all", async () => {
  const chain = await start({ historyLimit: 20 });
  const { client, payer } = chain;
  const first = await client.getFirstAvailableBlock();
  const old = await send(client, [payer], payWith(chain, payer.publicKey, 1n));
  const slot = await client.getSlot();
  for (let block = 0; block < 30; block++) {
    chain.chain.advance(20);
    await client.requestAirdrop(payer.publicKey, 1);
  }
  // Nobody can send again what could still land: the last hundreds of slots stay whatever the limit is.
  expect(chain.chain.kept.transactions).toBe(20);
  expect((await client.getSignatureStatus(old, { searchTransactionHistory: true })).value).toBeNull();
  expect(await client.getTransaction(old, { commitment: "confirmed", maxSupportedTransactionVersion: 0 })).toBeNull();
  expect(await client.getFirstAvailableBlock()).toBeGreaterThan(Math.max(first, slot));
  expect(await client.getBlockTime(slot)).toBe(chain.chain.timeOf(slot));
});

it("gives several transactions in one batch", async () => {
  const chain = await start();
  const { client, payer } = chain;
  const transfer = (lamports: number) =>
    SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: usdcMint, lamports });
  const signatures = [await send(client, [payer], transfer(1)), await send(client, [payer], transfer(2))];
  chain.chain.advance(1);
  const found = await client.getParsedTransactions(signatures, "confirmed");
  expect(found.map((one) => one?.transaction.signatures[0])).toEqual(signatures);
  const instruction = found[1]?.transaction.message.instructions[0];
  expect(instruction).toMatchObject({ program: "system", parsed: { type: "transfer", info: { lamports: 2 } } });
});
