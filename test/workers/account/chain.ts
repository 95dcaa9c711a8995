/** An account's chain of entries, walked from its beginning. */

import { expect } from "vitest";
import { GENESIS_HEAD } from "../../../core/account/state.ts";
import { canonicalText, hashText } from "../../../core/receipt/canonical.ts";
import { type Bank, entries } from "./bank.ts";

interface Linked {
  readonly seq: number;
  readonly previous: string;
}

/** Every body is canonical and names the SHA-256 of the one before. Gives the entries' types. */
export async function verifyChain(bank: Bank): Promise<string[]> {
  let previous = GENESIS_HEAD;
  const all = await entries(bank);
  for (const [index, { seq, body }] of all.entries()) {
    const value = JSON.parse(body) as Linked;
    expect(canonicalText(value)).toBe(body);
    expect(value).toMatchObject({ seq: index + 1, previous });
    expect(seq).toBe(index + 1);
    previous = hashText(body);
  }
  return all.map(({ type }) => type);
}
