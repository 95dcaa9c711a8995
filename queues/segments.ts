/**
 * Segments of the log in R2: NDJSON, one signed receipt in canonical form (RFC 8785) a line, under the SHA-256 of their
 * bytes. The line behind a receipt is the record of its auction, where it comes from one (docs/decisions/0054). A segment is
 * never changed, so one that was put twice is the same one.
 */

import { AUCTION_VERSION, type AuctionRecord } from "../core/auction/record.ts";
import { LIMITS } from "../core/limits.ts";
import { bytesToHex, utf8ToBytes } from "../core/receipt/canonical.ts";
import { auctionRecord } from "../protocol/auction.ts";
import { type SignedReceipt, signedReceipt } from "../protocol/receipt.ts";

export interface Segment {
  /** SHA-256 of the bytes, hex. */
  readonly hash: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where each line stands, in bytes, without its newline. */
  readonly places: readonly { readonly offset: number; readonly length: number }[];
}

/**
 * The line that a receipt becomes: the bytes that the log commits to. Written without sorting, as it is RFC 8785 text
 * already: the keys stand in order, and the body of a checked receipt is well-formed text.
 */
export function segmentLine({ body, key, signature }: SignedReceipt): string {
  return JSON.stringify({ body, key, signature });
}

/** The line that the record of an auction becomes. */
export function auctionLine(record: AuctionRecord): string {
  return JSON.stringify(record);
}

const NEWLINE = 0x0a;

/** Joins lines into a segment. */
export async function makeSegment(lines: readonly string[]): Promise<Segment> {
  const bytes = utf8ToBytes(`${lines.join("\n")}\n`);
  const places: { offset: number; length: number }[] = [];
  // Canonical JSON writes a line break as an escape, so each newline is the end of a line.
  for (let offset = 0; offset < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, offset);
    places.push({ offset, length: end - offset });
    offset = end + 1;
  }
  const hash = bytesToHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
  return { hash, bytes, places };
}

/** The name of a segment in R2. */
export function segmentName(hash: string): string {
  return `segments/${hash}`;
}

/** Puts a segment; R2 refuses bytes that do not have the hash they are put under. */
export async function putSegment(bucket: R2Bucket, { hash, bytes }: Segment): Promise<void> {
  await bucket.put(segmentName(hash), bytes, {
    sha256: hash,
    httpMetadata: { contentType: "application/x-ndjson" },
  });
}

/**
 * Reads one receipt back by its place (the columns of its slim row). Null when the segment is not there. Throws when the
 * bytes are no receipt, which means that the row and the segment do not belong together.
 */
export async function readReceipt(
  bucket: R2Bucket,
  place: { readonly hash: string; readonly offset: number; readonly length: number },
): Promise<SignedReceipt | null> {
  const { hash, offset, length } = place;
  const object = await bucket.get(segmentName(hash), { range: { offset, length } });
  return object === null ? null : signedReceipt.parse(JSON.parse(await object.text()));
}

/**
 * Reads the record that stands behind a receipt; null where there is none. `bytes` are those of the whole segment. Throws
 * when the line is a record that this code does not understand.
 */
export async function readAuction(
  bucket: R2Bucket,
  place: { readonly hash: string; readonly offset: number; readonly length: number; readonly bytes: number },
): Promise<AuctionRecord | null> {
  const offset = place.offset + place.length + 1;
  const length = Math.min(LIMITS.auctionRecordBytes, place.bytes - offset);
  if (length <= 0) return null;
  const object = await bucket.get(segmentName(place.hash), { range: { offset, length } });
  const [line = ""] = (await object?.text())?.split("\n", 1) ?? [];
  // The next receipt, or the beginning of one.
  if (!line.startsWith(`{"v":"${AUCTION_VERSION}"`)) return null;
  return auctionRecord.parse(JSON.parse(line));
}
