/** A network that takes deposits from a local Solana, people who pay it, and everything that may go wrong between them. */

import {
  createAssociatedTokenAccountIdempotentInstruction,
  createTransferCheckedInstruction,
  getAssociatedTokenAddressSync,
} from "@solana/spl-token";
import { Connection, Keypair, PublicKey, Transaction, TransactionInstruction } from "@solana/web3.js";
import { z } from "zod";
import { ONE_DECIMALS, ONE_MINT, TREASURY, USDC_DECIMALS, USDC_MINT } from "../../../localnet/chain/mints.ts";
import { MEMO } from "../../../localnet/chain/programs.ts";
import { type RunningChain, startChain } from "../../../localnet/chain/start-chain.ts";
import { adminDepositPage } from "../../../protocol/network/deposit-resolutions.ts";
import { depositPage, deposit as depositShape } from "../../../protocol/network/deposits.ts";
import { testSecrets } from "../../secrets.ts";
import { Network, type TestAccount } from "../support/network.ts";

const SLOT_MS = 40;
const treasury = new PublicKey(TREASURY);
const SECOND = "key-of-the-second-operator";
/** The treasury's token account. */
const TOKEN_ACCOUNT = getAssociatedTokenAddressSync(new PublicKey(USDC_MINT), treasury, true);

export type Deposit = z.infer<typeof depositShape>;
export type Arrived = z.infer<typeof adminDepositPage>["data"][number];

/** What a payer sends. */
export interface Payment {
  readonly reference: string | null;
  /** In the coin's own unit. */
  readonly units: bigint;
  readonly wrongMint?: boolean;
}

export class DepositMarket {
  readonly chain: RunningChain;
  readonly network: Network;
  readonly #client: Connection;
  readonly #payer: Keypair;
  #sent = 0;

  private constructor(chain: RunningChain, network: Network, client: Connection, payer: Keypair) {
    this.chain = chain;
    this.network = network;
    this.#client = client;
    this.#payer = payer;
  }

  static async start(): Promise<DepositMarket> {
    const chain = await startChain({ clock: "running", slotMs: SLOT_MS, faultSeed: 7 });
    const network = await Network.start([], { SOLANA_RPC_URL: chain.url, ADMIN_KEY: OPERATORS });
    const client = new Connection(chain.url, {
      commitment: "processed",
      wsEndpoint: chain.wsUrl,
      disableRetryOnRateLimit: true,
    });
    const payer = Keypair.generate();
    await chain.faucet.give({ address: payer.publicKey.toBase58(), sol: "100", usdc: "1000000", one: "1000" });
    const market = new DepositMarket(chain, network, client, payer);
    await market.#openTokenAccounts();
    return market;
  }

  async close(): Promise<void> {
    await this.network.close();
    await this.chain.close();
  }

  /** What the treasury's token account holds, finally, in micro-USDC. */
  async held(): Promise<bigint> {
    const { value } = await this.#client.getTokenAccountBalance(TOKEN_ACCOUNT, "finalized");
    return BigInt(value.amount);
  }

  /** The slot that the chain is at: what is sent now is final 32 slots later. */
  get slot(): number {
    return this.chain.chain.slot;
  }

  async ask({ apiKey }: TestAccount, body: object): Promise<Deposit> {
    return await this.network.json("/api/v1/deposits", depositShape, { method: "POST", apiKey, body });
  }

  /** All deposits of an account. */
  async depositsOf({ apiKey }: TestAccount): Promise<Deposit[]> {
    return (await this.network.json("/api/v1/deposits?limit=1000", depositPage, { apiKey })).data;
  }

  /** All that arrived, as operators see it. */
  async arrived(): Promise<Arrived[]> {
    const all: Arrived[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const path: string = `/api/v1/admin/deposits?limit=1000${cursor === "" ? "" : `&cursor=${cursor}`}`;
      const page = await this.network.json(path, adminDepositPage, { apiKey: testSecrets.ADMIN_KEY });
      all.push(...page.data);
      cursor = page.next;
    }
    return all;
  }

  /** What the clock does once a minute. */
  async poke(): Promise<void> {
    await this.network.server.harness.getWorker().scheduled({ cron: "* * * * *" });
  }

  /** Lets an intent end in the past, so that what is paid for it now is late. */
  async expire(id: string): Promise<void> {
    const { DB } = await this.network.server.harness.getWorker<{ DB: D1 }>().getEnv();
    await DB.prepare("UPDATE deposit_intents SET expires_at = created_at - 60000 WHERE id = ?1").bind(id).run();
  }

  /** The bytes of a payment, signed, with the latest blockhash. */
  async sign({ reference, units, wrongMint = false }: Payment): Promise<Buffer> {
    this.#sent += 1;
    const [mint, decimals] = wrongMint ? [ONE_MINT, ONE_DECIMALS] : [USDC_MINT, USDC_DECIMALS];
    const [from, to] = [this.#payer.publicKey, treasury].map((owner) => tokensOf(owner, mint)) as [
      PublicKey,
      PublicKey,
    ];
    const transfer = createTransferCheckedInstruction(
      from,
      new PublicKey(mint),
      to,
      this.#payer.publicKey,
      units,
      decimals,
    );
    if (reference !== null) {
      transfer.keys.push({ pubkey: new PublicKey(reference), isSigner: false, isWritable: false });
    }
    // Makes every payment a transaction of its own.
    const memo = { keys: [], programId: new PublicKey(MEMO), data: Buffer.from(`payment ${this.#sent}`) };
    return await this.#signed(transfer, new TransactionInstruction(memo));
  }

  /** Sends bytes as a wallet does: whatever the node says, or does not say. */
  async send(bytes: Buffer): Promise<void> {
    await this.#client.sendRawTransaction(bytes, { skipPreflight: true, maxRetries: 0 }).catch(() => null);
  }

  async #signed(...instructions: TransactionInstruction[]): Promise<Buffer> {
    const latest = await this.#client.getLatestBlockhash();
    const transaction = new Transaction({ feePayer: this.#payer.publicKey, ...latest }).add(...instructions);
    transaction.sign(this.#payer);
    return transaction.serialize();
  }

  async #openTokenAccounts(): Promise<void> {
    const payer = this.#payer.publicKey;
    const open = [USDC_MINT, ONE_MINT].map((mint) =>
      createAssociatedTokenAccountIdempotentInstruction(payer, tokensOf(treasury, mint), treasury, new PublicKey(mint)),
    );
    await this.send(await this.#signed(...open));
  }
}

/** As much of D1 as a test needs. */
interface D1 {
  prepare(text: string): { bind(...values: unknown[]): { run(): Promise<unknown> } };
}

const OPERATORS = `admin:${testSecrets.ADMIN_KEY} second:${SECOND}`;

function tokensOf(owner: PublicKey, mint: string): PublicKey {
  return getAssociatedTokenAddressSync(new PublicKey(mint), owner, true);
}
