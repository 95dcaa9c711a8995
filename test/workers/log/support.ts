/** What the log's tests share: delivering batches, breaking D1 at a chosen call, and reading the log. */

import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { JobId } from "../../../core/ids.ts";
import { receiptsOfJob } from "../../../db/log.ts";
import type { DeadLetter } from "../../../protocol/internal/queue.ts";
import type { SignedReceipt } from "../../../protocol/receipt.ts";
import { handleReceipts } from "../../../queues/receipts.ts";
import {
  auditLog as auditLogOf,
  parsedBody,
  receiptRows,
  segmentRows as segmentRowsOf,
} from "../../support/log-audit.ts";
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
    ACCOUNT?: Env["ACCOUNT"];
    ACCOUNT_SLICE?: Env["ACCOUNT_SLICE"];
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

export const rows = () => receiptRows(env.DB);
export const segmentRows = () => segmentRowsOf(env.DB);
/** Holds the log to all of its rules. Returns the receipts in order of the log. */
export const auditLog = () => auditLogOf(env);

export const jobOf = (receipt: SignedReceipt): JobId => parsedBody(receipt).job;
export const placeOf = async (receipt: SignedReceipt) => (await receiptsOfJob(env.DB, jobOf(receipt)))[0];
