import * as fc from "fast-check";
import { expect, it } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { canonicalText } from "../../../core/receipt/canonical.ts";
import { packReceipts } from "../../../durable-objects/shared/receipt-queue.ts";
import type { SignedReceipt } from "../../../protocol/receipt.ts";
import { bodyOf, receiptOf } from "../../support/receipts.ts";

const plain = receiptOf();
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value)).length;

/** A receipt with a model of any text, which may be longer than models are. */
const receipt = fc
  .string({ unit: "binary", maxLength: 400 })
  .map((model) => ({ ...plain, body: canonicalText({ ...bodyOf(), model: model.repeat(20) }) }));

function packed(receipts: readonly SignedReceipt[]) {
  const messages = packReceipts(receipts);
  expect(messages.flatMap((message) => message.receipts)).toEqual(receipts);
  for (const message of messages) expect(bytesOf(message)).toBeLessThan(LIMITS.queueMessageBytes + 32);
  return messages;
}

it("divides receipts of any text into messages that a queue takes, in order", () => {
  const most = fc.array(receipt, { maxLength: 60 });
  fc.assert(
    fc.property(most, (receipts) => void packed(receipts)),
    { numRuns: 40 },
  );
});

it("fills each message, so that few are sent", () => {
  const messages = packed(Array.from({ length: 500 }, () => plain));
  const full = Math.floor(LIMITS.queueMessageBytes / (bytesOf(plain) + 1));
  expect(messages.map(({ receipts }) => receipts.length)).toEqual([
    ...Array.from({ length: Math.floor(500 / full) }, () => full),
    500 % full,
  ]);
});

it("sends a receipt alone that is larger than a message should be, and nothing for nothing", () => {
  const large = { ...plain, body: '"'.repeat(LIMITS.queueMessageBytes) };
  expect(packReceipts([plain, large, plain]).map(({ receipts }) => receipts)).toEqual([[plain], [large], [plain]]);
  expect(packReceipts([])).toEqual([]);
});
