import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ReceiptBody } from "../../../core/receipt/body.ts";
import { canonicalText } from "../../../core/receipt/canonical.ts";
import { parseReceiptBody, receiptBody, signedReceipt } from "../../../protocol/receipt.ts";
import { isReceiptBody, isSignedReceipt } from "../../../protocol/receipt-form.ts";
import { bodyOf, receiptOf } from "../../support/receipts.ts";
import { receiptVectors } from "../../support/vectors.ts";

const { valid, broken } = receiptVectors();
const texts = valid.map(({ receipt }) => receipt.body);

/** What the schema and the canonical form say together: the definition that the quick check is held to. */
function isGood(text: string): boolean {
  const value: unknown = JSON.parse(text);
  return receiptBody.safeParse(value).success && canonicalText(value) === text;
}

/** Whether the quick check says what the definition says; it leaves texts with this escape to the definition. */
function agrees(text: string): boolean {
  return isReceiptBody(JSON.parse(text), text) === (isGood(text) && !text.includes("\\ud"));
}

type Path = readonly (string | number)[];

/** The way to every value inside of a value. */
function* pathsIn(value: unknown, path: Path = []): Generator<Path> {
  if (path.length > 0) yield path;
  if (typeof value !== "object" || value === null) return;
  for (const [name, inner] of Object.entries(value)) yield* pathsIn(inner, [...path, name]);
}

/** A copy in which `change` made another value of the one at a path; undefined takes it away. */
function changed(value: unknown, [name, ...rest]: Path, change: (value: unknown) => unknown): unknown {
  if (name === undefined) return change(value);
  const copy = structuredClone(value) as Record<string, unknown>;
  copy[name] = changed(copy[name], rest, change);
  return Array.isArray(copy) ? copy.filter((item) => item !== undefined) : copy;
}

const ids = ["0".repeat(22), "7n42DGM5Tflk9n8mt7Fhc7", "7n42DGM5Tflk9n8mt7Fhc8", "0".repeat(21), "0".repeat(23)];
const encoded = ["A".repeat(86), `${"A".repeat(85)}B`, "A".repeat(85), "A".repeat(87), `${"A".repeat(42)}E`];
const base58 = ["1".repeat(31), "1".repeat(32), "1".repeat(44), "1".repeat(45), "0".repeat(40)];
const words = ["usdc", "none", "q4", "Q4", "topup", "network", "league", "failed", "reversed", "tollmill/receipt/v2"];
const lengths = [0, 1, 32, 64, 65, 128, 129].map((length) => "a".repeat(length));
const numbers = [0, 1, -1, 1.5, 2 ** 53 - 1, 2 ** 53, -(2 ** 53), 9e15, 9e15 + 1, -9e15, -9e15 - 1, 1e21, 1e-7];
const others = [null, true, [], {}, [0], { a: 1 }, "ä", "\n", "1", "null"];
const replacements = [...ids, ...encoded, ...base58, ...words, ...lengths, ...numbers, ...others];

/** Everything that is done to a value in its place. */
const changes: ((value: unknown) => unknown)[] = [
  ...replacements.map((replacement) => () => replacement),
  () => undefined,
  (value) => [value],
  (value) => [value, value],
  (value) => (Array.isArray(value) ? [...(value as unknown[]), ...(value as unknown[])] : `${String(value)}\n`),
  (value) => (typeof value === "string" ? value.toUpperCase() : String(value)),
  (value) => (typeof value === "object" ? { ...value, "": 0 } : 2),
  (value) => (typeof value === "object" ? { ...value, zzz: 0 } : 3),
];

const whole = bodyOf({ facts: { auction: { asks: 2, winning_ask: 5 as never, second_ask: 7 as never } } });
const bare: ReceiptBody = { ...bodyOf(), claim: null, times: { ...bodyOf().times, first_token: null } };

