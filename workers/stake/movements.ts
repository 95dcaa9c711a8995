/** What token accounts did in a span of slots: the transactions that name them, and what each made of their balances. */

import { LIMITS } from "../../core/limits.ts";
import { isWithin, type Movement, type SlotSpan } from "../../core/stake/smallest.ts";
import { type StakeUnits, stakeUnits } from "../../core/units.ts";
import {
  type Signatures,
  signaturesAnswer,
  type TokenBalance,
  type TransactionAnswer,
  transactionAnswer,
} from "../../protocol/solana/answers.ts";
import type { Holder } from "../solana/balances.ts";
import { type RpcCall, RpcFailure, type SolanaRpc } from "../solana/rpc.ts";

/** The transactions that name a token account, from the beginning of a span on. Those that failed have moved nothing. */
export interface Activity {
  /** The latest ones in the span, newest first: all of them, unless they are more than anybody can read in time. */
  readonly signatures: readonly string[];
  /** The slot of the latest one, in the span or after it; null where there is none. */
  readonly latestSlot: number | null;
}

interface Listing {
  readonly account: string;
  readonly signatures: string[];
  latestSlot: number | null;
  /** Where the next page begins, and the newest slot that a node has to know to find that. */
  before: string | null;
  newestSlot: number;
  isWhole: boolean;
}

/**
 * What happened to token accounts since `span` began, as known at `minSlot` or later: to all of them, or to as many, from the
 * first one on, as have not too much to list. Throws a {@link RpcFailure}.
 */
export async function activityOf(
  rpc: SolanaRpc,
  tokenAccounts: readonly string[],
  span: SlotSpan,
  minSlot: number,
): Promise<Activity[]> {
  const listings = tokenAccounts.map((account): Listing => {
    return { account, signatures: [], latestSlot: null, before: null, newestSlot: minSlot, isWhole: false };
  });
  await turnPages(rpc, listings, span);
  const busy = listings.filter(({ isWhole }) => !isWhole);
  const [tooMany] = busy.splice(LIMITS.stakeBusyWallets);
  for (let open = busy; open.length > 0; open = open.filter(({ isWhole }) => !isWhole)) {
    await turnPages(rpc, open, span);
  }
  return tooMany === undefined ? listings : listings.slice(0, listings.indexOf(tooMany));
}

/** Reads the next page of each listing. */
async function turnPages(rpc: SolanaRpc, listings: readonly Listing[], span: SlotSpan): Promise<void> {
  const pages = await rpc.all(listings.map(nextPage));
  for (const [index, listing] of listings.entries()) take(listing, pages[index] ?? [], span);
}

function limitOf({ before }: Listing): number {
  return before === null ? LIMITS.rpcFirstSignatures : LIMITS.rpcSignatures;
}

function nextPage(listing: Listing): RpcCall<Signatures> {
  const { account, before, newestSlot } = listing;
  // A node that has not heard of `before` would say that there is nothing below it.
  const place = before === null ? {} : { before };
  const options = { commitment: "finalized", minContextSlot: newestSlot, limit: limitOf(listing), ...place };
  return { method: "getSignaturesForAddress", params: [account, options], answer: signaturesAnswer };
}

function take(listing: Listing, page: Signatures, span: SlotSpan): void {
  const oldest = page.at(-1);
  const isLast = page.length < limitOf(listing) || oldest === undefined || oldest.slot < span.first;
  for (const { signature, slot, err } of page) {
    listing.newestSlot = Math.max(listing.newestSlot, slot);
    if (err !== null || slot < span.first) continue;
    listing.latestSlot ??= slot;
    const isRead = isWithin(span, slot) && listing.signatures.length < LIMITS.stakeWalletTransactions;
    if (isRead) listing.signatures.push(signature);
  }
  listing.before = oldest?.signature ?? null;
  listing.isWhole = isLast || listing.signatures.length === LIMITS.stakeWalletTransactions;
}

/**
 * Reads transactions, each once, and tells what each made of the balances of the holders that it names. `found` is called
 * while they are read, so that no more of them is kept than is asked for. Throws a {@link RpcFailure}, also where a transaction
 * is not known.
 */
export async function readMovements(
  rpc: SolanaRpc,
  mint: string,
  signatures: ReadonlySet<string>,
  holders: ReadonlyMap<string, Holder>,
  found: (holder: Holder, movement: Movement) => void,
): Promise<void> {
  const options = { commitment: "finalized", encoding: "jsonParsed", maxSupportedTransactionVersion: 0 };
  const wanted = [...signatures];
  for (let start = 0; start < wanted.length; start += LIMITS.stakeTransactionsAtOnce) {
    const calls = wanted.slice(start, start + LIMITS.stakeTransactionsAtOnce).map((signature) => {
      return { method: "getTransaction", params: [signature, options], answer: transactionAnswer };
    });
    for (const transaction of await rpc.all(calls)) {
      if (transaction === null) throw new RpcFailure("getTransaction does not know what was listed before", true);
      for (const [place, { pubkey }] of transaction.transaction.message.accountKeys.entries()) {
        const holder = holders.get(pubkey);
        if (holder !== undefined) found(holder, movementOf(transaction, place, holder, mint));
      }
    }
  }
}

function movementOf({ slot, meta }: TransactionAnswer, place: number, { wallet }: Holder, mint: string): Movement {
  const balance = (list: readonly TokenBalance[]): StakeUnits => {
    const own = list.find(({ accountIndex }) => accountIndex === place);
    // Who has no token account, or gave it to another owner, has no stake.
    return own?.mint === mint && own.owner === wallet ? own.uiTokenAmount.amount : stakeUnits(0n);
  };
  return { slot, before: balance(meta.preTokenBalances), after: balance(meta.postTokenBalances) };
}
