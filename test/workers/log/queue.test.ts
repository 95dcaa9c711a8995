import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import type { ReceiptBody } from "../../../core/receipt/body.ts";
import { listDeadLetters } from "../../../db/dead-letters.ts";
import { receiptsOf } from "../../support/receipts.ts";
import { pack, rows } from "./support.ts";

// What earlier tests left in the queue may arrive meanwhile, so only this test's own messages are looked at.
it("a message that was sent to the real queue ends in the log, and its poison among the dead letters", {
  timeout: 60_000,
}, async () => {
  const receipts = receiptsOf(3);
  const jobs = receipts.map(({ body }) => (JSON.parse(body) as ReceiptBody).job as string);
  const poison = `poison ${crypto.randomUUID()}`;
  await env.RECEIPTS.send(pack([...receipts.slice(0, 2), poison]));
  await env.RECEIPTS.send(pack(receipts));
  const logged = async () => (await rows()).map((row) => row.job).filter((job) => jobs.includes(job));
  await vi.waitFor(async () => expect(await logged()).toEqual(jobs), { timeout: 25_000, interval: 100 });
  const letters = async () => (await listDeadLetters(env.DB)).map((letter) => letter.item);
  const item = JSON.stringify(poison);
  await vi.waitFor(async () => expect(await letters()).toContain(item), { timeout: 25_000, interval: 100 });
});
