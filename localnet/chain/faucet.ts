/** Gives SOL, USDC and $ONE of the local chain to anybody who asks, in transactions like any other. */

import {
  AccountRole,
  type Address,
  appendTransactionMessageInstructions,
  type Blockhash,
  createKeyPairSignerFromPrivateKeyBytes,
  createTransactionMessage,
  getTransactionEncoder,
  type Instruction,
  isAddress,
  type KeyPairSigner,
  pipe,
  setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash,
  signTransactionMessageWithSigners,
} from "@solana/kit";
import { getTransferSolInstruction } from "@solana-program/system";
import {
  findAssociatedTokenPda,
  getCreateAssociatedTokenIdempotentInstructionAsync,
  getMintToInstruction,
  getTransferCheckedInstruction,
} from "@solana-program/token";
import type { FaucetAnswer, FaucetRequest, PayAnswer } from "../../protocol/local/faucet.ts";
import { parsePayUrl } from "../../protocol/solana/pay-url.ts";
import { decimalText, parseDecimal } from "./encoding/amounts.ts";
import { tokenOf } from "./encoding/tokens.ts";
import { textOf } from "./errors.ts";
import type { LocalChain } from "./local-chain.ts";
import { localOnlySeed, ONE_DECIMALS, ONE_MINT, SOL_DECIMALS, USDC_DECIMALS, USDC_MINT } from "./mints.ts";
import { MEMO, TOKEN } from "./programs.ts";
import { BLOCKHASH_LIFE } from "./state/blocks.ts";
import type { Landed } from "./state/history.ts";
import { readTransaction } from "./transaction.ts";

/** Thrown for what the faucet cannot give; says why. */
export class FaucetRefusal extends Error {}

const MAX_SOL = 10_000n * 10n ** 9n;
const MAX_TOKENS = 1_000_000_000n;

export class Faucet {
  readonly #chain: LocalChain;
  readonly #signer: KeyPairSigner;
  /** Makes every gift a transaction of its own, also two of the same amount in one slot. */
  #count = 0;

  private constructor(chain: LocalChain, signer: KeyPairSigner) {
    this.#chain = chain;
    this.#signer = signer;
  }

  static async of(chain: LocalChain): Promise<Faucet> {
    return new Faucet(chain, await createKeyPairSignerFromPrivateKeyBytes(localOnlySeed("faucet")));
  }

  /** Sends SOL and gives the signature. Throws a {@link FaucetRefusal}. */
  async airdrop(destination: Address, lamports: bigint): Promise<string> {
    const { signature } = await this.#send([
      getTransferSolInstruction({ source: this.#signer, destination, amount: lamports }),
    ]);
    return signature;
  }

