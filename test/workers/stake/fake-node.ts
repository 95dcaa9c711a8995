/** A node of Solana that knows token accounts alone, and can be behind, busy, forgetful or dead at any call. */

import { sha256 } from "@noble/hashes/sha2.js";
import { base58, base64 } from "@scure/base";
import { utf8ToBytes } from "../../../core/receipt/canonical.ts";
import { associatedTokenAddress, TOKEN_PROGRAM } from "../../../protocol/solana/token-account.ts";

/** An address that follows from a name. */
export const addressOf = (name: string): string => base58.encode(sha256(utf8ToBytes(name)));
export const MINT = addressOf("mint");

interface TokenState {
  readonly program: string;
  readonly mint: string;
  readonly owner: string;
  readonly amount: bigint;
}
type Change = readonly [address: string, before: TokenState | null, after: TokenState | null];
interface Landed {
  readonly signature: string;
  readonly slot: number;
  readonly failed: boolean;
  readonly changes: readonly Change[];
}
interface Call {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
}
interface Options {
  readonly minContextSlot?: number;
  readonly limit?: number;
  readonly before?: string;
}

/** The token account of a wallet. */
export function tokenAccountOf(wallet: string): string {
  const address = associatedTokenAddress(wallet, MINT);
  if (address === null) throw new Error(`${wallet} is no address`);
  return address;
}

export class FakeNode {
  /** The latest finalized slot. */
  slot = 1_000;
  /** How often each method was called. */
  readonly calls = new Map<string, number>();
  /** By how much the node that answers the next HTTP request is behind; 0 afterwards. */
  lag = 0;
  /** From here on it has no history. */
  forgetsSignatures = false;
  /** Called before each HTTP request is answered; what it gives instead is the answer. */
  onRequest: (methods: readonly string[], count: number) => Response | undefined | void = () => {};
  #requests = 0;
  readonly #versions = new Map<string, { slot: number; state: TokenState | null }[]>();
  readonly #history: Landed[] = [];

  advance(slots = 1): void {
    this.slot += slots;
  }

  /** Gives a wallet so much, as a transaction in the next slot. */
  set(wallet: string, amount: bigint, other: Partial<TokenState> = {}): void {
    const state = { program: TOKEN_PROGRAM, mint: MINT, owner: wallet, amount, ...other };
    this.land([[tokenAccountOf(wallet), state]]);
  }

  /** Moves an amount between wallets, as a transaction in the next slot. */
  move(from: string, to: string, amount: bigint): void {
    const give = (wallet: string, change: bigint) => {
      const at = tokenAccountOf(wallet);
      const now = this.#at(at, this.slot) ?? { program: TOKEN_PROGRAM, mint: MINT, owner: wallet, amount: 0n };
      return [at, { ...now, amount: now.amount + change }] as const;
    };
    this.land([give(from, -amount), give(to, amount)]);
  }

  close(wallet: string): void {
    this.land([[tokenAccountOf(wallet), null]]);
  }

  /** A transaction that names a wallet's account and changes nothing: it failed, or only looked. */
  touch(wallet: string, { failed = false } = {}): void {
    const at = tokenAccountOf(wallet);
    this.land([[at, this.#at(at, this.slot)]], failed);
  }

  /** The same for many wallets at once. */
  touchAll(wallets: readonly string[]): void {
    this.land(wallets.map(tokenAccountOf).map((at) => [at, this.#at(at, this.slot)]));
  }

  land(changed: readonly (readonly [string, TokenState | null])[], failed = false): void {
    this.slot += 1;
    const changes = changed.map(([address, after]): Change => {
      const versions = this.#versions.get(address) ?? [];
      const before = versions.at(-1)?.state ?? null;
      if (!failed) this.#versions.set(address, [...versions, { slot: this.slot, state: after }]);
      return [address, before, after];
    });
    this.#history.push({ signature: `s${this.#history.length}`, slot: this.slot, failed, changes });
  }

  /** In place of `fetch`. */
  readonly fetch = (_url: unknown, init?: { body?: unknown }): Promise<Response> => {
    const calls = JSON.parse(String(init?.body)) as Call[];
    const methods = calls.map(({ method }) => method);
    for (const method of methods) this.calls.set(method, (this.calls.get(method) ?? 0) + 1);
    const instead = this.onRequest(methods, this.#requests++);
    if (instead !== undefined) return Promise.resolve(instead);
    const tip = this.slot - this.lag;
    this.lag = 0;
    // Nodes may answer in any order.
    return Promise.resolve(Response.json(calls.map((call) => this.#answer(call, tip)).reverse()));
  };

  #answer({ id, method, params }: Call, tip: number): object {
    const [subject, options = {}] = params as [unknown, Options?];
    if ((options.minContextSlot ?? 0) > tip) return { id, error: { code: -32_016, message: "not reached" } };
    return { jsonrpc: "2.0", id, result: this.#result(method, subject, options, tip) };
  }

  #result(method: string, subject: unknown, options: Options, tip: number): unknown {
    if (method === "getSlot") return tip;
    if (method === "getMultipleAccounts") {
      const value = (subject as string[]).map((address) => encode(this.#at(address, tip)));
      return { context: { slot: tip }, value };
    }
    if (method === "getSignaturesForAddress") return this.#signatures(String(subject), options, tip);
    const landed = this.#history.find(({ signature, slot }) => signature === subject && slot <= tip);
    return landed === undefined ? null : transactionOf(landed);
  }

  #signatures(address: string, { limit = 1_000, before }: Options, tip: number): object[] {
    if (this.forgetsSignatures) return [];
    const all = this.#history
      .filter(({ slot, changes }) => slot <= tip && changes.some(([changed]) => changed === address))
      .toReversed();
    // Below a transaction that it has not heard of a node finds nothing.
    const place = before === undefined ? -1 : all.findIndex(({ signature }) => signature === before);
    const start = before !== undefined && place === -1 ? all.length : place + 1;
    return all
      .slice(start, start + limit)
      .map(({ signature, slot, failed }) => ({ signature, slot, err: failed ? { InstructionError: [0, "x"] } : null }));
  }

  #at(address: string, slot: number): TokenState | null {
    return this.#versions.get(address)?.findLast((version) => version.slot <= slot)?.state ?? null;
  }
}

function encode(state: TokenState | null): object | null {
  if (state === null) return null;
  const amount = new Uint8Array(8);
  new DataView(amount.buffer).setBigUint64(0, state.amount, true);
  const head = Uint8Array.of(...base58.decode(state.mint), ...base58.decode(state.owner), ...amount);
  return { owner: state.program, data: [base64.encode(head), "base64"], lamports: 1, executable: false };
}

function transactionOf({ slot, changes }: Landed): object {
  const balances = (pick: (change: Change) => TokenState | null) =>
    changes.flatMap((change, index) => {
      const state = pick(change);
      if (state === null) return [];
      const { mint, owner, amount } = state;
      return [{ accountIndex: index + 1, mint, owner, uiTokenAmount: { amount: String(amount), decimals: 9 } }];
    });
  return {
    slot,
    transaction: {
      message: { accountKeys: [{ pubkey: addressOf("payer") }, ...changes.map(([pubkey]) => ({ pubkey }))] },
    },
    meta: {
      preTokenBalances: balances(([, before]) => before),
      postTokenBalances: balances(([, , after]) => after),
    },
  };
}
