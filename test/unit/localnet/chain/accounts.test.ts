import { address } from "@solana/kit";
import {
  ACCOUNT_SIZE,
  AccountLayout,
  createTransferCheckedInstruction,
  TOKEN_2022_PROGRAM_ID,
  TOKEN_PROGRAM_ID,
} from "@solana/spl-token";
import type { PublicKey } from "@solana/web3.js";
import {
  ComputeBudgetProgram,
  Keypair,
  type ParsedAccountData,
  SystemProgram,
  TransactionMessage,
  VersionedTransaction,
} from "@solana/web3.js";
import { describe, expect, it } from "vitest";
import type { LocalChain } from "../../../../localnet/chain/local-chain.ts";
import { TOKEN } from "../../../../localnet/chain/programs.ts";
import { oneMint, refusalOf, send, start, usdcAccount, usdcMint } from "./support.ts";

/** Writes a token account with $ONE whose owner is its own address: a thousand transactions would take their time. */
function hold(chain: LocalChain, key: PublicKey, amount: bigint): void {
  const data = Buffer.alloc(ACCOUNT_SIZE);
  const none = { delegateOption: 0 as const, delegate: SystemProgram.programId, delegatedAmount: 0n };
  const closed = { closeAuthorityOption: 0 as const, closeAuthority: SystemProgram.programId };
  const native = { isNativeOption: 0 as const, isNative: 0n };
  AccountLayout.encode({ mint: oneMint, owner: key, amount, state: 1, ...none, ...native, ...closed }, data);
  chain.setAccount(address(key.toBase58()), {
    lamports: chain.rentFor(ACCOUNT_SIZE),
    owner: TOKEN,
    data,
    executable: false,
  });
}

describe("accounts", () => {
  it("of a thousand holders are read in pages, all at one slot", async () => {
    const { client, chain } = await start();
    const keys = Array.from({ length: 1_000 }, () => Keypair.generate().publicKey);
    for (const [index, key] of keys.entries()) {
      hold(chain, key, BigInt(index + 1) * 10n ** 9n);
      if (index % 100 === 99) chain.advance(1);
    }
    const holders = await client.getProgramAccounts(TOKEN_PROGRAM_ID, {
      filters: [{ dataSize: ACCOUNT_SIZE }, { memcmp: { offset: 0, bytes: oneMint.toBase58() } }],
      dataSlice: { offset: 32, length: 40 },
    });
    expect(holders).toHaveLength(1_000);
    expect(new Set(holders.map(({ account }) => account.data.length))).toEqual(new Set([40]));
    let sum = 0n;
    for (let from = 0; from < holders.length; from += 100) {
      const page = holders.slice(from, from + 100).map(({ pubkey }) => pubkey);
      const { value, context } = await client.getMultipleAccountsInfoAndContext(page);
      expect(context.slot).toBe(chain.slot);
      for (const account of value) sum += account?.data.readBigUInt64LE(64) ?? 0n;
    }
    expect(sum).toBe(500_500n * 10n ** 9n);
    // One of them by its owner, in base64 as kit asks for it.
    const first = holders[0]?.account.data.subarray(0, 32) ?? Buffer.alloc(0);
    const memcmp = { offset: 32, bytes: first.toString("base64"), encoding: "base64" as const };
    expect(await client.getProgramAccounts(TOKEN_PROGRAM_ID, { filters: [{ memcmp }] })).toHaveLength(1);
    const many = await refusalOf(client.getMultipleAccountsInfo(keys.slice(0, 101)));
    expect(many.message).toContain("Too many inputs provided; max 100");
  });

  it("that do not exist are null, wherever they stand", async () => {
    const { client, payer } = await start();
    const nobody = Keypair.generate().publicKey;
    expect(await client.getAccountInfo(nobody)).toBeNull();
    expect(await client.getBalance(nobody)).toBe(0);
    const [none, one] = await client.getMultipleAccountsInfo([nobody, payer.publicKey]);
    expect([none, one?.owner.equals(SystemProgram.programId)]).toEqual([null, true]);
    for (const call of [client.getTokenAccountBalance(nobody), client.getTokenSupply(nobody)]) {
      expect((await refusalOf(call)).message).toMatch(/could not find/);
    }
    expect((await refusalOf(client.getTokenAccountBalance(payer.publicKey))).message).toContain("not a Token account");
  });

  it("of tokens are shown parsed, and found by their owner", async () => {
    const { client, payer, faucet } = await start();
    await faucet.give({ address: payer.publicKey.toBase58(), one: "2" });
    const parsed = await client.getParsedTokenAccountsByOwner(payer.publicKey, { programId: TOKEN_PROGRAM_ID });
    const amounts = parsed.value.map(({ account }) => [
      account.data.parsed.info.mint,
      account.data.parsed.info.tokenAmount.uiAmountString,
    ]);
    expect(Object.fromEntries(amounts)).toEqual({ [usdcMint.toBase58()]: "1000", [oneMint.toBase58()]: "2" });
    const usdc = await client.getTokenAccountsByOwner(payer.publicKey, { mint: usdcMint });
    expect(usdc.value.map(({ pubkey }) => pubkey.toBase58())).toEqual([usdcAccount(payer.publicKey).toBase58()]);
    expect((await client.getTokenAccountsByOwner(payer.publicKey, { programId: TOKEN_2022_PROGRAM_ID })).value).toEqual(
      [],
    );
    const mint = (await client.getParsedAccountInfo(usdcMint)).value;
    expect((mint?.data as ParsedAccountData | undefined)?.parsed).toMatchObject({
      type: "mint",
      info: { decimals: 6, supply: "1000000000" },
    });
    const unknown = client.getTokenAccountsByOwner(payer.publicKey, { mint: payer.publicKey });
    expect((await refusalOf(unknown)).message).toContain("could not find mint");
  });
});

