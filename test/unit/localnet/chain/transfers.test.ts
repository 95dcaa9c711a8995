import {
  createAssociatedTokenAccountInstruction,
  createTransferCheckedInstruction,
  createTransferInstruction,
  getAccount,
  getMint,
} from "@solana/spl-token";
import {
  AddressLookupTableProgram,
  Keypair,
  LAMPORTS_PER_SOL,
  type ParsedInstruction,
  SendTransactionError,
  SystemProgram,
  TransactionMessage,
  VersionedTransaction,
} from "@solana/web3.js";
import { expect, it } from "vitest";
import { connect, oneMint, send, sign, start, usdcAccount, usdcMint } from "./support.ts";

const feeLamports = 5_000;

it("confirms a USDC transfer as a client of a cluster would, over WebSocket", async () => {
  const chain = await start({ clock: "running", slotMs: 50 });
  const client = connect(chain, "confirmed");
  const [from, to] = [Keypair.generate(), Keypair.generate()];
  const airdrop = await client.requestAirdrop(from.publicKey, LAMPORTS_PER_SOL);
  const latest = await client.getLatestBlockhash();
  expect((await client.confirmTransaction({ signature: airdrop, ...latest })).value.err).toBeNull();
  await chain.faucet.give({ address: from.publicKey.toBase58(), usdc: "10" });

  const mint = createAssociatedTokenAccountInstruction(
    from.publicKey,
    usdcAccount(to.publicKey),
    to.publicKey,
    usdcMint,
  );
  const ends = [usdcAccount(from.publicKey), usdcMint, usdcAccount(to.publicKey)] as const;
  const transfer = createTransferCheckedInstruction(...ends, from.publicKey, 2_500_000n, 6);
  const signature = await send(connect(chain), [from], mint, transfer);
  const { value } = await client.confirmTransaction({ signature, ...(await client.getLatestBlockhash()) });
  expect(value.err).toBeNull();
  expect((await client.getTokenAccountBalance(usdcAccount(to.publicKey))).value.uiAmountString).toBe("2.5");
  expect((await getAccount(client, usdcAccount(from.publicKey))).amount).toBe(7_500_000n);
});

it("gives up on a signature that never lands once its blockhash has expired", async () => {
  const chain = await start({ clock: "running", slotMs: 10 });
  const client = connect(chain, "confirmed");
  chain.faults.add({ kind: "drop", times: 1 });
  const transfer = SystemProgram.transfer({ fromPubkey: chain.payer.publicKey, toPubkey: usdcMint, lamports: 1 });
  const latest = await client.getLatestBlockhash("processed");
  const signature = await send(connect(chain), [chain.payer], transfer);
  await expect(client.confirmTransaction({ signature, ...latest })).rejects.toThrow("block height exceeded");
});

it("keeps the books of a transfer: fee, balances of SOL and tokens before and after, decimals without the mint", async () => {
  const { client, payer, chain } = await start();
  const to = Keypair.generate().publicKey;
  const account = usdcAccount(to);
  await send(client, [payer], createAssociatedTokenAccountInstruction(payer.publicKey, account, to, usdcMint));
  const before = await client.getBalance(payer.publicKey);
  const signature = await send(
    client,
    [payer],
    createTransferInstruction(usdcAccount(payer.publicKey), account, payer.publicKey, 1_000_001n),
  );
  expect(before - (await client.getBalance(payer.publicKey))).toBe(feeLamports);
  chain.advance(1);
  const found = await client.getTransaction(signature, { commitment: "confirmed", maxSupportedTransactionVersion: 0 });
  expect(found?.meta).toMatchObject({ err: null, fee: feeLamports });
  expect(found?.version).toBe("legacy");
  const changes = (found?.meta?.preTokenBalances ?? []).map((pre) => {
    const post = found?.meta?.postTokenBalances?.find(({ accountIndex }) => accountIndex === pre.accountIndex);
    return [pre.owner, pre.mint, pre.uiTokenAmount.uiAmountString, post?.uiTokenAmount.uiAmountString];
  });
  expect(changes).toEqual(
    expect.arrayContaining([
      [payer.publicKey.toBase58(), usdcMint.toBase58(), "1000", "998.999999"],
      [to.toBase58(), usdcMint.toBase58(), "0", "1.000001"],
    ]),
  );
  const keys = found?.transaction.message.getAccountKeys().staticAccountKeys ?? [];
  const [pre, post] = [found?.meta?.preBalances ?? [], found?.meta?.postBalances ?? []];
  expect(keys).toHaveLength(pre.length);
  expect(pre.reduce((a, b) => a + b) - post.reduce((a, b) => a + b)).toBe(feeLamports);
});

