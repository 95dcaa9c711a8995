import { env } from "cloudflare:workers";
import { ed25519 } from "@noble/curves/ed25519.js";
import { bytesToNumberLE, concatBytes, numberToBytesLE } from "@noble/curves/utils.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { describe, expect, it } from "vitest";
import { base64url } from "../../../core/keys.ts";
import { receiptBytes } from "../../../core/receipt/body.ts";
import { canonicalText, hexToBytes } from "../../../core/receipt/canonical.ts";
import { windowOf } from "../../../core/windows.ts";
import { countDeadLetters, listDeadLetters } from "../../../db/dead-letters.ts";
import { type SignedReceipt, verifyReceipt } from "../../../protocol/receipt.ts";
import { bodyOf, idOf, receiptOf, receiptsOf, signText, TEST_TIME } from "../../support/receipts.ts";
import { auditLog, deliver, pack, segmentRows } from "./support.ts";

const good = receiptsOf(3);
const [first] = good as [SignedReceipt];

/** A body changed after the fact, but signed by the network: only the log's own checks can tell. */
const resigned = (change: Record<string, unknown>) => signText(canonicalText({ ...bodyOf({ index: 50 }), ...change }));

describe("a poison receipt goes to the dead letters alone, with its reason:", () => {
  const body = bodyOf({ index: 50 });
  const cases: [string, unknown, RegExp][] = [
    ["no object at all", "receipt", /^malformed receipt/],
    ["null", null, /^malformed receipt/],
    ["an unknown key beside the body", { ...first, extra: 1 }, /^malformed receipt/],
    ["a signature that is none", { ...first, signature: "x" }, /^malformed receipt: signature/],
    ["a body that is no JSON", signText("{{"), /^malformed body: the body is not JSON/],
    ["a body that is not canonical", signText(`${first.body} `), /not in canonical form/],
    ["half a surrogate pair", signText(JSON.stringify({ ...body, model: "\ud800" })), /not in canonical form/],
    ["an unknown key in the body", resigned({ extra: 1 }), /^malformed body/],
    ["a missing field", resigned({ seq: undefined }), /^malformed body: seq/],
    ["an amount beyond what is stored", resigned({ charge: { ...body.charge, nano_usd: 9.1e15 } }), /charge\.nano_usd/],
    ["another network", receiptOf({ facts: { network: "elsewhere" } }), /another network/],
    ["another network's key", receiptOf({ seed: "33".repeat(32) }), /not this network's/],
    ["a changed body", { ...first, body: receiptOf({ index: 1 }).body }, /does not match the body/],
    ["shares that are not the charge", resigned({ split: body.split.slice(0, 1) }), /do not sum/],
  ];
  it.each(cases)("%s", async (_, item, reason) => {
    const { summary, acked, letters } = await deliver([pack([good[0], item, good[1]]), pack([good[2]])]);
    expect(summary).toEqual({ appended: 3, duplicates: 0, refused: 1, error: null });
    expect(acked).toBe(true);
    expect(letters).toEqual([{ v: 1, reason: expect.stringMatching(reason), item: JSON.stringify(item) }]);
    expect(await auditLog()).toEqual(good);
  });
});

it("takes no other signature than the network's own, even one that its key would verify", async () => {
  const other = { ...first, signature: signedOtherwise(first.body) };
  expect(verifyReceipt(other, first.key).ok).toBe(true);
  const { summary, letters } = await deliver([pack([other, good[1]])]);
  expect(summary).toEqual({ appended: 1, duplicates: 0, refused: 1, error: null });
  expect(letters).toMatchObject([{ reason: "the network's signature does not match the body" }]);
});

/** A good signature of the network's key, with a nonce that Ed25519 would not have taken. */
function signedOtherwise(body: string): string {
  const { BASE, Fn } = ed25519.Point;
  const { scalar, pointBytes } = ed25519.utils.getExtendedPublicKey(hexToBytes(env.NETWORK_SEED));
  const nonce = 7n;
  const commitment = BASE.multiply(nonce).toBytes();
  const challenge = Fn.create(bytesToNumberLE(sha512(concatBytes(commitment, pointBytes, receiptBytes(body)))));
  return base64url(concatBytes(commitment, numberToBytesLE(Fn.create(nonce + challenge * scalar), 32)));
}

describe("a poison message goes there whole:", () => {
  it.each([
    ["of another version", { v: 2, receipts: [first] }],
    ["without receipts", { v: 1, receipts: [] }],
    ["that is a text", "hello"],
    ["that is nothing", null],
  ])("%s", async (_, content) => {
    const { summary, letters } = await deliver([content, pack(good)]);
    expect(summary).toMatchObject({ appended: 3, refused: 1, error: null });
    expect(letters).toEqual([
      { v: 1, reason: "a message of an unknown version or form", item: JSON.stringify(content) },
    ]);
    expect(await auditLog()).toEqual(good);
  });

  it("and straight to D1 when quoting makes it too large for a queue", async () => {
    const content = { v: 9, text: '"'.repeat(60_000) };
    const { summary, letters } = await deliver([content, pack(good)]);
    expect(summary).toMatchObject({ appended: 3, refused: 1, error: null });
    expect(letters).toEqual([]);
    expect(await listDeadLetters(env.DB)).toMatchObject([{ item: JSON.stringify(content), at: TEST_TIME }]);
    await deliver([content]);
    expect(await countDeadLetters(env.DB)).toBe(1);
  });
});

it("hands many letters over in groups that a queue takes", async () => {
  const groups: number[] = [];
  const sendBatch = (messages: Iterable<{ body: unknown }>) => {
    const group = [...messages];
    expect(JSON.stringify(group).length).toBeLessThan(256_000);
    groups.push(group.length);
    return Promise.resolve();
  };
  const items = [...Array(150).keys(), ...Array.from({ length: 5 }, (_, index) => String(index).repeat(60_000))];
  await deliver([pack(items)], { DEAD_LETTERS: { sendBatch } as unknown as Queue });
  expect(groups).toEqual([100, 53, 2]);
});

it("refuses a second, different receipt of the same job and number, in a batch or later", async () => {
  const other = receiptOf({ usage: { prompt: 1, completion: 2 } });
  const together = await deliver([pack([first, other])]);
  expect(together.letters).toMatchObject([{ reason: /another receipt/, item: JSON.stringify(other) }].map(asMatch));
  const later = await deliver([pack([other, good[1]])]);
  expect(later.summary).toEqual({ appended: 1, duplicates: 0, refused: 1, error: null });
  expect(later.letters).toMatchObject([{ reason: /another receipt/, item: JSON.stringify(other) }].map(asMatch));
  expect(await auditLog()).toEqual([first, good[1]]);
});

const asMatch = ({ reason, item }: { reason: RegExp; item: string }) => ({
  reason: expect.stringMatching(reason) as string,
  item,
});

describe("a row that the tables refuse", () => {
  /** A provider whose sum has no room for one more receipt. */
  const fill = (provider: string) =>
    env.DB.prepare("INSERT INTO rollups VALUES (?, 'share', ?, 'public', 'usdc', 8999999999999999, 0, 1)")
      .bind(windowOf(TEST_TIME, 3_600_000), idOf(provider))
      .run();

  it("is found, and everything around it is appended in order", async () => {
    await fill("full");
    const poison = receiptOf({ index: 77, provider: "full" });
    const receipts = receiptsOf(20);
    const all = [...receipts.slice(0, 13), poison, ...receipts.slice(13)];
    const { summary, letters } = await deliver([pack(all)]);
    expect(summary).toEqual({ appended: 20, duplicates: 0, refused: 1, error: null });
    expect(letters).toMatchObject([{ reason: "a value does not fit the log's tables", item: JSON.stringify(poison) }]);
    await env.DB.prepare("DELETE FROM rollups WHERE payee = ?").bind(idOf("full")).run();
    expect(await auditLog()).toEqual(receipts);
    expect((await segmentRows()).length).toBeLessThan(8);
  });

  it("is found where the sums of its own batch have no room for it", async () => {
    const body = bodyOf({ index: 50 });
    const [part] = body.charge.parts;
    const huge = (job: string) =>
      resigned({
        job,
        charge: { ...body.charge, parts: [{ ...part, nano_usd: 5e15 }] },
        split: [{ to: body.provider, role: "provider", backing: "usdc", nano_usd: 5e15, millicredits: 0 }],
      });
    const [one, two] = [huge(body.job), huge(bodyOf({ index: 51 }).job)];
    const { summary, letters } = await deliver([pack([good[0], one, two, good[1]])]);
    expect(summary).toEqual({ appended: 3, duplicates: 0, refused: 1, error: null });
    expect(letters).toMatchObject([{ reason: "a value does not fit the log's tables", item: JSON.stringify(two) }]);
    expect(await auditLog()).toEqual([good[0], one, good[1]]);
  });

  it("is refused again when it comes again, and its neighbours are known by then", async () => {
    await fill("full");
    const all = [good[0], receiptOf({ index: 77, provider: "full" }), good[1]];
    await deliver([pack(all)]);
    expect((await deliver([pack(all)])).summary).toEqual({ appended: 0, duplicates: 2, refused: 1, error: null });
  });
});
