/** Holding the whole log to its rules, in workerd and from outside of it. */

import type { D1Database, R2Bucket } from "@cloudflare/workers-types";
import { expect } from "vitest";
import type { ReceiptBody } from "../../core/receipt/body.ts";
import { imbalances, type Rollup } from "../../core/receipt/rollup.ts";
import { millicredits, nanoUsd } from "../../core/units.ts";
import type { ReceiptRow, SegmentRow } from "../../db/log.ts";
import { rollupsOf } from "../../db/rollups.ts";
import { parseReceiptBody, type SignedReceipt, signedReceipt } from "../../protocol/receipt.ts";

/** Where the log is. */
interface LogStores {
  readonly DB: D1Database;
  readonly SEGMENTS: Pick<R2Bucket, "get">;
}

export async function receiptRows(db: D1Database): Promise<ReceiptRow[]> {
  return (await db.prepare("SELECT * FROM receipts ORDER BY log_index").all<ReceiptRow>()).results;
}

export async function segmentRows(db: D1Database): Promise<SegmentRow[]> {
  return (await db.prepare("SELECT * FROM segments ORDER BY first_index").all<SegmentRow>()).results;
}

export function parsedBody(receipt: SignedReceipt): ReceiptBody {
  const parsed = parseReceiptBody(receipt.body);
  if ("error" in parsed) throw new Error(parsed.error);
  return parsed.body;
}

/**
 * Holds the log to all of its rules at once: indexes and segments are dense, every row leads to its receipt's bytes in
 * R2, and each window's sums are those of its bodies and balance. Returns the receipts in order of the log.
 */
export async function auditLog({ DB, SEGMENTS }: LogStores): Promise<SignedReceipt[]> {
  const all = await receiptRows(DB);
  expect(all.map((row) => row.log_index)).toEqual(all.map((_, index) => index));
  let size = 0;
  const contents = new Map<number, Uint8Array>();
  for (const segment of await segmentRows(DB)) {
    expect(segment.first_index).toBe(size);
    size += segment.count;
    const object = await SEGMENTS.get(`segments/${segment.hash}`);
    const bytes = new Uint8Array((await object?.arrayBuffer()) ?? []);
    expect(bytes.length).toBe(segment.bytes);
    contents.set(segment.first_index, bytes);
  }
  expect(size).toBe(all.length);

  const receipts: SignedReceipt[] = [];
  const windows = new Map<number, ReceiptBody[]>();
  for (const row of all) {
    const bytes = contents.get(row.segment)?.subarray(row.offset, row.offset + row.length);
    const receipt = signedReceipt.parse(JSON.parse(new TextDecoder().decode(bytes)));
    expect(parsedBody(receipt)).toMatchObject({ job: row.job, n: row.n, charge: { nano_usd: row.nano_usd } });
    receipts.push(receipt);
    windows.set(row.window, [...(windows.get(row.window) ?? []), parsedBody(receipt)]);
  }
  for (const [window, bodies] of windows) {
    const stored = await rollupsOf(DB, window);
    const expected = recompute(bodies);
    const sums = stored.map(({ window: _, ...sum }) => sum);
    expect(Object.fromEntries(sums.map((sum) => [sumKey(sum), sum]))).toEqual(expected);
    expect(imbalances(stored)).toEqual([]);
    await auditFundings(DB, window, bodies);
  }
  return receipts;
}

/** Holds what paid for a window to its bodies: what each kind of backed lot gave, and the network's fees of that. */
async function auditFundings(db: D1Database, window: number, bodies: readonly ReceiptBody[]): Promise<void> {
  const parts = bodies.flatMap(({ charge }) => charge.parts.filter(({ backing }) => backing === "usdc"));
  const charged: Record<string, number> = {};
  for (const { kind, nano_usd } of parts) charged[kind] = (charged[kind] ?? 0) + nano_usd;
  const lines = bodies.flatMap(({ split }) =>
    split.filter(({ role, backing }) => role === "network" && backing === "usdc"),
  );
  const { results } = await db
    .prepare('SELECT kind, charged, fees FROM fundings WHERE "window" = ?')
    .bind(window)
    .all<{ kind: string; charged: number; fees: number }>();
  expect(Object.fromEntries(results.map((row) => [row.kind, row.charged]))).toEqual(charged);
  const fees = results.reduce((sum, row) => sum + row.fees, 0);
  expect(fees).toBe(lines.reduce((sum, { nano_usd }) => sum + nano_usd, 0));
}

const sumKey = (sum: Omit<Rollup, "window" | "nano_usd" | "millicredits" | "receipts">) =>
  [sum.side, sum.payee, sum.lane, sum.backing].join(" ");

/** A window's sums from its bodies, written as plainly as the rule: what each side of each receipt adds, one by one. */
function recompute(bodies: readonly ReceiptBody[]) {
  const sums: Record<string, Omit<Rollup, "window">> = {};
  for (const { lane, charge, split } of bodies) {
    const parts = charge.parts.map(({ backing, nano_usd, millicredits }) => ({
      side: "charge" as const,
      payee: "consumers",
      lane,
      backing,
      millicredits,
      nano_usd: backing === "usdc" ? nano_usd : 0,
    }));
    const shares = split.map(({ to, backing, nano_usd, millicredits }) => ({
      side: "share" as const,
      payee: to,
      lane,
      backing,
      nano_usd,
      millicredits,
    }));
    const lines = [...parts, ...shares];
    for (const line of lines) {
      const key = sumKey(line);
      const before = sums[key] ?? { ...line, nano_usd: nanoUsd(0), millicredits: millicredits(0), receipts: 0 };
      sums[key] = {
        ...before,
        nano_usd: nanoUsd(before.nano_usd + line.nano_usd),
        millicredits: millicredits(before.millicredits + line.millicredits),
      };
    }
    for (const key of new Set(lines.map(sumKey))) {
      const sum = sums[key];
      if (sum !== undefined) sums[key] = { ...sum, receipts: sum.receipts + 1 };
    }
  }
  return sums;
}
