/**
 * Dead letters: receipts that the log refused, and messages whose retries are spent. They are stored in D1, where the
 * operator's routes list them, because a queue would forget them after some days.
 */

import { LIMITS } from "../core/limits.ts";
import { hashText } from "../core/receipt/canonical.ts";
import { addDeadLetters, type NewDeadLetter } from "../db/dead-letters.ts";
import { type DeadLetter, deadLetter } from "../protocol/internal/queue.ts";
import type { Poison } from "./append.ts";
import { retryLater } from "./retry.ts";

export interface DeadLettersSummary {
  readonly stored: number;
  /** Why the batch will come again; null when it was handled. */
  readonly error: string | null;
}

/**
 * Stores a batch of dead letters, each under the SHA-256 of its item. So neither a message that is delivered again nor a
 * receipt that its account sends again and again makes a second letter.
 */
export async function handleDeadLetters(
  batch: MessageBatch,
  env: Pick<Env, "DB">,
  now: number,
): Promise<DeadLettersSummary> {
  const letters = batch.messages.map(({ body }) => {
    const letter = deadLetter.safeParse(body);
    // The platform adds messages as they were in their own queue.
    return letter.success
      ? rowOf(letter.data.item, letter.data.reason, now)
      : rowOf(textOf(body), "the message could not be handled within its retries", now);
  });
  try {
    await addDeadLetters(env.DB, letters);
  } catch (error) {
    return { stored: 0, error: retryLater(batch, error) };
  }
  batch.ackAll();
  return { stored: letters.length, error: null };
}

/**
 * Hands refused items to the dead-letter queue, one message each. An item that is too large for a message once it is
 * quoted goes to D1 at once.
 */
export async function sendDeadLetters(
  items: readonly Poison[],
  env: Pick<Env, "DB" | "DEAD_LETTERS">,
  now: number,
): Promise<void> {
  let group: DeadLetter[] = [];
  let groupBytes = 0;
  const flush = async (): Promise<void> => {
    if (group.length > 0) await env.DEAD_LETTERS.sendBatch(group.map((body) => ({ body })));
    group = [];
    groupBytes = 0;
  };
  for (const { item, reason } of items) {
    const letter: DeadLetter = { v: 1, reason, item: textOf(item) };
    const bytes = new TextEncoder().encode(JSON.stringify(letter)).length;
    if (bytes > LIMITS.queueMessageBytes) {
      await addDeadLetters(env.DB, [rowOf(letter.item, reason, now)]);
      continue;
    }
    if (group.length === LIMITS.queueSendMessages || groupBytes + bytes > LIMITS.queueSendBytes) await flush();
    group.push(letter);
    groupBytes += bytes;
  }
  await flush();
}

function rowOf(item: string, reason: string, at: number): NewDeadLetter {
  return { id: hashText(item), at, reason, item };
}

/** A message's body as JSON text; a message may also hold what JSON cannot say. */
function textOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "null";
  } catch {
    return JSON.stringify(String(value));
  }
}
