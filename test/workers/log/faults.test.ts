/** What a queue and its stores may do to messages: deliver them twice, late, in any order, and lose every kind of answer. */

import { env } from "cloudflare:workers";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { countDeadLetters } from "../../../db/dead-letters.ts";
import type { SignedReceipt } from "../../../protocol/receipt.ts";
import { handleDeadLetters } from "../../../queues/dead-letters.ts";
import { receiptsOf, TEST_TIME } from "../../support/receipts.ts";
import { auditLog, deliver, pack, withBatches } from "./support.ts";

const RECEIPTS = receiptsOf(20);
const HOUR_MS = 3_600_000;

/** What goes wrong while a batch is handled. The consumer reads D1 in its first call and writes in its second. */
const FAULTS = ["none", "not_read", "not_written", "answer_lost", "no_r2", "no_dead_letters", "rival"] as const;

const message = fc.record({
  receipts: fc.array(fc.nat(RECEIPTS.length - 1), { minLength: 1, maxLength: 8 }),
  /** An item that is no receipt, beside them. */
  poison: fc.option(fc.nat(3), { freq: 4 }),
});
const delivery = fc.record({
  /** Which of the waiting messages come now, and in which order. */
  picks: fc.array(fc.nat(), { minLength: 1, maxLength: 5 }),
  fault: fc.constantFrom(...FAULTS),
  /** Whether they come again although they were acknowledged. */
  again: fc.boolean(),
  hoursLater: fc.nat(7),
});
type Message = ReturnType<typeof pack>;

type Stores = NonNullable<Parameters<typeof deliver>[1]>;
const away = () => Promise.reject(new Error("away"));

/** The stores that a fault breaks; the others are as they are. */
const BROKEN: Readonly<Record<(typeof FAULTS)[number], (rival: Message) => Stores>> = {
  none: () => ({}),
  not_read: () => ({ DB: withBatches((call, run) => (call === 0 ? away() : run())) }),
  not_written: () => ({ DB: withBatches((call, run) => (call === 1 ? away() : run())) }),
  answer_lost: () => ({ DB: withBatches((call, run) => (call === 1 ? run().then(away) : run())) }),
  no_r2: () => ({ SEGMENTS: { put: away } as unknown as R2Bucket }),
  no_dead_letters: () => ({ DEAD_LETTERS: { sendBatch: away } as unknown as Queue }),
  // Another appender is faster between reading and writing.
  rival: (rival) => ({ DB: withBatches((call, run) => (call === 1 ? deliver([rival]).then(run) : run())) }),
};

async function emptyLog(): Promise<void> {
  const tables = ["receipts", "segments", "rollups", "fundings", "dead_letters"];
  await env.DB.batch(tables.map((table) => env.DB.prepare(`DELETE FROM ${table}`)));
}

/** Stores what was sent to the dead letters, as their own queue's consumer does. */
async function bury(letters: readonly unknown[]): Promise<void> {
  const messages = letters.map((body) => ({ body, ack: () => {}, retry: () => {} }));
  const batch = { messages, ackAll: () => {} } as unknown as MessageBatch;
  expect((await handleDeadLetters(batch, env, TEST_TIME)).error).toBeNull();
}

it("every receipt is in the log once, indexes are dense and windows balance, whatever a queue does", {
  timeout: 120_000,
}, async () => {
  const seen = { errors: 0, duplicates: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 8 }),
      fc.array(delivery, { maxLength: 12 }),
      async (messages, deliveries) => {
        await emptyLog();
        const items = ({ receipts, poison }: (typeof messages)[number]): unknown[] => [
          ...receipts.map((index) => RECEIPTS[index]),
          ...(poison === null ? [] : [`poison ${poison}`]),
        ];
        const waiting = messages.map((each) => pack(items(each)));
        let now = TEST_TIME;
        for (const { picks, fault, again, hoursLater } of deliveries) {
          const batch = [...new Set(picks.map((pick) => waiting[pick % waiting.length] as Message))];
          if (waiting.length === 0) break;
          now += hoursLater * HOUR_MS;
          const { summary, letters } = await deliver(batch, { ...BROKEN[fault](batch[0] as Message), now });
          seen.errors += summary.error === null ? 0 : 1;
          seen.duplicates += summary.duplicates;
          await bury(letters);
          if (summary.error !== null || again) continue;
          for (const done of batch) waiting.splice(waiting.indexOf(done), 1);
        }
        const last = await deliver(waiting.toReversed(), { now });
        expect(last.summary.error).toBeNull();
        await bury(last.letters);

        const wanted = new Set(messages.flatMap(({ receipts }) => receipts));
        const bodies = (receipts: readonly (SignedReceipt | undefined)[]) =>
          receipts.map((each) => each?.body ?? "").toSorted();
        expect(bodies(await auditLog())).toEqual(bodies([...wanted].map((index) => RECEIPTS[index])));
        const poisons = new Set(messages.flatMap(({ poison }) => (poison === null ? [] : [poison])));
        expect(await countDeadLetters(env.DB)).toBe(poisons.size);
      },
    ),
    { numRuns: 40 },
  );
  // A run without faults and repetitions would have shown nothing.
  expect(Math.min(seen.errors, seen.duplicates)).toBeGreaterThan(0);
});
