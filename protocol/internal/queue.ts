/** Messages of the queues (architecture.md, step 7). Checked on arrival: a queue outlives the code that filled it. */

import { z } from "zod";
import type { AuctionRecord } from "../../core/auction/record.ts";
import { accountId } from "../ids.ts";
import { signedReceipt } from "../receipt.ts";

/**
 * Receipts on their way to the log, packed up to 110 KB, with the records of the auctions that some of them come from. Each
 * is checked by itself, so `unknown` here.
 */
export const receiptsMessage = z.object({
  v: z.literal(1),
  receipts: z.array(z.unknown()).min(1),
  auctions: z.array(z.unknown()).optional(),
});

export interface ReceiptsMessage {
  readonly v: 1;
  readonly receipts: readonly z.infer<typeof signedReceipt>[];
  readonly auctions?: readonly AuctionRecord[];
}

/**
 * Entries that move money and are no receipts, on their way to the journal, packed like receipts. Each is checked by
 * itself.
 */
export const journalMessage = z.object({
  v: z.literal(1),
  entries: z.array(z.unknown()).min(1),
});

/** One of an account's entries, as its chain has it. */
export const journalEntry = z.strictObject({ account: accountId, type: z.string(), body: z.string() });
export type JournalEntry = z.infer<typeof journalEntry>;

export interface JournalMessage {
  readonly v: 1;
  readonly entries: readonly JournalEntry[];
}

/**
 * A poke in the receipts' queue: failed checks have something to do. What it is stands in D1, so one that comes twice, late
 * or never does no harm.
 */
export const checksMessage = z.object({ v: z.literal(1), checks: z.literal("due") });
export type ChecksMessage = z.infer<typeof checksMessage>;

/** What could not be appended, with the reason; kept whole so that an operator can look at it and send it again. */
export const deadLetter = z.object({
  v: z.literal(1),
  reason: z.string(),
  /** JSON text of what was refused. */
  item: z.string(),
});
export type DeadLetter = z.infer<typeof deadLetter>;
