/**
 * Every entry of an account in double entry: who has more by it, and who has less. For each backing the postings of an
 * entry sum to zero, so nothing comes into being or goes away without a name for where it came from or went.
 */

import type { Backing } from "../core/account/lots.ts";
import { GENESIS_PEG, type NanoUsd, type Peg, toMillicreditsFloor } from "../core/units.ts";
import { type EntryBody, movementOf, type PlainBody } from "./entry.ts";

/**
 * The network's own accounts in the books. `treasury`: the USDC behind backed lots, as what it owes for them. `issuance`:
 * the unbacked credits that there are, as what was issued. `pool`: USDC whose lots lost it in transfers. `suspense`: what
 * has left one account and has not reached the other yet. The network's fee is a share like others, of the payee `network`.
 */
export type SystemAccount = "treasury" | "issuance" | "pool" | "suspense";

/**
 * Which of a holder's books a posting stands in: the lots of an account, the shares of charges that a payee is owed, or a
 * system account. Who serves its own job has both of the first two, and they are not the same.
 */
export type Book = "lots" | "shares" | "system";

/** nanoUSD where it is backed, millicredits where it is not; below 0 where the holder has less by it. */
export interface Posting {
  readonly book: Book;
  /** An account, a payee, or a {@link SystemAccount}. */
  readonly holder: string;
  readonly backing: Backing;
  readonly amount: number;
}

/**
 * What an entry of an account posts, without postings of nothing. Its sum is zero for each backing, if a receipt's shares
 * are its charge's (queues/check.ts sees to that), and what it posts to the account's lots is the entry's movement. `peg` is what
 * a transfer's top-ups were turned into credits at.
 */
export function postingsOf(body: EntryBody, account: string, peg: Peg = GENESIS_PEG): Posting[] {
  const { nanoUsd, millicredits } = movementOf(body, peg);
  const own: Posting[] = [
    { book: "lots", holder: account, backing: "usdc", amount: nanoUsd },
    { book: "lots", holder: account, backing: "none", amount: millicredits },
  ];
  const postings = [...own, ...counterparts(body, peg)];
  return postings.filter(({ amount }) => amount !== 0);
}

function counterparts(body: EntryBody, peg: Peg): Posting[] {
  if (body.type === "plain") return plainCounterparts(body.plain, peg);
  return body.receipt.split.map(({ to, backing, nano_usd, millicredits }) => ({
    book: "shares",
    holder: to,
    backing,
    amount: backing === "usdc" ? nano_usd : millicredits,
  }));
}

function plainCounterparts(plain: PlainBody, peg: Peg): Posting[] {
  if ("reason" in plain) return [];
  // On its way between an account and its slice; what goes out of one chain comes into the other.
  if ("moved" in plain) {
    const { nanoUsd, millicredits } = movementOf({ type: "plain", plain }, peg);
    return [system("suspense", "usdc", -nanoUsd), system("suspense", "none", -millicredits)];
  }
  // What has expired comes back from where it went.
  if ("extended" in plain) {
    const { nanoUsd, millicredits } = movementOf({ type: "plain", plain }, peg);
    return [system("treasury", "usdc", -nanoUsd), system("issuance", "none", -millicredits)];
  }
  const { nano_usd, millicredits } = plain;
  if (!("direction" in plain)) {
    const sign = plain.type === "expiry" ? 1 : -1;
    return [system("treasury", "usdc", sign * nano_usd), system("issuance", "none", sign * millicredits)];
  }
  if (plain.direction === "in") return [system("suspense", "none", -millicredits)];
  // Top-ups leave as unbacked credits: their USDC goes to the pool, and as many credits are issued as it was worth.
  const issued: number = toMillicreditsFloor(nano_usd as NanoUsd, peg);
  return [
    system("pool", "usdc", nano_usd),
    system("issuance", "none", -issued),
    system("suspense", "none", millicredits),
  ];
}

function system(holder: SystemAccount, backing: Backing, amount: number): Posting {
  return { book: "system", holder, backing, amount };
}

/** What postings come to in each backing: zero and zero where the books balance. */
export function sumByBacking(postings: Iterable<Posting>): Readonly<Record<Backing, number>> {
  const sums = { usdc: 0, none: 0 };
  for (const { backing, amount } of postings) sums[backing] += amount;
  return sums;
}
