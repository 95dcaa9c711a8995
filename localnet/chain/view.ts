/** The chain as one node sees it: everything that is read goes through a tip, and a node that lags has an older one. */

import type { Address } from "@solana/kit";
import { RPC_CODE, RpcError } from "./errors.ts";
import type { Account } from "./state/accounts.ts";
import { type Block, type Blocks, FIRST_SLOT } from "./state/blocks.ts";
import type { History, Landed } from "./state/history.ts";

export const COMMITMENTS = ["processed", "confirmed", "finalized"] as const;
export type Commitment = (typeof COMMITMENTS)[number];

export interface ReadOptions {
  readonly commitment?: Commitment | undefined;
  readonly minContextSlot?: number | undefined;
}

/** What a view reads. */
export interface Readable {
  readonly confirmedAfter: number;
  readonly finalizedAfter: number;
  readonly blocks: Blocks;
  readonly history: History;
  account(slot: number, address: Address): Account | null;
  ownedBy(slot: number, program: Address): Iterable<[Address, Account]>;
}

export class View {
  readonly chain: Readable;
  readonly tip: number;

  constructor(chain: Readable, tip: number) {
    this.chain = chain;
    this.tip = tip;
  }

  /** The latest slot of a commitment; what names none means `finalized`. */
  slot(commitment: Commitment = "finalized"): number {
    const { confirmedAfter, finalizedAfter } = this.chain;
    const behind = { processed: 0, confirmed: confirmedAfter, finalized: finalizedAfter }[commitment];
    return Math.max(FIRST_SLOT, this.tip - behind);
  }

  /** The state that a call reads. Throws when this node has not come as far as the call wants. */
  read({ commitment, minContextSlot }: ReadOptions = {}): State {
    const slot = this.slot(commitment);
    if (minContextSlot !== undefined && slot < minContextSlot) {
      throw new RpcError(RPC_CODE.minContextSlot, "Minimum context slot has not been reached", { contextSlot: slot });
    }
    return new State(this.chain, slot);
  }

  /** How certain a transaction is; null while this node has not heard of it. */
  commitmentOf({ slot }: Landed): Commitment | null {
    if (slot > this.tip) return null;
    if (slot <= this.slot("finalized")) return "finalized";
    return slot <= this.slot("confirmed") ? "confirmed" : "processed";
  }

  /** A transaction that this node has heard of. */
  find(signature: string): Landed | null {
    const landed = this.chain.history.get(signature);
    return landed === undefined || landed.slot > this.tip ? null : landed;
  }
}

/** Everything at one slot. */
export class State {
  readonly chain: Readable;
  readonly slot: number;

  constructor(chain: Readable, slot: number) {
    this.chain = chain;
    this.slot = slot;
  }

  get block(): Block {
    return this.chain.blocks.at(this.slot);
  }

  account(address: Address): Account | null {
    return this.chain.account(this.slot, address);
  }

  ownedBy(program: Address): Iterable<[Address, Account]> {
    return this.chain.ownedBy(this.slot, program);
  }

  isRecent(blockhash: string): boolean {
    return this.chain.blocks.isRecent(blockhash, this.block);
  }

  /** A value as RPC answers it. */
  answer<T>(value: T): { context: { apiVersion: string; slot: number }; value: T } {
    return { context: { apiVersion: API_VERSION, slot: this.slot }, value };
  }
}

/** The validator whose answers these are like. */
export const API_VERSION = "2.3.6";
