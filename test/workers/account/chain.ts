/** An account's chain of entries, walked from its beginning. */

import { expect } from "vitest";
import { walkChain } from "../../support/chain.ts";
import { type Bank, balance, entries, sumOf } from "./bank.ts";

/**
 * Every body is canonical and names the SHA-256 of the one before, and whoever keeps a copy finds that it holds and comes
 * to the balance. Gives the entries' types.
 */
export async function verifyChain(bank: Bank): Promise<string[]> {
  const all = await entries(bank);
  const { available, held } = await balance(bank);
  expect(sumOf(all)).toBe(available + held);
  walkChain(all);
  return all.map(({ type }) => type);
}
