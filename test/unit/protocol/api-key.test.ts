import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AccountId, base62 } from "../../../core/ids.ts";
import { formatApiKey, parseApiKey, secretHashOf } from "../../../protocol/api-key.ts";
import { seedOf } from "../../support/receipts.ts";

const edgeKey = seedOf("edge");
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

describe("an API key", () => {
  it("is read back, and shows neither its secret's hash nor more than 74 characters", () => {
    fc.assert(
      fc.property(bytes(16), bytes(32), (id, secret) => {
        const account = base62(id) as AccountId;
        const key = formatApiKey(account, secret, edgeKey);
        expect(key).toMatch(/^tm_[0-9A-Za-z]{71}$/);
        expect(key.startsWith(`tm_${account}`)).toBe(true);
        expect(parseApiKey(key, edgeKey)).toEqual({ account, secretHash: secretHashOf(secret) });
      }),
    );
  });

  it("with any character changed is refused, so that a forged key calls no account into being", () => {
    const key = formatApiKey(base62(new Uint8Array(16)) as AccountId, seedOf("secret"), edgeKey);
    fc.assert(
      fc.property(fc.nat(key.length - 1), fc.constantFrom(..."0Az_-é"), (index, character) => {
        const changed = key.slice(0, index) + character + key.slice(index + 1);
        if (changed !== key) expect(parseApiKey(changed, edgeKey)).toBeNull();
      }),
    );
  });

  it("of any text is refused without throwing", () => {
    const keyLike = fc.string({ minLength: 71, maxLength: 71 }).map((text) => `tm_${text}`);
    fc.assert(
      fc.property(fc.oneof(fc.string(), keyLike), (text) => {
        expect(parseApiKey(text, edgeKey)).toBeNull();
      }),
    );
  });
});
