import { ed25519 } from "@noble/curves/ed25519.js";
import { base58 } from "@scure/base";
import { describe, expect, it } from "vitest";
import {
  base64url,
  daemonIdOf,
  isStrongPublicKey,
  parseBase64url,
  parseDaemonId,
  parseSignature,
  verifyStrict,
} from "../../../core/keys.ts";
import { hexToBytes } from "../../../core/receipt/canonical.ts";
import { keyOf } from "../../support/receipts.ts";

const key = keyOf("daemon");
const message = new TextEncoder().encode("message");

/** The eight points of small order, as they are encoded canonically, and other encodings of the same y. */
const SMALL_ORDER = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0000000000000000000000000000000000000000000000000000000000000080",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
];
const NON_CANONICAL = [
  // y = p + 1, y = p, and y = 2^255 - 1, each with either sign; and x = 0 with the sign of −0.
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0100000000000000000000000000000000000000000000000000000000000080",
];

describe("a daemon's id", () => {
  it("is its public key, and is read back", () => {
    expect(parseDaemonId(daemonIdOf(key.publicKey))).toEqual(key.publicKey);
  });

  it.each(SMALL_ORDER)("is refused for the small-order key %s", (hex) => {
    expect(isStrongPublicKey(hexToBytes(hex))).toBe(false);
    expect(parseDaemonId(base58.encode(hexToBytes(hex)))).toBeNull();
  });

  it.each(NON_CANONICAL)("is refused for the non-canonical encoding %s", (hex) => {
    expect(isStrongPublicKey(hexToBytes(hex))).toBe(false);
  });

  it("is refused for a key outside the prime-order group, and for a y that is on no point", () => {
    const torsion = ed25519.Point.fromBytes(hexToBytes(SMALL_ORDER[4] ?? ""));
    const mixed = ed25519.Point.fromBytes(key.publicKey).add(torsion).toBytes();
    expect(isStrongPublicKey(mixed)).toBe(false);
    expect(isStrongPublicKey(hexToBytes(`02${"00".repeat(31)}`))).toBe(false);
  });

  it.each([
    ["nothing", ""],
    ["another alphabet", `${key.id.slice(0, -1)}0`],
    ["31 bytes", base58.encode(key.publicKey.subarray(1))],
    ["33 bytes", base58.encode(Uint8Array.of(9, ...key.publicKey))],
    ["a space at its end", `${key.id} `],
  ])("is refused for %s", (_, text) => {
    expect(parseDaemonId(text)).toBeNull();
  });

  it("is refused at once when it is far too long", () => {
    const start = performance.now();
    expect(parseDaemonId("z".repeat(1_000_000))).toBeNull();
    expect(performance.now() - start).toBeLessThan(100);
  });
});

describe("a strict signature", () => {
  const signature = ed25519.sign(message, key.secret);

  it("is accepted as it was made, and not when a bit of it, the message or the key changes", () => {
    expect(verifyStrict(signature, message, key.publicKey)).toBe(true);
    for (const index of [0, 31, 32, 63]) {
      const changed = Uint8Array.from(signature);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(verifyStrict(changed, message, key.publicKey)).toBe(false);
    }
    expect(verifyStrict(signature, message.subarray(1), key.publicKey)).toBe(false);
    expect(verifyStrict(signature, message, keyOf("other").publicKey)).toBe(false);
    expect(verifyStrict(signature.subarray(1), message, key.publicKey)).toBe(false);
    expect(verifyStrict(new Uint8Array(0), message, new Uint8Array(0))).toBe(false);
  });

  it("of the key 01 00…00, which fits every message elsewhere, is refused", () => {
    const weak = hexToBytes(SMALL_ORDER[0] ?? "");
    const constant = Uint8Array.of(...weak, ...new Uint8Array(32));
    expect(ed25519.verify(constant, message, weak)).toBe(true);
    expect(verifyStrict(constant, message, weak)).toBe(false);
  });

  it("with s + L for s is refused", () => {
    const order = (1n << 252n) + 27742317777372353535851937790883648493n;
    const s = signature.subarray(32).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n) + order;
    const changed = Uint8Array.from(signature);
    for (let i = 0; i < 32; i++) changed[32 + i] = Number((s >> BigInt(8 * i)) & 255n);
    expect(verifyStrict(changed, message, key.publicKey)).toBe(false);
  });

  it("whose nonce has a part of small order is refused, though the equation times 8 holds", async () => {
    const order = (1n << 252n) + 27742317777372353535851937790883648493n;
    const torsion = ed25519.Point.fromBytes(hexToBytes(SMALL_ORDER[4] ?? ""));
    const nonce = 123_456_789n;
    const R = ed25519.Point.BASE.multiply(nonce).add(torsion).toBytes();
    const scalar = ed25519.utils.getExtendedPublicKey(key.secret).scalar;
    const digest = new Uint8Array(
      await crypto.subtle.digest("SHA-512", Uint8Array.of(...R, ...key.publicKey, ...message)),
    );
    const k = digest.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n) % order;
    const s = (nonce + k * scalar) % order;
    const crafted = Uint8Array.of(...R, ...Array.from({ length: 32 }, (_, i) => Number((s >> BigInt(8 * i)) & 255n)));
    expect(ed25519.verify(crafted, message, key.publicKey, { zip215: false })).toBe(true);
    expect(verifyStrict(crafted, message, key.publicKey)).toBe(false);
    const imported = await crypto.subtle.importKey("raw", Uint8Array.from(key.publicKey), "Ed25519", false, ["verify"]);
    expect(await crypto.subtle.verify("Ed25519", imported, crafted, message)).toBe(false);
  });
});

describe("base64url", () => {
  it("is read back", () => {
    const bytes = Uint8Array.from({ length: 64 }, (_, index) => 255 - index);
    expect(parseSignature(base64url(bytes))).toEqual(bytes);
    expect(parseBase64url(base64url(key.publicKey), 32)).toEqual(key.publicKey);
  });

  it.each([
    ["padding", `${base64url(new Uint8Array(32))}=`],
    ["the other alphabet", `${"A".repeat(42)}+`],
    ["bits beyond its bytes", `${"A".repeat(42)}B`],
    ["another length", base64url(new Uint8Array(31))],
    ["white space", ` ${base64url(new Uint8Array(32))}`],
  ])("is refused with %s", (_, text) => {
    expect(parseBase64url(text, 32)).toBeNull();
  });
});
