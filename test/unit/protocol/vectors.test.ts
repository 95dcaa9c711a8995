import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseDaemonId, parseSignature, verifyStrict } from "../../../core/keys.ts";
import { hashText, hexToBytes, utf8ToBytes } from "../../../core/receipt/canonical.ts";
import { claimBytes } from "../../../core/receipt/claim.ts";
import { parseApiKey, secretHashOf } from "../../../protocol/api-key.ts";
import { decodeFrame, encodeFrame } from "../../../protocol/daemon/frames.ts";
import { proofBytes } from "../../../protocol/daemon/messages.ts";
import { verifyReceipt } from "../../../protocol/receipt.ts";
import {
  type ApiKeyVectors,
  apiKeyVectors,
  claimVectors,
  type FrameVectors,
  frameVectors,
  type ReceiptVectors,
  receiptVectors,
  type SignedVectors,
} from "../../support/vectors.ts";

const folder = "../../../protocol/vectors";
const stored = (name: string) =>
  JSON.parse(readFileSync(new URL(`${folder}/${name}.json`, import.meta.url), "utf8")) as unknown;

describe("the golden vectors are what the code makes:", () => {
  it.each([
    ["receipts", receiptVectors],
    ["claims", claimVectors],
    ["frames", frameVectors],
    ["api-keys", () => apiKeyVectors(secretHashOf)],
  ] as const)("%s", async (name, make) => {
    await expect(`${JSON.stringify(make(), null, 2)}\n`).toMatchFileSnapshot(`${folder}/${name}.json`);
  });
});

describe("a valid receipt verifies:", () => {
  const { valid, network_key } = stored("receipts") as ReceiptVectors;
  it.each(valid)("$name", ({ receipt, hash }) => {
    const result = verifyReceipt(receipt, network_key);
    expect(result.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(result).toMatchObject({ ok: true, hash });
    expect(hashText(receipt.body)).toBe(hash);
  });
});

describe("a broken receipt fails the check that should see it:", () => {
  const { broken, network_key } = stored("receipts") as ReceiptVectors;
  it.each(broken)("$name: $fails", ({ receipt, fails }) => {
    const result = verifyReceipt(receipt, network_key);
    expect(result.ok).toBe(false);
    expect(result.checks.filter(({ ok }) => !ok).map(({ name }) => name)).toContain(fails);
  });
});

describe("what a daemon signs", () => {
  const { claims, proofs, daemon } = stored("claims") as SignedVectors;
  const key = parseDaemonId(daemon) ?? new Uint8Array();
  const verify = (bytes: string, signature: string) =>
    verifyStrict(parseSignature(signature) ?? new Uint8Array(), utf8ToBytes(bytes), key);

  it("verifies, and is exactly the claim's or the challenge's canonical text", () => {
    for (const { claim, bytes, signature } of claims) {
      expect(new TextDecoder().decode(claimBytes(claim))).toBe(bytes);
      expect(verify(bytes, signature)).toBe(true);
    }
    for (const { challenge, version, bytes, signature } of proofs) {
      expect(new TextDecoder().decode(proofBytes(challenge, daemon, version))).toBe(bytes);
      expect(verify(bytes, signature)).toBe(true);
    }
  });

  it("leaves out whatever a claim carries beside its fields", () => {
    const [first] = claims;
    const more = { ...first?.claim, extra: 1, usage: { ...first?.claim.usage, relayed: 5 } } as Parameters<
      typeof claimBytes
    >[0];
    expect(new TextDecoder().decode(claimBytes(more))).toBe(first?.bytes);
  });
});

describe("a frame", () => {
  it.each(stored("frames") as FrameVectors)("is read as $name", (vector) => {
    const bytes = Uint8Array.from(hexToBytes(vector.hex));
    const decoded = decodeFrame(bytes);
    if ("error" in vector) {
      expect(decoded).toEqual({ error: vector.error });
      return;
    }
    const { payload, ...rest } = vector.frame;
    expect(decoded).toEqual({ ...rest, payload: utf8ToBytes(payload) });
    expect(encodeFrame({ ...rest, payload: utf8ToBytes(payload) })).toEqual(bytes);
  });
});

describe("an API key", () => {
  const { valid, refused, edge_key } = stored("api-keys") as ApiKeyVectors;
  const edgeKey = hexToBytes(edge_key);
  it.each(valid)("names its account $account", ({ key, account, secret_hash }) => {
    expect(parseApiKey(key, edgeKey)).toEqual({ account, secretHash: secret_hash });
  });
  it.each(refused)("is refused for $name", ({ key }) => {
    expect(parseApiKey(key, edgeKey)).toBeNull();
  });
});
