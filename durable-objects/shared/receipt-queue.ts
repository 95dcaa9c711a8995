/** Signs receipts and hands them to the queue, packed (architecture.md, step 6). */

import type { AuctionRecord } from "../../core/auction/record.ts";
import { LIMITS } from "../../core/limits.ts";
import { receiptBytes } from "../../core/receipt/body.ts";
import { utf8ToBytes } from "../../core/receipt/canonical.ts";
import type { JournalEntry, JournalMessage, ReceiptsMessage } from "../../protocol/internal/queue.ts";
import type { SignedReceipt } from "../../protocol/receipt.ts";
import { networkKey } from "./network-key.ts";

/** The network's signature over a receipt's canonical text. */
export async function signReceipt(env: { readonly NETWORK_SEED: string }, body: string): Promise<SignedReceipt> {
  const key = await networkKey(env);
  return { body, key: key.publicKey, signature: await key.sign(receiptBytes(body)) };
}

/** Divides receipts into messages that the queue takes, in order, each with the records of its receipts' auctions. */
export function packReceipts(
  receipts: readonly SignedReceipt[],
  records: ReadonlyMap<SignedReceipt, AuctionRecord> = new Map(),
): ReceiptsMessage[] {
  const bytesOf = (receipt: SignedReceipt): number => mostBytes(receipt) + recordBytes(records.get(receipt));
  return pack(receipts, bytesOf).map((packed) => {
    const auctions = packed.flatMap((receipt) => records.get(receipt) ?? []);
    return { v: 1, receipts: packed, ...(auctions.length === 0 ? {} : { auctions }) };
  });
}

/** A record is ASCII: numbers, ids and names. */
export function recordBytes(record: AuctionRecord | null | undefined): number {
  return record ? JSON.stringify(record).length + 1 : 0;
}

/** Divides entries of the journal in the same way. */
export function packEntries(entries: readonly JournalEntry[]): JournalMessage[] {
  const bytesOf = (entry: JournalEntry): number => utf8ToBytes(JSON.stringify(entry)).length + 1;
  return pack(entries, bytesOf).map((packed) => ({ v: 1, entries: packed }));
}

function pack<Item>(items: readonly Item[], bytesOf: (item: Item) => number): Item[][] {
  const messages: Item[][] = [];
  let open: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = bytesOf(item);
    if (open.length > 0 && bytes + size > LIMITS.queueMessageBytes) {
      messages.push(open);
      open = [];
      bytes = 0;
    }
    open.push(item);
    bytes += size;
  }
  if (open.length > 0) messages.push(open);
  return messages;
}

const AROUND = '{"body":"","key":"","signature":""},'.length;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Bytes that a receipt takes in a message, at most: counted, as writing it only to measure it takes as long as sending it.
 * Its body is canonical JSON inside of a JSON string, so quotes and backslashes get a backslash, and nothing else has to.
 */
function mostBytes({ body, key, signature }: SignedReceipt): number {
  let bytes = AROUND + key.length + signature.length;
  for (let index = 0; index < body.length; index++) {
    const unit = body.charCodeAt(index);
    if (unit >= 0x80) bytes += 3;
    else bytes += unit === QUOTE || unit === BACKSLASH ? 2 : 1;
  }
  return bytes;
}
