/** An account's chain of entries, walked from its beginning. */

import { walkChain } from "../../support/chain.ts";
import { type Bank, entries } from "./bank.ts";

/** Every body is canonical and names the SHA-256 of the one before. Gives the entries' types. */
export async function verifyChain(bank: Bank): Promise<string[]> {
  const all = await entries(bank);
  walkChain(all);
  return all.map(({ type }) => type);
}
