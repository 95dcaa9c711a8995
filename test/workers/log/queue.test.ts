import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import { countDeadLetters, listDeadLetters } from "../../../db/dead-letters.ts";
import { logSize } from "../../../db/log.ts";
import { receiptsOf } from "../../support/receipts.ts";
import { auditLog, pack } from "./support.ts";

it("a message that was sent to the real queue ends in the log, and its poison among the dead letters", {
  timeout: 30_000,
}, async () => {
  const receipts = receiptsOf(3);
  await env.RECEIPTS.send(pack([...receipts.slice(0, 2), "poison"]));
  await env.RECEIPTS.send(pack(receipts));
  await vi.waitFor(async () => expect(await logSize(env.DB)).toBe(3), { timeout: 10_000, interval: 100 });
  await vi.waitFor(async () => expect(await countDeadLetters(env.DB)).toBe(1), { timeout: 15_000, interval: 100 });
  expect(await auditLog()).toEqual(receipts);
  expect(await listDeadLetters(env.DB)).toMatchObject([{ item: '"poison"', resolved_at: null }]);
});
