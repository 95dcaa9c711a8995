/** Accounts as they were slot by slot, as far back as anybody may still read: what `finalized` sees is older than the tip. */

import type { Address } from "@solana/kit";

export interface Account {
  readonly lamports: bigint;
  /** The program that it belongs to. */
  readonly owner: Address;
  readonly data: Uint8Array;
  readonly executable: boolean;
}

interface Version {
  readonly slot: number;
  /** null: there is none from this slot on. */
  readonly account: Account | null;
}

export class Accounts {
  /** Oldest first. */
  readonly #versions = new Map<Address, Version[]>();
  /** Every version in the order it was written, so that pruning looks at none twice. */
  #written: { slot: number; address: Address }[] = [];

  /** How many versions are kept. */
  get size(): number {
    let count = 0;
    for (const versions of this.#versions.values()) count += versions.length;
    return Math.max(count, this.#written.length);
  }

  /** Writes an account as it is from `slot` on. Slots never go back. */
  write(slot: number, address: Address, account: Account | null): void {
    const versions = this.#versions.get(address) ?? [];
    if (versions.at(-1)?.slot === slot) versions.pop();
    else this.#written.push({ slot, address });
    versions.push({ slot, account });
    this.#versions.set(address, versions);
  }

  /** The account as it was at the end of a slot; undefined where this one was never written. */
  read(slot: number, address: Address): Account | null | undefined {
    const versions = this.#versions.get(address);
    if (versions === undefined) return undefined;
    return versions.findLast((version) => version.slot <= slot)?.account ?? null;
  }

  /** All accounts of a program at a slot. */
  *ownedBy(slot: number, program: Address): Generator<[Address, Account]> {
    for (const address of this.#versions.keys()) {
      const account = this.read(slot, address);
      if (account?.owner === program) yield [address, account];
    }
  }

  /** Forgets what only readers of slots before `oldest` could see. */
  prune(oldest: number): void {
    const end = this.#written.findIndex(({ slot }) => slot > oldest);
    const settled = this.#written.splice(0, end === -1 ? this.#written.length : end);
    for (const { address } of settled) {
      const versions = this.#versions.get(address);
      if (versions === undefined) continue;
      // The last one of them is what a reader of `oldest` sees.
      const seen = versions.findLastIndex(({ slot }) => slot <= oldest);
      if (seen > 0) versions.splice(0, seen);
      if (versions.length === 1 && versions[0]?.account === null) this.#versions.delete(address);
    }
  }
}
