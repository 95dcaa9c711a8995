/** The chain's blocks: one a slot, each with a hash of its own. Nothing is stored of a block but what clients can still name. */

import { createHash } from "node:crypto";
import { getBase58Decoder } from "@solana/kit";

/** A blockhash lives this many blocks, as on every cluster (`MAX_PROCESSING_AGE`). */
export const BLOCKHASH_LIFE = 150;
/** The sysvar SlotHashes holds this many, and nobody looks further back. */
export const KEPT_BLOCKS = 512;
/**
 * Clusters skip slots, so there a block's height is always less than its slot. Here it is by this much from the start, so
 * that whoever holds one against the other is told at once.
 */
export const FIRST_SLOT = 1_000;

export interface Block {
  readonly slot: number;
  readonly height: number;
  readonly hash: string;
}

const base58 = getBase58Decoder();

/** Slots that go forward. Hashes follow from the seed: a chain with another seed takes nothing that was signed for this one. */
export class Blocks {
  readonly #seed: Uint8Array;
  /** Oldest first. */
  #kept: Block[] = [];
  readonly #byHash = new Map<string, Block>();

  constructor(seed: Uint8Array) {
    this.#seed = seed;
    this.#append(FIRST_SLOT);
  }

  get tip(): Block {
    return this.at(this.#kept.at(-1)?.slot ?? FIRST_SLOT);
  }

  /** How many are kept. */
  get size(): number {
    return Math.max(this.#kept.length, this.#byHash.size);
  }

  /** Oldest first. */
  get kept(): readonly Block[] {
    return this.#kept;
  }

  /** Goes to a later slot. What no client can name any more is never made, so a long way costs no more than a short one. */
  moveTo(slot: number): void {
    for (let next = Math.max(this.tip.slot + 1, slot - KEPT_BLOCKS + 1); next <= slot; next++) this.#append(next);
    const gone = this.#kept.splice(0, Math.max(0, this.#kept.length - KEPT_BLOCKS));
    for (const { hash } of gone) this.#byHash.delete(hash);
  }

  /** The block of a slot, not before the first one. Throws for a slot that is gone or yet to come: that is a bug. */
  at(slot: number): Block {
    const first = this.#kept[0];
    const block = first === undefined ? undefined : this.#kept[Math.max(slot, FIRST_SLOT) - first.slot];
    if (block === undefined) throw new RangeError(`slot ${slot} is not among the blocks that are kept`);
    return block;
  }

  find(hash: string): Block | undefined {
    return this.#byHash.get(hash);
  }

  /** Whether a transaction with this blockhash may land when `tip` is the latest block. */
  isRecent(hash: string, tip: Block): boolean {
    const block = this.find(hash);
    return block !== undefined && block.height <= tip.height && tip.height <= block.height + BLOCKHASH_LIFE;
  }

  #append(slot: number): void {
    const hash = createHash("sha256").update(this.#seed).update(`block ${slot}`).digest();
    const block = { slot, height: heightOf(slot), hash: base58.decode(hash) };
    this.#kept.push(block);
    this.#byHash.set(block.hash, block);
  }
}

/** Heights begin with 1. */
export function heightOf(slot: number): number {
  return slot - FIRST_SLOT + 1;
}
