/** Following an account's chain of entries. */

import { expect } from "vitest";
import { GENESIS_HEAD } from "../../core/account/state.ts";
import { canonicalText, hashText } from "../../core/receipt/canonical.ts";

/** Walks the chain from its beginning: every body is canonical and names the SHA-256 of the one before. */
export function walkChain(entries: readonly { readonly seq: number; readonly body: string }[]): void {
  let previous = GENESIS_HEAD;
  for (const [index, { seq, body }] of entries.entries()) {
    const value = JSON.parse(body) as { seq: number; previous: string };
    expect(canonicalText(value)).toBe(body);
    expect(value).toMatchObject({ seq: index + 1, previous });
    expect(seq).toBe(index + 1);
    previous = hashText(body);
  }
}
