/** What the log's tests share: delivering batches, breaking D1 at a chosen call, and holding the whole log to its rules. */

import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import type { JobId } from "../../../core/ids.ts";
import { imbalances, type Rollup } from "../../../core/receipt/rollup.ts";
import { millicredits, nanoUsd } from "../../../core/units.ts";
import { type ReceiptRow, receiptsOfJob, type SegmentRow } from "../../../db/log.ts";
import { rollupsOf } from "../../../db/rollups.ts";
import type { DeadLetter } from "../../../protocol/internal/queue.ts";
import { parseReceiptBody, type SignedReceipt, signedReceipt } from "../../../protocol/receipt.ts";
import { handleReceipts } from "../../../queues/receipts.ts";
import { TEST_TIME } from "../../support/receipts.ts";

export const message = (id: string, body: unknown, attempts = 1) => ({
  id,
  timestamp: new Date(TEST_TIME),
  attempts,
  body,
});
export const pack = (receipts: readonly unknown[]) => ({ v: 1, receipts });

/** Keeps what is sent to the dead-letter queue. */
export function captureLetters(): { letters: DeadLetter[]; queue: Queue } {
  const letters: DeadLetter[] = [];
  const sendBatch = (messages: Iterable<{ body: DeadLetter }>) => {
    for (const { body } of messages) letters.push(body);
    return Promise.resolve();
  };
  return { letters, queue: { sendBatch } as unknown as Queue };
}

/** Delivers a batch to the receipts' consumer; each body is one message. */
export async function deliver(
  bodies: readonly unknown[],
  options: {
    DB?: D1Database;
    SEGMENTS?: R2Bucket;
    DEAD_LETTERS?: Queue;
    TOLLMILL_PARAMETERS?: string;
    now?: number;
  } = {},
) {
  const { now = TEST_TIME, ...bindings } = options;
  const { letters, queue } = captureLetters();
  const batch = createMessageBatch(
    "receipts",
    bodies.map((body, index) => message(`message ${index}`, body)),
  );
  const summary = await handleReceipts(batch, { ...env, DEAD_LETTERS: queue, ...bindings }, now);
  const { ackAll, retryMessages } = await getQueueResult(batch, createExecutionContext());
  return { summary, acked: ackAll, retries: retryMessages, letters };
}

/** D1 with some of its batches broken: `intercept` gets each call's number, from 0, and the real batch to run or not. */
export function withBatches(
  intercept: (call: number, run: () => Promise<D1Result[]>) => Promise<D1Result[]>,
): D1Database {
  let calls = 0;
  return new Proxy(env.DB, {
    get(target, name) {
      if (name === "batch") {
        return (statements: D1PreparedStatement[]) => intercept(calls++, () => target.batch(statements));
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

export async function rows(): Promise<ReceiptRow[]> {
  return (await env.DB.prepare("SELECT * FROM receipts ORDER BY log_index").all<ReceiptRow>()).results;
}

export async function segmentRows(): Promise<SegmentRow[]> {
  return (await env.DB.prepare("SELECT * FROM segments ORDER BY first_index").all<SegmentRow>()).results;
}

/**
 * Holds the log to all of its rules at once: indexes and segments are dense, every row leads to its receipt's bytes in
 * R2, and each window's sums are those of its bodies and balance. Returns the receipts in order of the log.
 */
export async function auditLog(): Promise<SignedReceipt[]> {
  const all = await rows();
  expect(all.map((row) => row.log_index)).toEqual(all.map((_, index) => index));
  let size = 0;
  const contents = new Map<number, Uint8Array>();
  for (const segment of await segmentRows()) {
    expect(segment.first_index).toBe(size);
    size += segment.count;
    const object = await env.SEGMENTS.get(`segments/${segment.hash}`);
    const bytes = new Uint8Array((await object?.arrayBuffer()) ?? []);
    expect(bytes.length).toBe(segment.bytes);
    contents.set(segment.first_index, bytes);
  }
  expect(size).toBe(all.length);

  const receipts: SignedReceipt[] = [];
  const windows = new Map<number, ReturnType<typeof body>[]>();
  for (const row of all) {
    const bytes = contents.get(row.segment)?.subarray(row.offset, row.offset + row.length);
    const receipt = signedReceipt.parse(JSON.parse(new TextDecoder().decode(bytes)));
    expect(body(receipt)).toMatchObject({ job: row.job, n: row.n, charge: { nano_usd: row.nano_usd } });
    receipts.push(receipt);
    windows.set(row.window, [...(windows.get(row.window) ?? []), body(receipt)]);
  }
  for (const [window, bodies] of windows) {
    const stored = await rollupsOf(env.DB, window);
    const expected = recompute(bodies);
    const sums = stored.map(({ window: _, ...sum }) => sum);
    expect(Object.fromEntries(sums.map((sum) => [sumKey(sum), sum]))).toEqual(expected);
    expect(imbalances(stored)).toEqual([]);
  }
  return receipts;
}

const sumKey = (sum: Omit<Rollup, "window" | "nano_usd" | "millicredits" | "receipts">) =>
  [sum.side, sum.payee, sum.lane, sum.backing].join(" ");

/** A window's sums from its bodies, written as plainly as the rule: what each side of each receipt adds, one by one. */
function recompute(bodies: readonly ReturnType<typeof body>[]) {
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

export function body(receipt: SignedReceipt) {
  const parsed = parseReceiptBody(receipt.body);
  if ("error" in parsed) throw new Error(parsed.error);
  return parsed.body;
}

export const jobOf = (receipt: SignedReceipt): JobId => body(receipt).job;
export const placeOf = async (receipt: SignedReceipt) => (await receiptsOfJob(env.DB, jobOf(receipt)))[0];
