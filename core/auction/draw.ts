/**
 * Newcomers' draws (economics.md §4). HMAC-SHA256(the day's secret, job id) says whether a newcomer is drawn, and which. The
 * secret is committed to before its day and revealed after it, so nobody can steer a draw and anyone can recompute it.
 */

import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import type { JobId } from "../ids.ts";
import { WHOLE } from "../lanes.ts";
import { bytesToHex, utf8ToBytes } from "../receipt/canonical.ts";
import { DAY_MS } from "../time.ts";
import type { BasisPoints } from "../units.ts";
import { itemAt } from "./sorted.ts";

const DOMAIN = "tollmill/auction-draws/v1";
const WORDS = 8;
const TWO_32 = 2 ** 32;

/** The day whose secret decides an auction: days since 1970-01-01, UTC. */
export function drawDay(at: number): number {
  return Math.floor(at / DAY_MS);
}

/** The secret of a day: HMAC-SHA256(the network's root, domain ‖ day). One that is revealed says nothing of another. */
export function drawSecret(root: Uint8Array, day: number): Uint8Array {
  return hmac(sha256, root, utf8ToBytes(`${DOMAIN}\n${day}`));
}

/** What is published of a secret before its day: its SHA-256, hex. */
export function drawCommitment(secret: Uint8Array): string {
  return bytesToHex(sha256(secret));
}

/** The draws of one day. */
export class Draws {
  readonly day: number;
  readonly #keyed: ReturnType<typeof hmac.create>;

  constructor(secret: Uint8Array, day: number) {
    this.day = day;
    // Half of an HMAC depends on its key alone and is done once.
    this.#keyed = hmac.create(sha256, secret);
  }

  of(job: JobId): Draw {
    const digest = this.#keyed.clone().update(utf8ToBytes(job)).digest();
    const view = new DataView(digest.buffer, digest.byteOffset, digest.byteLength);
    return new Draw(Array.from({ length: WORDS }, (_, index) => view.getUint32(index * 4)));
  }
}

/** The draw of one job: eight words of 32 bits. The first decides whether, the others which. */
export class Draw {
  readonly #words: readonly number[];

  constructor(words: readonly number[]) {
    this.#words = words;
  }

  /** Whether a newcomer is drawn, with a chance in basis points. */
  isDrawn(chance: BasisPoints): boolean {
    const [first = TWO_32] = this.#words;
    return first * WHOLE < chance * TWO_32;
  }

  /**
   * Which of so many, from 0, each equally likely: the first word below the greatest multiple of their number. That none of
   * seven words is happens once in 2^100 draws for any number up to 2^17, and then the last one decides.
   */
  pick(candidates: number): number {
    const fair = TWO_32 - (TWO_32 % candidates);
    const words = this.#words.slice(1);
    const index = words.findIndex((word) => word < fair);
    return itemAt(words, index < 0 ? words.length - 1 : index) % candidates;
  }
}
