import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PAYLOAD_KINDS, ResponseDigest, requestDigest } from "../../../core/receipt/digest.ts";

const salt = Uint8Array.from({ length: 16 }, (_, index) => index);
const sha = (...parts: Uint8Array[]) => createHash("sha256").update(Buffer.concat(parts)).digest();

describe("the digest of an answer", () => {
  const piece = fc.record({
    kind: fc.constantFrom(...PAYLOAD_KINDS),
    choice: fc.nat(2),
    payload: fc.uint8Array({ maxLength: 12 }),
  });

  it("is SHA-256 over the hashes of each choice's text and structure, each salted", () => {
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const digest = new ResponseDigest(salt, 3);
        for (const { kind, choice, payload } of pieces) digest.update(kind, choice, payload);
        const of = (kind: number, choice: number) =>
          sha(
            salt,
            Uint8Array.of(kind, choice),
            ...pieces.filter((each) => each.kind === kind && each.choice === choice).map(({ payload }) => payload),
          );
        const expected = sha(of(0, 0), of(1, 0), of(0, 1), of(1, 1), of(0, 2), of(1, 2));
        expect(digest.hex()).toBe(expected.toString("hex"));
      }),
    );
  });

  it("does not depend on where frames were cut, nor on how choices and kinds were interleaved", () => {
    const text = new TextEncoder().encode("The quick brown fox jumps over the lazy dog. 🦊");
    const whole = new ResponseDigest(salt, 2);
    whole.update(0, 0, text);
    whole.update(0, 1, text);
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 8 }), (cuts) => {
        const edges = [0, ...cuts.sort((a, b) => a - b), text.length];
        const cut = new ResponseDigest(salt, 2);
        for (const [index, edge] of edges.slice(1).entries()) {
          for (const choice of [1, 0]) cut.update(0, choice, text.subarray(edges[index], edge));
        }
        expect(cut.hex()).toBe(whole.hex());
      }),
    );
  });

  it("tells kinds, choices, salts and numbers of choices apart", () => {
    const of = (kind: 0 | 1, choice: number, choices = 2, own = salt) => {
      const digest = new ResponseDigest(own, choices);
      digest.update(kind, choice, Uint8Array.of(1));
      return digest.hex();
    };
    const all = [of(0, 0), of(1, 0), of(0, 1), of(0, 0, 3), of(0, 0, 2, salt.slice().reverse())];
    expect(new Set(all).size).toBe(all.length);
  });

  it("can be read on the way, and refuses a choice nobody asked for", () => {
    const digest = new ResponseDigest(salt, 1);
    const empty = digest.hex();
    expect(digest.hex()).toBe(empty);
    digest.update(0, 0, Uint8Array.of(1));
    expect(digest.hex()).not.toBe(empty);
    expect(() => digest.update(0, 1, Uint8Array.of(1))).toThrow(RangeError);
  });
});

it("the digest of a request is salted", () => {
  const body = new TextEncoder().encode("{}");
  expect(requestDigest(salt, body)).toBe(sha(salt, body).toString("hex"));
});
