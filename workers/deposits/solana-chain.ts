/**
 * A Solana node over JSON-RPC. Every call has a time-out and is tried again: nodes fall behind, refuse who asks too often,
 * and lose connections. @solana/web3.js weighs 350 KiB and takes some 40 ms to start, so it is loaded at the first call.
 */

import { Connection, type ParsedTransactionWithMeta, PublicKey } from "@solana/web3.js";
import { backOff } from "exponential-backoff";
import { LIMITS } from "../../core/limits.ts";
import type { Treasury } from "../../protocol/solana/arrivals.ts";
import type { ChainInstruction, ChainTransaction, TokenBalance } from "../../protocol/solana/transaction.ts";
import type { Chain, SignatureInfo, SignaturePage } from "./chain.ts";

const TOKEN_PROGRAM = new PublicKey("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA");
const ASSOCIATED_TOKEN_PROGRAM = new PublicKey("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL");
/** JSON-RPC's codes for a call that no repetition makes better. */
const HOPELESS: ReadonlySet<unknown> = new Set([-32600, -32601, -32602]);

/** The token account in which a wallet has a coin: the one that Solana Pay pays to. */
export function treasuryOf(owner: string, mint: string): Treasury {
  const seeds = [new PublicKey(owner), TOKEN_PROGRAM, new PublicKey(mint)].map((key) => key.toBytes());
  const [tokenAccount] = PublicKey.findProgramAddressSync(seeds, ASSOCIATED_TOKEN_PROGRAM);
  return { owner, mint, tokenAccount: tokenAccount.toBase58() };
}

/** A node, and how a call of it is repeated. */
export interface Node {
  readonly connection: Connection;
  readonly persist: <T>(call: () => Promise<T>) => Promise<T>;
}

/** Connects to a node. `send` is the fetch to use, and `firstDelayMs` how long a failed call waits the first time. */
export function solanaNode(
  url: string,
  send: typeof fetch = (input, init) => fetch(input, init),
  firstDelayMs: number = LIMITS.solanaFirstDelayMs,
): Node {
  const connection = new Connection(url, {
    commitment: "finalized",
    disableRetryOnRateLimit: true,
    fetch: (input, init) =>
      send(input, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: (init as { body: string }).body,
        signal: AbortSignal.timeout(LIMITS.solanaCallMs),
      }),
  });
  const persist = <T>(call: () => Promise<T>): Promise<T> =>
    backOff(call, {
      numOfAttempts: LIMITS.solanaAttempts,
      startingDelay: firstDelayMs,
      jitter: "full",
      retry: (error: unknown) => !HOPELESS.has((error as { code?: unknown }).code),
    });
  return { connection, persist };
}

/** What deposits ask of a node. */
export function solanaChain({ connection, persist }: Node): Chain {
  return {
    genesis: () => persist(() => connection.getGenesisHash()),
    signatures: (address, page) => persist(() => signatures(connection, address, page)),
    transaction: (signature) => persist(() => transaction(connection, signature)),
  };
}

async function signatures(
  connection: Connection,
  address: string,
  { below, leastSlot, limit }: SignaturePage,
): Promise<SignatureInfo[]> {
  const options = { limit, minContextSlot: leastSlot, ...(below === null ? {} : { before: below }) };
  const found = await connection.getSignaturesForAddress(new PublicKey(address), options, "finalized");
  return found.map(({ signature, slot }) => ({ signature, slot }));
}

async function transaction(connection: Connection, signature: string): Promise<ChainTransaction> {
  const options = { commitment: "finalized", maxSupportedTransactionVersion: 0 } as const;
  const found = await connection.getParsedTransaction(signature, options);
  if (found?.meta == null) throw new Error(`the node does not find transaction ${signature}`);
  return shaped(signature, found, found.meta);
}

type Meta = NonNullable<ParsedTransactionWithMeta["meta"]>;

function shaped(signature: string, found: ParsedTransactionWithMeta, meta: Meta): ChainTransaction {
  const { message } = found.transaction;
  const keys = message.accountKeys.map(({ pubkey }) => pubkey.toBase58());
  const inner = new Map((meta.innerInstructions ?? []).map(({ index, instructions }) => [index, instructions]));
  const instructions = message.instructions.flatMap((outer, index) => [outer, ...(inner.get(index) ?? [])]);
  return {
    signature,
    slot: found.slot,
    at: found.blockTime == null ? null : found.blockTime * 1_000,
    failed: meta.err !== null,
    keys,
    memos: instructions.flatMap(memoOf),
    instructions: instructions.map(shapedInstruction),
    balances: balancesOf(meta, keys),
  };
}

function shapedInstruction(instruction: object): ChainInstruction {
  const { program, parsed } = instruction as { program?: string; parsed?: unknown };
  // A memo's parsed form is its text.
  const { type, info } = (typeof parsed === "object" ? (parsed ?? {}) : {}) as { type?: string; info?: object };
  return { program: program ?? null, type: type ?? null, info: { ...info } };
}

function memoOf(instruction: object): string[] {
  const { program, parsed } = instruction as { program?: string; parsed?: unknown };
  return program === "spl-memo" && typeof parsed === "string" ? [parsed] : [];
}

function balancesOf({ preTokenBalances, postTokenBalances }: Meta, keys: readonly string[]): TokenBalance[] {
  const balances = new Map<number, TokenBalance>();
  for (const [place, list] of [["before", preTokenBalances] as const, ["after", postTokenBalances] as const]) {
    for (const { accountIndex, mint, owner, uiTokenAmount } of list ?? []) {
      const account = keys[accountIndex] ?? "";
      const known = balances.get(accountIndex) ?? { account, mint, owner: owner ?? null, before: 0n, after: 0n };
      balances.set(accountIndex, { ...known, [place]: BigInt(uiTokenAmount.amount) });
    }
  }
  return [...balances.values()];
}
