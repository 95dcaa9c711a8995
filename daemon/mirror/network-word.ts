/** What the network says today of entries that a mirror has. */

import { hashText } from "../../core/receipt/canonical.ts";
import type { ChainReceipt, LedgerEntry } from "../../protocol/chain.ts";
import { type SignedReceipt, signedReceipt, verifyReceipt } from "../../protocol/receipt.ts";
import { chooseKey, networkKeys } from "../commands/verify-receipt.ts";
import { EXIT, Failure } from "../failure.ts";
import { callJson, Refused } from "../network/api.ts";
import type { Settings } from "../network/settings.ts";
import { Broken } from "./mirror-line.ts";

export const OTHER = "the network says another one today";

/** Why a mirror and the network's ledger differ: another account's, or from which entry on. `hashes` are the mirror's bodies'. */
export async function differenceOf(
  read: (from: number, limit: number) => Promise<LedgerEntry[]>,
  hashes: readonly string[],
  path: string,
): Promise<Failure | Broken> {
  const isSame = async (seq: number): Promise<boolean> => {
    const [entry] = await read(seq, 1);
    return entry?.seq === seq && hashText(entry.body) === hashes[seq - 1];
  };
  if (!(await isSame(1))) {
    const why = "is the mirror of another account: its first entry is not this account's";
    return new Failure(EXIT.usage, `${path} ${why}. It was left as it is; name another file.`);
  }
  // Chains that agree in one entry agree in all before it, so the first difference is found by halving.
  let [same, other] = [1, hashes.length];
  while (other - same > 1) {
    const middle = Math.floor((same + other) / 2);
    if (await isSame(middle)) same = middle;
    else other = middle;
  }
  const [theirs] = await read(other, 1);
  return new Broken("network", other, theirs === undefined ? "the network's ledger ends before it" : OTHER);
}

/**
 * The network's signature under a receipt, verified. Each receipt has the hash of the entry before it in it, so a
 * signature vouches for all entries up to its own. Throws {@link Broken} where it does not hold.
 */
export async function signatureUnder(
  settings: Settings,
  { seq, job, n, body }: ChainReceipt,
  networkKey: string | undefined,
): Promise<SignedReceipt> {
  const check = "network_signature";
  const { keys } = await networkKeys(settings, networkKey === undefined ? {} : { networkKey }, true);
  const receipt = await callJson(settings, `/api/v1/receipts/${job}?n=${n}`, signedReceipt).catch((error: unknown) => {
    throw error instanceof Refused ? new Broken(check, seq, error.message) : error;
  });
  if (receipt.body !== body) throw new Broken(check, seq, "what the network signs is another one");
  const failed = verifyReceipt(receipt, chooseKey(receipt, keys)).checks.find(({ ok }) => !ok);
  if (failed !== undefined) throw new Broken(failed.name, seq, failed.detail);
  return receipt;
}
