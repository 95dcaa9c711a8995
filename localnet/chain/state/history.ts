/** The transactions that have landed: by signature, and by every account that they name. */

import type { Address } from "@solana/kit";
import type { TransactionError } from "../errors.ts";
import type { KeyOfTransaction, ReadTransaction } from "../transaction.ts";
import type { Account } from "./accounts.ts";
import { FIRST_SLOT } from "./blocks.ts";

/** An instruction that a program called: places in the transaction's list of accounts. */
export interface InnerInstruction {
  readonly program: number;
  readonly accounts: readonly number[];
  readonly data: Uint8Array;
  readonly stackHeight: number;
}

/** What running a transaction did, beside the accounts. */
export interface Execution {
  readonly error: TransactionError | null;
  readonly logs: readonly string[];
  readonly units: number;
  /** By the place of the instruction that called. */
  readonly inner: readonly (readonly InnerInstruction[])[];
  readonly returned: { readonly program: Address; readonly data: Uint8Array } | null;
}

export interface Landed extends Execution {
  readonly signature: string;
  readonly slot: number;
  /** How many landed before it. */
  readonly order: number;
  /** Unix time in seconds. */
  readonly blockTime: number;
  readonly transaction: ReadTransaction;
  /** Every account of the transaction, those of lookup tables last. */
  readonly keys: readonly KeyOfTransaction[];
  readonly feeLamports: bigint;
  /** In the order of `keys`. */
  readonly before: readonly (Account | null)[];
  readonly after: readonly (Account | null)[];
  /** Of the mints whose accounts are among them, which the transaction need not name. */
  readonly decimals: ReadonlyMap<Address, number>;
  readonly memo: string | null;
}

export interface Page {
  readonly limit: number;
  /** Begin below this transaction. */
  readonly before?: string | undefined;
  /** End above this one. */
  readonly until?: string | undefined;
  /** The newest slot that the reader knows. */
  readonly newestSlot: number;
}

export class History {
  /** Oldest first. */
  readonly #landed: Landed[] = [];
  readonly #bySignature = new Map<string, Landed>();
  /** Oldest first. */
  readonly #byAddress = new Map<Address, Landed[]>();
  #firstSlot = FIRST_SLOT;

  get count(): number {
    return this.#landed.length;
  }

  /** How many accounts are named by what is kept. */
  get addresses(): number {
    return this.#byAddress.size;
  }

  /** The first slot of which nothing is forgotten. */
  get firstSlot(): number {
    return this.#firstSlot;
  }

  add(landed: Landed): void {
    this.#landed.push(landed);
    this.#bySignature.set(landed.signature, landed);
    for (const { address } of landed.keys) {
      const list = this.#byAddress.get(address);
      if (list === undefined) this.#byAddress.set(address, [landed]);
      else list.push(landed);
    }
  }

  get(signature: string): Landed | undefined {
    return this.#bySignature.get(signature);
  }

  /** The transactions that name an account, newest first. Below a transaction that is not known there is nothing. */
  of(address: Address, page: Page): Landed[] {
    const before = page.before === undefined ? undefined : this.get(page.before);
    if (page.before !== undefined && (before === undefined || before.slot > page.newestSlot)) return [];
    const until = page.until === undefined ? undefined : this.get(page.until);
    return newestFirst(this.#byAddress.get(address) ?? [], before?.order ?? Infinity, until?.order ?? -1, page);
  }

  /** All transactions, newest first. */
  latest(page: Pick<Page, "limit" | "newestSlot">): Landed[] {
    return newestFirst(this.#landed, Infinity, -1, page);
  }

  /** Those of the slots from `first` to `last`. */
  between(first: number, last: number): Landed[] {
    const start = this.#landed.findLastIndex(({ slot }) => slot < first) + 1;
    return this.#landed.slice(start).filter(({ slot }) => slot <= last);
  }

  /** Forgets the oldest beyond `most`, but none of a slot after `settled`. */
  prune(most: number, settled: number): void {
    const excess = Math.max(0, this.#landed.length - most);
    const young = this.#landed.findIndex(({ slot }) => slot > settled);
    const gone = this.#landed.splice(0, young === -1 ? excess : Math.min(excess, young));
    for (const { signature, slot, keys } of gone) {
      this.#firstSlot = slot + 1;
      this.#bySignature.delete(signature);
      for (const { address } of keys) {
        // What goes first came first, in every list.
        const list = this.#byAddress.get(address);
        list?.shift();
        if (list?.length === 0) this.#byAddress.delete(address);
      }
    }
  }
}

function newestFirst(list: readonly Landed[], from: number, to: number, { limit, newestSlot }: Page): Landed[] {
  const end = list.findLastIndex(({ order, slot }) => order < from && slot <= newestSlot) + 1;
  const found = list.slice(Math.max(0, end - limit), end).reverse();
  return found.filter(({ order }) => order > to);
}
