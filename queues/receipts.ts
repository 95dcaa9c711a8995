/** The receipts' consumer: the only appender of the log and of the journal (architecture.md, One job, step 7). */

import type { ReceiptBody } from "../core/receipt/body.ts";
import { keyText } from "../db/log.ts";
import { parametersOf } from "../durable-objects/shared/settings.ts";
import { auctionRecord, isAuctionOf } from "../protocol/auction.ts";
import { checksMessage, journalMessage, receiptsMessage } from "../protocol/internal/queue.ts";
import { append, type Entry, OTHER_RECEIPT, type Poison } from "./append.ts";
import { checkReceipt, type Network, networkOf } from "./check.ts";
import { type ChecksEnv, pursueChecks } from "./checks.ts";
import { sendDeadLetters } from "./dead-letters.ts";
import { appendEntries } from "./journal.ts";
import { retryLater } from "./retry.ts";

/** What became of a batch: counts only, fit to be logged. */
export interface ReceiptsSummary {
  readonly appended: number;
  readonly duplicates: number;
  readonly refused: number;
  /** Why the batch will come again; null when it was handled. */
  readonly error: string | null;
}

type LogEnv = ChecksEnv & Pick<Env, "SEGMENTS" | "DEAD_LETTERS" | "TOLLMILL_NETWORK" | "NETWORK_SEED">;

/**
 * Appends a batch. What is refused goes to the dead letters by itself and its neighbours get through. On any failure of
 * a store or a queue the whole batch is asked for again; what was appended by then is left out the next time.
 */
export async function handleReceipts(batch: MessageBatch, env: LogEnv, now: number): Promise<ReceiptsSummary> {
  try {
    const network = await networkOf(env);
    const { entries, others, duplicates, poison, poked } = await read(batch, network);
    const { settlementDelayMs } = parametersOf(env);
    const result = await append(entries, { DB: env.DB, SEGMENTS: env.SEGMENTS, settlementDelayMs }, now);
    const journal = await appendEntries(others, env.DB);
    const refused = [...poison, ...result.poison, ...journal.poison];
    // After the log, so that a failure there does not refuse the same receipts again each time the batch comes.
    await sendDeadLetters(refused, env, now);
    if (result.checksDue || poked) await pursueChecks(env, now);
    batch.ackAll();
    return {
      appended: result.appended + journal.appended,
      duplicates: duplicates + result.duplicates + journal.duplicates,
      refused: refused.length,
      error: null,
    };
  } catch (error) {
    return { appended: 0, duplicates: 0, refused: 0, error: retryLater(batch, error) };
  }
}

/** Reads a batch into receipts of different keys and other entries, both in order of arrival; `poked` as a poke was there. */
async function read(
  batch: MessageBatch,
  network: Network,
): Promise<{ entries: Entry[]; others: unknown[]; duplicates: number; poison: Poison[]; poked: boolean }> {
  const entries = new Map<string, Entry>();
  const others: unknown[] = [];
  const poison: Poison[] = [];
  let duplicates = 0;
  let poked = false;
  for (const { body: content } of batch.messages) {
    const message = receiptsMessage.safeParse(content);
    if (!message.success) {
      const journal = journalMessage.safeParse(content);
      if (journal.success) others.push(...journal.data.entries);
      else if (checksMessage.safeParse(content).success) poked = true;
      else poison.push({ item: content, reason: "a message of an unknown version or form" });
      continue;
    }
    const { receipts, auctions = [] } = message.data;
    const checked = await Promise.all(receipts.map((item) => checkReceipt(item, network)));
    for (const [index, result] of checked.entries()) {
      if (!result.ok) {
        poison.push({ item: receipts[index], reason: result.reason });
        continue;
      }
      const { receipt, body } = result;
      const known = entries.get(keyText(body));
      if (known === undefined) entries.set(keyText(body), { receipt, body, ...auctionOf(body, auctions) });
      else if (known.receipt.body === receipt.body) duplicates += 1;
      else poison.push({ item: receipt, reason: OTHER_RECEIPT });
    }
  }
  return { entries: [...entries.values()], others, duplicates, poison, poked };
}

/** The record of a receipt's auction among those that came with it; one that is not of this receipt is none. */
function auctionOf(body: ReceiptBody, auctions: readonly unknown[]): Pick<Entry, "auction"> {
  const item = auctions.find((each) => (each as { readonly job?: unknown } | null)?.job === body.job);
  if (item === undefined) return {};
  const { data } = auctionRecord.safeParse(item);
  return data !== undefined && isAuctionOf(data, body) ? { auction: data } : {};
}
