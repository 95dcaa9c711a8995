/** Transactions of Solana as payments make them, without a chain, and a node that tells of them. */

import { base58 } from "@scure/base";
import type { Treasury } from "../../protocol/solana/arrivals.ts";
import type { ChainInstruction, ChainTransaction, TokenBalance } from "../../protocol/solana/transaction.ts";
import type { Chain, SignatureInfo, SignaturePage } from "../../workers/deposits/chain.ts";

/** An address, or a signature, that is told by a number. */
export function keyOf(n: number, bytes = 32): string {
  const key = new Uint8Array(bytes);
  new DataView(key.buffer).setUint32(0, n + 1);
  return base58.encode(key);
}

export const TREASURY: Treasury = { owner: keyOf(1), tokenAccount: keyOf(2), mint: keyOf(3) };
const PAYER = keyOf(4);
const PAYERS_TOKENS = keyOf(5);
const OTHER_MINT = keyOf(6);
const OTHER_TOKENS = keyOf(7);

export interface Payment {
  readonly signature: string;
  readonly slot?: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Transfers to the treasury, each with the references that it names. */
  readonly transfers?: readonly { readonly units: bigint; readonly references?: readonly string[] }[];
  /** References beside all transfers. */
  readonly references?: readonly string[];
  readonly memo?: string;
  readonly failed?: boolean;
  /** Pays another coin. */
  readonly wrongMint?: boolean;
  /** Leaves the treasury. */
  readonly sent?: bigint;
  /** Moved in a way that no instruction tells. */
  readonly hidden?: bigint;
}

/** A transaction as a node tells it. */
export function transactionOf(payment: Payment): ChainTransaction {
  const { signature, slot = 1, at, transfers = [], references = [], failed = false, sent = 0n, hidden = 0n } = payment;
  const [mint, to] = payment.wrongMint === true ? [OTHER_MINT, OTHER_TOKENS] : [TREASURY.mint, TREASURY.tokenAccount];
  const total = transfers.reduce((sum, { units }) => sum + units, 0n);
  const instructions: ChainInstruction[] = transfers.map(({ units, references: own = [] }) =>
    transfer(PAYERS_TOKENS, to, units, own),
  );
  if (sent > 0n) instructions.push(transfer(TREASURY.tokenAccount, PAYERS_TOKENS, sent, []));
  const change = failed ? 0n : total - (to === TREASURY.tokenAccount ? sent : 0n) + hidden;
  const before = 1_000_000_000_000n;
  const balances: TokenBalance[] = [
    { account: PAYERS_TOKENS, mint, owner: PAYER, before: before * 2n, after: before * 2n - change },
    { account: to, mint, owner: TREASURY.owner, before, after: before + change },
  ];
  const named = transfers.flatMap(({ references: own = [] }) => own);
  const keys = [PAYER, PAYERS_TOKENS, to, ...named, ...references];
  const memos = payment.memo === undefined ? [] : [payment.memo];
  return { signature, slot, at, failed, keys, memos, instructions, balances };
}

function transfer(source: string, destination: string, units: bigint, references: readonly string[]): ChainInstruction {
  const by = references.length === 0 ? { authority: PAYER } : { multisigAuthority: PAYER, signers: references };
  const tokenAmount = { amount: units.toString(), decimals: 6 };
  return { program: "spl-token", type: "transferChecked", info: { source, destination, tokenAmount, ...by } };
}

/** A node with a history of its own. */
export class FakeChain implements Chain {
  readonly #transactions: ChainTransaction[] = [];
  genesisHash = keyOf(8);
  /** Transactions after this slot it has not heard of. */
  tip = Number.MAX_SAFE_INTEGER;
  readonly calls: string[] = [];

  /** In the order of their slots: one of an earlier slot stands before what was there already. */
  add(...payments: readonly Payment[]): void {
    this.#transactions.push(...payments.map(transactionOf));
    this.#transactions.sort((a, b) => a.slot - b.slot);
  }

  async genesis(): Promise<string> {
    return this.genesisHash;
  }

  async signatures(address: string, { below, leastSlot, limit }: SignaturePage): Promise<SignatureInfo[]> {
    this.calls.push(`signatures ${address} ${below ?? "newest"}`);
    if (this.tip < leastSlot) throw new Error("Minimum context slot has not been reached");
    const known = this.#transactions.filter(({ slot }) => slot <= this.tip);
    const end = below === null ? known.length : known.findIndex(({ signature }) => signature === below);
    const own = known.slice(0, Math.max(end, 0)).filter(({ keys }) => keys.includes(address));
    return own
      .slice(-limit)
      .reverse()
      .map(({ signature, slot }) => ({ signature, slot }));
  }

  async transaction(signature: string): Promise<ChainTransaction> {
    this.calls.push(`transaction ${signature}`);
    const found = this.#transactions.find((one) => one.signature === signature && one.slot <= this.tip);
    if (found === undefined) throw new Error(`the node does not find transaction ${signature}`);
    return found;
  }
}