it("shows a transfer parsed, with its memo and the instructions that programs called", async () => {
  const { client, payer, chain } = await start();
  const to = Keypair.generate().publicKey;
  const signature = await send(
    client,
    [payer],
    createAssociatedTokenAccountInstruction(payer.publicKey, usdcAccount(to), to, usdcMint),
    createTransferCheckedInstruction(usdcAccount(payer.publicKey), usdcMint, usdcAccount(to), payer.publicKey, 7n, 6),
  );
  chain.advance(1);
  const parsed = await client.getParsedTransaction(signature, "confirmed");
  const [create, transfer] = (parsed?.transaction.message.instructions ?? []) as ParsedInstruction[];
  expect(create?.parsed).toMatchObject({ type: "create", info: { wallet: to.toBase58(), mint: usdcMint.toBase58() } });
  expect(transfer).toMatchObject({
    program: "spl-token",
    parsed: {
      type: "transferChecked",
      info: {
        source: usdcAccount(payer.publicKey).toBase58(),
        destination: usdcAccount(to).toBase58(),
        mint: usdcMint.toBase58(),
        authority: payer.publicKey.toBase58(),
        tokenAmount: { amount: "7", decimals: 6, uiAmountString: "0.000007" },
      },
    },
  });
  const called = parsed?.meta?.innerInstructions?.[0];
  expect(called?.index).toBe(0);
  const inner = (called?.instructions ?? []) as ParsedInstruction[];
  expect(inner.map(({ parsed }) => (parsed as { type?: string } | null)?.type)).toContain("initializeAccount3");
  expect(parsed?.meta?.logMessages?.join("\n")).toMatch(/Program log: Create\n[\s\S]*Program \w+ success$/);
  expect(parsed?.transaction.message.accountKeys[0]).toMatchObject({ signer: true, writable: true });
});