  /** Gives all that is asked for in one transaction. Throws a {@link FaucetRefusal}. */
  async give({ address, sol, usdc, one }: FaucetRequest): Promise<FaucetAnswer> {
    if (!isAddress(address)) throw new FaucetRefusal(`${address} is no address of 32 bytes in base58.`);
    const lamports = amountOf("SOL", sol, SOL_DECIMALS, MAX_SOL);
    const instructions = [
      ...(lamports === 0n
        ? []
        : [getTransferSolInstruction({ source: this.#signer, destination: address, amount: lamports })]),
      ...(await this.#mint(address, USDC_MINT, amountOf("USDC", usdc, USDC_DECIMALS, MAX_TOKENS * 10n ** 6n))),
      ...(await this.#mint(address, ONE_MINT, amountOf("ONE", one, ONE_DECIMALS, MAX_TOKENS * 10n ** 9n))),
    ];
    if (instructions.length === 0) throw new FaucetRefusal("Nothing was asked for: say how much sol, usdc or one.");
    const { signature } = await this.#send(instructions);
    return { signature, balance: await this.balance(address) };
  }

  /** Pays what a link of Solana Pay asks for, as a wallet does. Throws a {@link FaucetRefusal}. */
  async pay(link: string): Promise<PayAnswer> {
    const request = parsePayUrl(link);
    if (request === null) throw new FaucetRefusal("That is no link of Solana Pay that asks for a token.");
    const [mint, recipient, reference] = [request.splToken, request.recipient, request.reference] as Address[];
    if (mint === undefined || recipient === undefined || reference === undefined || mint !== USDC_MINT) {
      throw new FaucetRefusal(`The faucet pays in USDC of this chain alone, ${USDC_MINT}.`);
    }
    const amount = amountOf("USDC", request.amount, USDC_DECIMALS, MAX_TOKENS * 10n ** 6n);
    if (amount === 0n) throw new FaucetRefusal("The link asks for nothing.");
    const owner = this.#signer.address;
    const [source] = await findAssociatedTokenPda({ owner, mint, tokenProgram: TOKEN });
    const [destination] = await findAssociatedTokenPda({ owner: recipient, mint, tokenProgram: TOKEN });
    const transfer = getTransferCheckedInstruction({
      source,
      mint,
      destination,
      authority: this.#signer,
      amount,
      decimals: USDC_DECIMALS,
    });
    const named = { ...transfer, accounts: [...transfer.accounts, { address: reference, role: AccountRole.READONLY }] };
    const account = await getCreateAssociatedTokenIdempotentInstructionAsync({
      payer: this.#signer,
      owner: recipient,
      mint,
    });
    const { signature } = await this.#send([...(await this.#mint(owner, mint, amount)), account, named]);
    return { signature };
  }

  /** What an address has at the tip, in whole coins. */
  async balance(address: Address): Promise<FaucetAnswer["balance"]> {
    const { slot } = this.#chain;
    const lamports = this.#chain.account(slot, address)?.lamports ?? 0n;
    const tokens = async (mint: Address) => {
      const [at] = await findAssociatedTokenPda({ owner: address, mint, tokenProgram: TOKEN });
      return tokenOf(this.#chain.account(slot, at))?.amount ?? 0n;
    };
    return {
      sol: decimalText(lamports, SOL_DECIMALS),
      usdc: decimalText(await tokens(USDC_MINT), USDC_DECIMALS),
      one: decimalText(await tokens(ONE_MINT), ONE_DECIMALS),
    };
  }

  async #mint(owner: Address, mint: Address, amount: bigint): Promise<Instruction[]> {
    if (amount === 0n) return [];
    const [token] = await findAssociatedTokenPda({ owner, mint, tokenProgram: TOKEN });
    return [
      await getCreateAssociatedTokenIdempotentInstructionAsync({ payer: this.#signer, owner, mint }),
      getMintToInstruction({ mint, token, mintAuthority: this.#signer, amount }),
    ];
  }

  async #send(instructions: readonly Instruction[]): Promise<Landed> {
    this.#count += 1;
    const memo = { programAddress: MEMO, data: new TextEncoder().encode(`faucet ${this.#count}`) };
    const { hash, height } = this.#chain.blocks.tip;
    const lifetime = { blockhash: hash as Blockhash, lastValidBlockHeight: BigInt(height + BLOCKHASH_LIFE) };
    const message = pipe(
      createTransactionMessage({ version: 0 }),
      (empty) => setTransactionMessageFeePayerSigner(this.#signer, empty),
      (paid) => setTransactionMessageLifetimeUsingBlockhash(lifetime, paid),
      (timed) => appendTransactionMessageInstructions([...instructions, memo], timed),
    );
    const signed = await signTransactionMessageWithSigners(message);
    const landed = this.#chain.land(readTransaction(Uint8Array.from(getTransactionEncoder().encode(signed))));
    if (landed === null) throw new FaucetRefusal("The faucet is empty. Start the chain again.");
    if (landed.error !== null) throw new FaucetRefusal(`The chain refused: ${textOf(landed.error)}.`);
    return landed;
  }
}

function amountOf(coin: string, text: string | undefined, decimals: number, most: bigint): bigint {
  if (text === undefined) return 0n;
  const amount = parseDecimal(text, decimals);
  if (amount === null) throw new FaucetRefusal(`${text} ${coin}: give a number with at most ${decimals} places.`);
  if (amount > most)
    throw new FaucetRefusal(`The faucet gives at most ${decimalText(most, decimals)} ${coin} at once.`);
  return amount;
}
