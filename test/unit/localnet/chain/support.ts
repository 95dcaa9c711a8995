/** A local Solana for a test, and the client that everybody uses: @solana/web3.js. */

import { getAssociatedTokenAddressSync } from "@solana/spl-token";
import {
  Connection,
  Keypair,
  PublicKey,
  Transaction,
  TransactionInstruction,
  type TransactionSignature,
} from "@solana/web3.js";
import { afterEach } from "vitest";
import { ONE_MINT, USDC_MINT } from "../../../../localnet/chain/mints.ts";
import { MEMO } from "../../../../localnet/chain/programs.ts";
import { type RunningChain, type StartSettings, startChain } from "../../../../localnet/chain/start-chain.ts";

export const usdcMint = new PublicKey(USDC_MINT);
export const oneMint = new PublicKey(ONE_MINT);

const running: RunningChain[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.close()));
});

export interface TestChain extends RunningChain {
  /** Reads at `processed`, so that what was sent is seen without waiting. */
  readonly client: Connection;
  /** With one SOL and 1,000 USDC. */
  readonly payer: Keypair;
}

/** A chain whose slots pass only when the test says so. */
export async function start(settings: StartSettings = {}): Promise<TestChain> {
  const chain = await startChain(settings);
  running.push(chain);
  const payer = Keypair.generate();
  await chain.faucet.give({ address: payer.publicKey.toBase58(), sol: "1", usdc: "1000" });
  return { ...chain, payer, client: connect(chain) };
}

export function connect(
  { url, wsUrl }: RunningChain,
  commitment: "processed" | "confirmed" | "finalized" = "processed",
) {
  return new Connection(url, { commitment, wsEndpoint: wsUrl, disableRetryOnRateLimit: true });
}

/** The bytes of a transaction that the first signer pays, with the latest blockhash. */
export async function sign(
  client: Connection,
  signers: readonly [Keypair, ...Keypair[]],
  ...instructions: TransactionInstruction[]
): Promise<Buffer> {
  const latest = await client.getLatestBlockhash();
  const transaction = new Transaction({ feePayer: signers[0].publicKey, ...latest }).add(...instructions);
  transaction.sign(...signers);
  return transaction.serialize();
}

/** Signs and sends, with a preflight. */
export async function send(
  client: Connection,
  signers: readonly [Keypair, ...Keypair[]],
  ...instructions: TransactionInstruction[]
): Promise<TransactionSignature> {
  return await client.sendRawTransaction(await sign(client, signers, ...instructions));
}

export function usdcAccount(owner: PublicKey): PublicKey {
  return getAssociatedTokenAddressSync(usdcMint, owner);
}

/** What a refused call says, or a failure when it is not refused. */
export async function refusalOf(call: Promise<unknown>): Promise<Error & { code?: number; logs?: string[] }> {
  try {
    await call;
  } catch (error) {
    return error as Error;
  }
  throw new Error("the call was not refused");
}

export function memo(text: string): TransactionInstruction {
  return new TransactionInstruction({ programId: new PublicKey(MEMO), keys: [], data: Buffer.from(text) });
}