it("runs a versioned transaction through a lookup table that its program made", async () => {
  const { client, payer, chain } = await start();
  const owners = Array.from({ length: 20 }, () => Keypair.generate().publicKey);
  for (const owner of owners) {
    await send(
      client,
      [payer],
      createAssociatedTokenAccountInstruction(payer.publicKey, usdcAccount(owner), owner, usdcMint),
    );
  }
  chain.advance(2);
  const authority = payer.publicKey;
  const recentSlot = (await client.getSlot()) - 1;
  const [create, table] = AddressLookupTableProgram.createLookupTable({ authority, payer: authority, recentSlot });
  const addresses = [usdcMint, usdcAccount(authority), ...owners.map(usdcAccount)];
  const extend = AddressLookupTableProgram.extendLookupTable({
    authority,
    payer: authority,
    lookupTable: table,
    addresses,
  });
  await send(client, [payer], create, extend);
  const transfers = owners.map((owner) =>
    createTransferCheckedInstruction(usdcAccount(authority), usdcMint, usdcAccount(owner), authority, 3n, 6),
  );
  const build = async () => {
    const found = (await client.getAddressLookupTable(table)).value;
    expect(found?.state.addresses).toHaveLength(addresses.length);
    const { blockhash } = await client.getLatestBlockhash();
    const message = { payerKey: authority, recentBlockhash: blockhash, instructions: transfers };
    const transaction = new VersionedTransaction(
      new TransactionMessage(message).compileToV0Message(found === null ? [] : [found]),
    );
    transaction.sign([payer]);
    return transaction;
  };
  // In the slot that wrote it a table cannot be used yet.
  await expect(client.sendTransaction(await build())).rejects.toThrow("invalid index");
  chain.advance(1);
  const signature = await client.sendTransaction(await build());
  expect((await client.getTokenAccountBalance(usdcAccount(owners[19] ?? authority))).value.amount).toBe("3");
  chain.advance(1);
  const found = await client.getTransaction(signature, { commitment: "confirmed", maxSupportedTransactionVersion: 0 });
  expect(found?.version).toBe(0);
  expect(found?.meta?.loadedAddresses?.writable).toHaveLength(21);
  expect(found?.meta?.loadedAddresses?.readonly.map(String)).toEqual([usdcMint.toBase58()]);
  expect(found?.meta?.postTokenBalances).toHaveLength(21);
  // A looked-up account has its history like any other.
  const history = await client.getSignaturesForAddress(usdcAccount(owners[7] ?? authority), {}, "confirmed");
  expect(history[0]?.signature).toBe(signature);
  const parsed = await client.getParsedTransaction(signature, {
    commitment: "confirmed",
    maxSupportedTransactionVersion: 0,
  });
  expect(parsed?.transaction.message.accountKeys.filter(({ source }) => source === "lookupTable")).toHaveLength(22);
  // Instructions count looked-up accounts after the message's own, those that are written first.
  const shown = parsed?.transaction.message.instructions as ParsedInstruction[];
  expect(shown.map(({ parsed }) => (parsed as { info: { mint: string; destination: string } }).info)).toMatchObject(
    owners.map((owner) => ({ mint: usdcMint.toBase58(), destination: usdcAccount(owner).toBase58() })),
  );
  const old = client.getTransaction(signature, { commitment: "confirmed" } as never);
  await expect(old).rejects.toThrow("Transaction version (0) is not supported");
});

it("begins with a USDC mint of 6 and a $ONE mint of 9 decimals, whose faucet pays several coins at once", async () => {
  const { client, faucet } = await start();
  expect(await getMint(client, usdcMint)).toMatchObject({ decimals: 6, freezeAuthority: null, supply: 1_000_000_000n });
  expect((await getMint(client, oneMint)).decimals).toBe(9);
  const address = Keypair.generate().publicKey.toBase58();
  const gift = await faucet.give({ address, sol: "1.5", usdc: "100", one: "1000.000000001" });
  expect(gift.balance).toEqual({ sol: "1.5", usdc: "100", one: "1000.000000001" });
  // Twice the same in one slot is two gifts.
  expect((await faucet.give({ address, one: "1" })).signature).not.toBe(
    (await faucet.give({ address, one: "1" })).signature,
  );
  expect((await client.getTokenSupply(oneMint)).value.uiAmountString).toBe("1002.000000001");
});

it("says in a preflight what would fail, with the program's log and a cluster's words", async () => {
  const { client, payer } = await start();
  const to = Keypair.generate().publicKey;
  const tooMuch = SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports: 5 * LAMPORTS_PER_SOL });
  const failed = await send(client, [payer], tooMuch).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(SendTransactionError);
  expect(String(failed)).toContain(
    "Transaction simulation failed: Error processing Instruction 0: custom program error: 0x1",
  );
  expect(String(failed)).toContain("insufficient lamports");
  // Without the preflight it lands, pays its fee and fails.
  const before = await client.getBalance(payer.publicKey);
  const signature = await client.sendRawTransaction(await sign(client, [payer], tooMuch), { skipPreflight: true });
  const { value } = await client.getSignatureStatus(signature);
  expect(value?.err).toEqual({ InstructionError: [0, { Custom: 1 }] });
  expect(before - (await client.getBalance(payer.publicKey))).toBe(feeLamports);
});
