/**
 * A Solana for one machine. litesvm runs the transactions; this gives them slots, blockhashes that expire, commitment,
 * and a memory of what was, as far back as a client may ask.
 */

import { createHash } from "node:crypto";
import { type Address, getBase58Decoder } from "@solana/kit";
import { mintOf, tokenOf } from "./encoding/tokens.ts";
import type { TransactionError } from "./errors.ts";
import { MAX_LAG_SLOTS } from "./faults.ts";
import { Machine } from "./machine.ts";
import { type ChainSettings, resolveSettings, STATUS_SLOTS } from "./settings.ts";
import { type Account, Accounts } from "./state/accounts.ts";
import { BLOCKHASH_LIFE, Blocks, FIRST_SLOT } from "./state/blocks.ts";
import { History, type Landed } from "./state/history.ts";
import { feeOf, keysOf, memoOf, type ReadTransaction } from "./transaction.ts";
import { type Readable, View } from "./view.ts";

export class LocalChain implements Readable {
  readonly confirmedAfter: number;
  readonly finalizedAfter: number;
  readonly slotMs: number;
  readonly genesisHash: string;
  /** Of the first slot, Unix time in milliseconds. */
  readonly #genesisMs: number;
  readonly #historyLimit: number;
  readonly #machine = new Machine();
  readonly #blocks: Blocks;
  readonly #accounts = new Accounts();
  readonly #history = new History();
  /** Sent and not landed yet, by the slot in which they will. */
  #delayed: { readonly slot: number; readonly transaction: ReadTransaction; readonly fails: boolean }[] = [];
  readonly #listeners = new Set<() => void>();
  #landedCount = 0;

  /** `genesis` writes the first accounts. They are final when the chain begins, and nothing else is. */
  constructor(settings: ChainSettings = {}, genesis: (chain: LocalChain) => void = () => {}) {
    const { seed, confirmedAfter, finalizedAfter, historyLimit, startMs, slotMs } = resolveSettings(settings);
    this.confirmedAfter = confirmedAfter;
    this.finalizedAfter = finalizedAfter;
    this.slotMs = slotMs;
    this.#genesisMs = startMs - finalizedAfter * slotMs;
    this.#historyLimit = historyLimit;
    const hash = createHash("sha256").update(seed).digest();
    this.genesisHash = getBase58Decoder().decode(hash);
    this.#blocks = new Blocks(hash);
    genesis(this);
    this.advance(finalizedAfter);
  }

  /** The latest slot. */
  get slot(): number {
    return this.#blocks.tip.slot;
  }

  /** How many transactions have ever landed. */
  get landedCount(): number {
    return this.#landedCount;
  }

  get history(): History {
    return this.#history;
  }

  get blocks(): Blocks {
    return this.#blocks;
  }

  /** How much is remembered, for those who watch that it stays bounded. */
  get kept(): { accountVersions: number; transactions: number; blocks: number; delayed: number; addresses: number } {
    return {
      accountVersions: this.#accounts.size,
      transactions: this.#history.count,
      blocks: this.#blocks.size,
      delayed: this.#delayed.length,
      addresses: this.#history.addresses,
    };
  }

