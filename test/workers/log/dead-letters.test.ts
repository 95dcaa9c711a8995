import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { countDeadLetters, listDeadLetters, resolveDeadLetter } from "../../../db/dead-letters.ts";
import { handleDeadLetters } from "../../../queues/dead-letters.ts";
import { handleQueue } from "../../../queues/index.ts";
import { retryDelaySeconds } from "../../../queues/retry.ts";
import { receiptOf } from "../../support/receipts.ts";
import { auditLog, message, pack, withBatches } from "./support.ts";

const letter = (item: string) => ({ v: 1, reason: `because of ${item}`, item });

async function store(messages: ReturnType<typeof message>[], now = 1_000, DB = env.DB) {
  const batch = createMessageBatch("receipts-dead", messages);
  const summary = await handleDeadLetters(batch, { DB }, now);
  return { summary, ...(await getQueueResult(batch, createExecutionContext())) };
}

it("shows what was refused, newest first, by pages", async () => {
  await store([message("1", letter('"a"')), message("2", letter('"b"'))]);
  const { summary, ackAll } = await store([message("3", letter('"c"'))], 2_000);
  expect(summary).toEqual({ stored: 1, error: null });
  expect(ackAll).toBe(true);
  const all = await listDeadLetters(env.DB);
  expect(all.map(({ item }) => item)[0]).toBe('"c"');
  expect(all[0]).toMatchObject({ at: 2_000, reason: 'because of "c"', resolved_at: null });
  const page = await listDeadLetters(env.DB, { limit: 2 });
  const rest = page[1] && (await listDeadLetters(env.DB, { after: page[1] }));
  expect([...page, ...(rest ?? [])]).toEqual(all);
  expect(await countDeadLetters(env.DB)).toBe(3);
});

it("keeps one letter however often it is delivered or sent", async () => {
  await store([message("1", letter('"a"'))]);
  await store([message("1", letter('"a"')), message("2", letter('"a"'))], 2_000);
  expect(await listDeadLetters(env.DB)).toMatchObject([{ at: 1_000, item: '"a"' }]);
});

it("stores messages whose retries are spent, whatever they hold", async () => {
  const spent = pack([receiptOf()]);
  await store([message("1", spent), message("2", undefined), message("3", 10n)]);
  const letters = await listDeadLetters(env.DB);
  expect(new Set(letters.map(({ item }) => item))).toEqual(new Set([JSON.stringify(spent), "null", '"10"']));
  const reason = "the message could not be handled within its retries";
  expect(letters.every((letter) => letter.reason === reason)).toBe(true);
});

it("lets an operator resolve a letter once, and opens it again when the same is refused again", async () => {
  await store([message("1", letter('"a"'))]);
  const [open] = await listDeadLetters(env.DB);
  const id = open?.id ?? "";
  expect(await resolveDeadLetter(env.DB, id, 5_000)).toEqual({ ...open, resolved_at: 5_000 });
  expect(await resolveDeadLetter(env.DB, id, 6_000)).toEqual({ ...open, resolved_at: 5_000 });
  expect(await resolveDeadLetter(env.DB, "none", 6_000)).toBeNull();
  expect(await countDeadLetters(env.DB)).toBe(0);
  await store([message("2", letter('"a"'))], 7_000);
  expect(await listDeadLetters(env.DB)).toMatchObject([{ id, at: 7_000, resolved_at: null }]);
});

it("asks for the batch again while D1 is away, later each time", async () => {
  const DB = withBatches(() => Promise.reject(new Error("D1 is away")));
  const { summary, retryMessages } = await store([message("1", letter('"a"'), 3)], 1_000, DB);
  expect(summary).toEqual({ stored: 0, error: "D1 is away" });
  expect(retryMessages).toMatchObject([{ msgId: "1" }]);
  expect([1, 2, 7, 20].map(retryDelaySeconds)).toEqual([10, 40, 40_960, 43_200]);
  expect(await countDeadLetters(env.DB)).toBe(0);
});

it("gives each queue's batch to its consumer and refuses a queue it does not know", async () => {
  const receipt = receiptOf();
  const receipts = createMessageBatch("receipts", [message("1", pack([receipt]))]);
  expect(await handleQueue(receipts, env, Date.now())).toMatchObject({ queue: "receipts", appended: 1 });
  const dead = createMessageBatch("receipts-dead", [message("1", letter("1"))]);
  expect(await handleQueue(dead, env, Date.now())).toMatchObject({ queue: "receipts-dead", stored: 1 });
  expect(await auditLog()).toEqual([receipt]);
  const other = createMessageBatch("other", [message("1", 1)]);
  await expect(handleQueue(other, env, 0)).rejects.toThrow(/no consumer for the queue other/);
});
