import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalText } from "../../../core/receipt/canonical.ts";
import { parseReceiptBody, signedReceipt, verifyReceipt } from "../../../protocol/receipt.ts";
import { bodyOf, receiptOf, signText, TEST_TERMS } from "../../support/receipts.ts";

const receipt = receiptOf();
const huge = Number.MAX_SAFE_INTEGER;

describe("the offline check", () => {
  it("names each thing that it checked", () => {
    expect(verifyReceipt(receipt).checks.map(({ name, ok }) => [name, ok])).toEqual(
      ["form", "canonical", "network_signature", "claim_signature", "price", "parts", "split"].map((name) => [
        name,
        true,
      ]),
    );
  });

  it("takes the receipt's own key only where no other is given", () => {
    const other = receiptOf({ seed: "33".repeat(32) });
    expect(verifyReceipt(other).ok).toBe(true);
    const result = verifyReceipt(other, receipt.key);
    expect(result.checks.find(({ name }) => name === "network_signature")).toMatchObject({ ok: false });
  });

  it.each([
    ["tokens", { usage: { prompt: huge, completion: huge, relayed: huge } }],
    [
      "a rate",
      { price: { ...bodyOf().price, terms: { ...TEST_TERMS, rate: { completion: huge, prompt: huge, per: 1 } } } },
    ],
    [
      "parts",
      {
        charge: {
          ...bodyOf().charge,
          parts: Array.from({ length: 3 }, () => ({ kind: "topup", backing: "usdc", nano_usd: 9e15, millicredits: 0 })),
        },
      },
    ],
    ["a peg", { charge: { ...bodyOf().charge, peg: { millicredits: huge, nano_usd: 1 } } }],
    [
      "a negative part",
      { charge: { ...bodyOf().charge, parts: [{ kind: "topup", backing: "usdc", nano_usd: -1, millicredits: 0 }] } },
    ],
  ])("fails, and does not throw, for %s beyond what can be computed", (_, change) => {
    expect(verifyReceipt(signText(canonicalText({ ...bodyOf(), ...change }))).ok).toBe(false);
  });

  it("never throws, whatever the body says", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (body) => {
        expect(verifyReceipt({ ...receipt, body }).ok).toBe(false);
        expect(parseReceiptBody(body)).toHaveProperty("error");
      }),
    );
  });

  it("sees every change of a single character of the body", () => {
    fc.assert(
      fc.property(fc.nat(receipt.body.length - 1), fc.constantFrom(...'0a"}, '), (index, character) => {
        const body = receipt.body.slice(0, index) + character + receipt.body.slice(index + 1);
        if (body !== receipt.body) expect(verifyReceipt({ ...receipt, body }).ok).toBe(false);
      }),
      { numRuns: 40 },
    );
  });
});

describe("a body is read strictly:", () => {
  it.each([
    ["a key that was written twice", receipt.body.replace('"n":0,', '"n":0,"n":0,')],
    ["a key of every object", receipt.body.replace("{", '{"__proto__":{},')],
    ["half a surrogate pair", receipt.body.replace("maker/eight", "\\ud800")],
    ["an escape that is not needed", receipt.body.replace("maker/eight", "m\\u0061ker/eight")],
    ["a minus zero", receipt.body.replace('"n":0,', '"n":-0,')],
  ])("%s is refused", (_, body) => {
    expect(body).not.toBe(receipt.body);
    expect(parseReceiptBody(body)).toHaveProperty("error");
  });
});

describe("a signed receipt", () => {
  it.each([
    ["whole", receipt, true],
    ["with more keys", { ...receipt, more: 1 }, false],
    ["without its signature", { body: receipt.body, key: receipt.key }, false],
    ["with a key in hex", { ...receipt, key: "00".repeat(32) }, false],
    ["with an endless body", { ...receipt, body: "x".repeat(16_385) }, false],
    ["that is an array", [receipt], false],
  ])("%s: %s", (_, value, ok) => {
    expect(signedReceipt.safeParse(value).success).toBe(ok);
  });
});
