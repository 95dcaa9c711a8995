import * as fc from "fast-check";
import { expect, it } from "vitest";
import { canonicalText, hashBytes } from "../../../core/receipt/canonical.ts";
import { makeSegment, segmentLine } from "../../../queues/segments.ts";
import { bodyOf, receiptOf, signText } from "../../support/receipts.ts";

/** Text of any well-formed kind: what a model or a payee could be called. */
const name = fc.string({ unit: "binary", minLength: 1, maxLength: 40 });
const receipt = name.map((model) => ({ ...receiptOf(), body: canonicalText({ ...bodyOf(), model }) }));

it("write a receipt as its canonical text, whatever its body holds", () => {
  fc.assert(
    fc.property(receipt, (signed) => {
      expect(segmentLine(signed)).toBe(canonicalText(signed));
    }),
  );
});

it("leave out what a receipt carries beside its fields", () => {
  expect(segmentLine(Object.assign({ more: 1 }, receiptOf()))).toBe(canonicalText(receiptOf()));
});

it("say where each line stands, in bytes", async () => {
  const lines = fc.array(receipt.map(segmentLine), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(lines, async (written) => {
      const { bytes, hash, places } = await makeSegment(written);
      const read = places.map(({ offset, length }) => bytes.subarray(offset, offset + length));
      expect(read.map((line) => new TextDecoder().decode(line))).toEqual(written);
      expect(new TextDecoder().decode(bytes)).toBe(written.map((line) => `${line}\n`).join(""));
      expect(hash).toBe(hashBytes(bytes));
    }),
  );
});

it("hold a receipt whose model has line breaks and letters of several bytes", async () => {
  const odd = signText(canonicalText({ ...bodyOf(), model: 'ünï\n"🦊"\u2028\\' }));
  const { bytes, places } = await makeSegment([odd, receiptOf(), odd].map(segmentLine));
  const texts = places.map(({ offset, length }) => new TextDecoder().decode(bytes.subarray(offset, offset + length)));
  expect(texts.map((text) => JSON.parse(text) as unknown)).toEqual([odd, receiptOf(), odd]);
});