describe("a simulation", () => {
  it("shows what would be and changes nothing", async () => {
    const { client, payer } = await start();
    const account = usdcAccount(payer.publicKey);
    const to = Keypair.generate().publicKey;
    const instructions = [SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports: 900_000 })];
    const { blockhash } = await client.getLatestBlockhash();
    const message = { payerKey: payer.publicKey, recentBlockhash: blockhash, instructions };
    const unsigned = new VersionedTransaction(new TransactionMessage(message).compileToV0Message());
    const { value } = await client.simulateTransaction(unsigned, {
      accounts: { encoding: "base64", addresses: [to.toBase58(), account.toBase58()] },
    });
    expect(value).toMatchObject({ err: null, unitsConsumed: 150 });
    expect(value.accounts?.map((one) => one?.lamports)).toEqual([900_000, 2_039_280]);
    expect(await client.getBalance(to)).toBe(0);
    const verified = await client.simulateTransaction(unsigned, { sigVerify: true });
    expect(verified.value.err).toBe("SignatureFailure");
    unsigned.message.recentBlockhash = to.toBase58();
    expect((await client.simulateTransaction(unsigned)).value.err).toBe("BlockhashNotFound");
    const replaced = await client.simulateTransaction(unsigned, { replaceRecentBlockhash: true });
    expect(replaced.value.err).toBeNull();
  });
});

describe("fees", () => {
  it("are foretold as they are charged, priority and second signatures included", async () => {
    const { client, payer, chain } = await start();
    const second = Keypair.generate();
    const account = usdcAccount(payer.publicKey);
    const transfer = createTransferCheckedInstruction(account, usdcMint, account, payer.publicKey, 1n, 6);
    transfer.keys.push({ pubkey: second.publicKey, isSigner: true, isWritable: false });
    const budget = [
      ComputeBudgetProgram.setComputeUnitLimit({ units: 123_456 }),
      ComputeBudgetProgram.setComputeUnitPrice({ microLamports: 3_333 }),
    ];
    const message = new TransactionMessage({
      payerKey: payer.publicKey,
      recentBlockhash: (await client.getLatestBlockhash()).blockhash,
      instructions: [...budget, transfer],
    }).compileToLegacyMessage();
    chain.advance(1);
    const foretold = (await client.getFeeForMessage(message)).value;
    expect(foretold).toBe(10_000 + Math.ceil((123_456 * 3_333) / 1_000_000));
    const before = await client.getBalance(payer.publicKey);
    await send(client, [payer, second], ...budget, transfer);
    expect(before - (await client.getBalance(payer.publicKey))).toBe(foretold);
    chain.advance(1);
    const recent = await client.getRecentPrioritizationFees({ lockedWritableAccounts: [account] });
    expect(recent.find(({ slot }) => slot === chain.slot - 1)?.prioritizationFee).toBe(3_333);
    expect(recent.filter(({ prioritizationFee }) => prioritizationFee > 0)).toHaveLength(1);
    chain.advance(200);
    expect((await client.getFeeForMessage(message)).value).toBeNull();
  });
});