describe("the quick check of a body", () => {
  it("knows every golden body, and no broken one that its form should show", () => {
    for (const text of texts) expect(isReceiptBody(JSON.parse(text), text)).toBe(true);
    for (const { receipt, fails, name } of broken) {
      if (name === "no JSON") continue;
      const isFormGood = fails !== "form" && fails !== "canonical";
      expect([name, isReceiptBody(JSON.parse(receipt.body), receipt.body)]).toEqual([name, isFormGood]);
    }
  });

  it.each([...texts, canonicalText(whole), canonicalText(bare)])(
    "says what the schema says, whatever stands in any place of it (body %#)",
    (text) => {
      const body: unknown = JSON.parse(text);
      let [good, bad] = [0, 0];
      for (const path of pathsIn(body)) {
        for (const change of changes) {
          const mutant = canonicalText(changed(body, path, change));
          if (!agrees(mutant)) expect.fail(`it differs from the schema: ${mutant}`);
          if (isGood(mutant)) good += 1;
          else bad += 1;
        }
      }
      // Both happen often, or nothing would be compared.
      expect([good > 200, bad > 2_000]).toEqual([true, true]);
    },
  );

  it("says no where the bytes are not canonical, whatever was written otherwise", () => {
    const text = fc.constantFrom(...texts, canonicalText(whole), canonicalText(bare));
    const piece = fc.constantFrom(...' \t"\\{}[],:-0159.eE', "\\ud800", "\\u0061", "0.0", "1e3", '"n":0,', "\ud800");
    fc.assert(
      fc.property(text, fc.nat(1_600), fc.nat(3), piece, (original, at, cut, inserted) => {
        const mutant = original.slice(0, at) + inserted + original.slice(at + cut);
        if (isJson(mutant)) expect(isReceiptBody(JSON.parse(mutant), mutant)).toBe(isCanonicalGood(mutant));
      }),
      { numRuns: 4_000 },
    );
  });

  it("says no where the keys of any object are out of order", () => {
    const body: unknown = JSON.parse(canonicalText(whole));
    for (const path of [[], ...pathsIn(body)]) {
      const mutant = JSON.stringify(changed(body, path, reversed));
      expect(isReceiptBody(JSON.parse(mutant), mutant)).toBe(mutant === canonicalText(whole));
    }
  });

  it("leaves to the schema what it cannot know to be well-formed, and the schema takes it", () => {
    const text = canonicalText({ ...bodyOf(), model: "a\\udead" });
    expect(isReceiptBody(JSON.parse(text), text)).toBe(false);
    expect(parseReceiptBody(text)).toEqual({ body: JSON.parse(text) as unknown });
  });
});

describe("the quick check of a signed receipt", () => {
  const receipt = receiptOf();

  it("says what the schema says, whatever stands in any place of it", () => {
    const bodies = ["", "{", "{}", "a".repeat(16_384), "a".repeat(16_385)].map((body) => () => body);
    for (const name of Object.keys(receipt)) {
      for (const change of [...changes, ...bodies]) {
        const mutant = changed(receipt, [name], change);
        expect([isSignedReceipt(JSON.parse(JSON.stringify(mutant))), mutant]).toEqual([isSigned(mutant), mutant]);
      }
    }
    for (const value of [...replacements, { ...receipt, zzz: 0 }, [receipt], receipt]) {
      expect([isSignedReceipt(value), value]).toEqual([isSigned(value), value]);
    }
  });

  it("takes exactly the encodings of 64 and of 32 bytes", () => {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= \n";
    for (const last of alphabet) {
      for (const name of ["key", "signature"] as const) {
        for (const text of [receipt[name].slice(0, -1) + last, receipt[name] + last, last + receipt[name].slice(1)]) {
          const mutant = { ...receipt, [name]: text };
          expect([isSignedReceipt(mutant), name, text]).toEqual([isSigned(mutant), name, text]);
        }
      }
    }
  });
});

function isSigned(value: unknown): boolean {
  return signedReceipt.safeParse(value).success;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** {@link isGood}, where half of a surrogate pair may stand, which has no canonical form. */
function isCanonicalGood(text: string): boolean {
  try {
    return isGood(text);
  } catch {
    return false;
  }
}

function reversed(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).reverse());
}
