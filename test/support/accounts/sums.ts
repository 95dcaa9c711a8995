/** Both sides of every entry of all accounts, added up: what the network as a whole has must be where its accounts say it is. */

import { strict as assert } from "node:assert";
import type { Backing } from "../../../core/account/lots.ts";
import type { EntryBody } from "../../../protocol/entry.ts";
import { type Book, postingsOf, sumByBacking } from "../../../protocol/postings.ts";

export class Sums {
  readonly #totals = new Map<string, number>();

  /** Adds an entry's postings, which must be zero together in each backing. */
  add(body: EntryBody, account: string): void {
    const postings = postingsOf(body, account);
    assert.deepEqual(sumByBacking(postings), { usdc: 0, none: 0 }, "the postings of an entry sum to zero");
    for (const { book, holder, backing, amount } of postings) {
      const place = placeOf(book, holder, backing);
      this.#totals.set(place, (this.#totals.get(place) ?? 0) + amount);
    }
  }

  of(book: Book, holder: string, backing: Backing): number {
    return this.#totals.get(placeOf(book, holder, backing)) ?? 0;
  }
}

function placeOf(book: Book, holder: string, backing: Backing): string {
  return `${book}/${holder}/${backing}`;
}