  /** Lets slots pass. Delayed transactions land on their way. */
  advance(slots = 1): void {
    const target = this.slot + slots;
    for (;;) {
      const next = this.#delayed.reduce((least, { slot }) => Math.min(least, slot), Infinity);
      if (next > target) break;
      this.#blocks.moveTo(next);
      const due = this.#delayed.filter(({ slot }) => slot === next);
      this.#delayed = this.#delayed.filter(({ slot }) => slot !== next);
      for (const { transaction, fails } of due) this.land(transaction, { fails });
    }
    this.#blocks.moveTo(target);
    this.#prune();
    for (const listener of this.#listeners) listener();
  }

  /** Calls back after every transaction and every advance, until the function that it gives is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What a node sees that is `lagSlots` behind. */
  view(lagSlots = 0): View {
    return new View(this, Math.max(FIRST_SLOT, this.slot - lagSlots));
  }

  /** Unix time of a slot, in seconds. */
  timeOf(slot: number): number {
    return Math.floor((this.#genesisMs + (slot - FIRST_SLOT) * this.slotMs) / 1_000);
  }

  /** The slot of a Unix time in milliseconds, which may be yet to come. */
  slotAt(unixMs: number): number {
    return FIRST_SLOT + Math.floor((unixMs - this.#genesisMs) / this.slotMs);
  }

  /** The account as it was at the end of a slot. The system's own accounts are as they are now. */
  account(slot: number, address: Address): Account | null {
    const known = this.#accounts.read(slot, address);
    if (known !== undefined) return known;
    this.#catchUp();
    return this.#machine.account(address);
  }

  ownedBy(slot: number, program: Address): Iterable<[Address, Account]> {
    return this.#accounts.ownedBy(slot, program);
  }

  /** Writes an account past all rules, as a genesis does. */
  setAccount(address: Address, account: Account): void {
    this.#machine.setAccount(address, account);
    this.#accounts.write(this.slot, address, account);
  }

  rentFor(bytes: number): bigint {
    return this.#machine.rentFor(bytes);
  }

  /** Lets a transaction land in the slot that is `slots` from now, if its blockhash lives that long. */
  delay(transaction: ReadTransaction, slots: number, fails: boolean): void {
    // Even the latest blockhash would be too old by then, so nothing is kept that waits for long.
    if (slots > BLOCKHASH_LIFE) return;
    this.#delayed.push({ slot: this.slot + slots, transaction, fails });
  }

  /**
   * Takes a transaction into the latest block. Without a recent blockhash, a good signature or the money for its fee it
   * does not land, and the same one lands once. With `fails` it pays and does nothing else.
   */
  land(transaction: ReadTransaction, { fails = false } = {}): Landed | null {
    const { tip } = this.#blocks;
    if (this.#history.get(transaction.signature) !== undefined) return null;
    if (!this.#blocks.isRecent(transaction.blockhash, tip)) return null;
    const keys = keysOf(transaction, (address) => this.account(tip.slot, address));
    const before = keys.map(({ address }) => this.account(tip.slot, address));
    this.#catchUp();
    const execution = fails ? this.#failWithFee(transaction) : this.#machine.run(transaction.parsed);
    const after = keys.map(({ address, writable }, index) =>
      writable ? this.#machine.account(address) : (before[index] ?? null),
    );
    const feeLamports = lamportsOf(before) - lamportsOf(after);
    // Who pays nothing has not been let in.
    if (feeLamports <= 0n) return null;
    keys.forEach(({ address, writable }, index) => {
      if (writable) this.#accounts.write(tip.slot, address, after[index] ?? null);
    });
    const landed: Landed = {
      ...execution,
      signature: transaction.signature,
      slot: tip.slot,
      order: this.#landedCount,
      blockTime: this.timeOf(tip.slot),
      transaction,
      keys,
      feeLamports,
      before,
      after,
      decimals: this.#decimalsOf([...before, ...after]),
      memo: memoOf(transaction),
    };
    this.#history.add(landed);
    this.#landedCount += 1;
    this.#prune();
    for (const listener of this.#listeners) listener();
    return landed;
  }

  /** Runs a transaction on the accounts as they were at `slot`, and leaves everything as it is. */
  simulate(slot: number, transaction: ReadTransaction, verify: boolean): ReturnType<Machine["simulate"]> {
    this.#catchUp();
    const now = this.slot;
    const keys = keysOf(transaction, (address) => this.account(slot, address)).map(({ address }) => address);
    const touched = [...new Set([...keys, ...transaction.lookups.map(({ table }) => table)])];
    const moved = touched.filter((address) => this.#accounts.read(slot, address) !== this.#accounts.read(now, address));
    for (const address of moved) this.#machine.setAccount(address, this.#accounts.read(slot, address) ?? null);
    try {
      return this.#machine.simulate(transaction.parsed, verify);
    } finally {
      for (const address of moved) this.#machine.setAccount(address, this.#accounts.read(now, address) ?? null);
    }
  }

  #decimalsOf(accounts: readonly (Account | null)[]): ReadonlyMap<Address, number> {
    const mints = new Set(accounts.map((account) => tokenOf(account)?.mint).filter((mint) => mint !== undefined));
    return new Map([...mints].map((mint) => [mint, mintOf(this.account(this.slot, mint))?.decimals ?? 0]));
  }

  #failWithFee(transaction: ReadTransaction): Pick<Landed, "error" | "logs" | "units" | "inner" | "returned"> {
    const [payer] = transaction.named;
    const account = payer === undefined ? null : this.#machine.account(payer);
    const lamports = (account?.lamports ?? 0n) - feeOf(transaction);
    const { error } = this.#machine.simulate(transaction.parsed, true).execution;
    const isLetIn = error === null || typeof error !== "string";
    if (payer !== undefined && account !== null && lamports >= 0n && isLetIn) {
      this.#machine.setAccount(payer, { ...account, lamports });
    }
    return {
      error: FAILED_ON_DEMAND,
      logs: ["Program log: Error: failed on demand"],
      units: 0,
      inner: [],
      returned: null,
    };
  }

  #catchUp(): void {
    const { tip, kept } = this.#blocks;
    this.#machine.moveTo(tip, this.timeOf(tip.slot), kept);
  }

  #prune(): void {
    const finalized = this.slot - this.finalizedAfter;
    this.#accounts.prune(finalized - MAX_LAG_SLOTS);
    this.#history.prune(this.#historyLimit, finalized - STATUS_SLOTS);
  }
}

/** What a fault makes of a transaction: a program's own error, with a number that no program here uses. */
export const FAILED_ON_DEMAND: TransactionError = { InstructionError: [0, { Custom: 9_999 }] };

function lamportsOf(accounts: readonly (Account | null)[]): bigint {
  return accounts.reduce((sum, account) => sum + (account?.lamports ?? 0n), 0n);
}
