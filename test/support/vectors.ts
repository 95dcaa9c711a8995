/**
 * The golden vectors of protocol/vectors/, valid and broken, for whoever writes a daemon or a verifier of their own. All
 * keys are test keys. After a change that is meant, write them again:
 * `npx vitest run --project unit test/unit/protocol/vectors.test.ts --update`.
 */

import { ed25519 } from "@noble/curves/ed25519.js";
import type { AccountId } from "../../core/ids.ts";
import { base64url } from "../../core/keys.ts";
import { type ReceiptBody, receiptText } from "../../core/receipt/body.ts";
import { bytesToHex, canonicalText, hashText, hexToBytes } from "../../core/receipt/canonical.ts";
import { type Claim, claimBytes } from "../../core/receipt/claim.ts";
import { formatApiKey } from "../../protocol/api-key.ts";
import { encodeFrame, type Frame } from "../../protocol/daemon/frames.ts";
import { proofBytes } from "../../protocol/daemon/messages.ts";
import type { Check, SignedReceipt } from "../../protocol/receipt.ts";
import { testSecrets } from "../secrets.ts";
import { bodyOf, idOf, keyOf, type ReceiptOptions, seedOf, signText, TEST_TERMS, TEST_TIME } from "./receipts.ts";

export interface ReceiptVectors {
  readonly network_key: string;
  readonly valid: readonly { readonly name: string; readonly receipt: SignedReceipt; readonly hash: string }[];
  readonly broken: readonly { readonly name: string; readonly receipt: SignedReceipt; readonly fails: Check["name"] }[];
}

const MIXED: ReceiptOptions = {
  held: [
    { lot: "a", kind: "bonus", backing: "none", amount: 1_001 },
    { lot: "b", kind: "topup", backing: "usdc", amount: 90_000 },
  ],
  peg: { millicredits: 3, nanoUsd: 7 },
};
const UNVERIFIED: ReceiptOptions = { facts: { outcome: "unverified", failed_check: "digest" } };
const RESERVED: ReceiptOptions = {
  held: [{ lot: "package", kind: "package", backing: "usdc", amount: 123_000 }],
  facts: { lane: "dedicated", reserved: TEST_TIME },
};
const FLOOR = {
  watts: 38,
  nano_usd_per_kwh: 400_000_000,
  decode_millitokens_per_second: 10_000,
  prefill_millitokens_per_second: 200_000,
};

const text = (options: ReceiptOptions = {}) => receiptText(bodyOf(options));
/** A body changed after it was composed, and signed all the same: a network that lies. */
const lie = (change: (body: ReceiptBody) => object, options: ReceiptOptions = {}): SignedReceipt => {
  const body = bodyOf(options);
  return signText(canonicalText({ ...body, ...change(body) }));
};

export function receiptVectors(): ReceiptVectors {
  const first = text();
  const valid = (name: string, body: string) => ({ name, receipt: signText(body), hash: hashText(body) });
  const broken = (name: string, fails: Check["name"], receipt: SignedReceipt) => ({ name, fails, receipt });
  const honest = signText(first);
  return {
    network_key: honest.key,
    valid: [
      valid("one backed lot", first),
      valid("the next in its chain", text({ index: 1, link: { seq: 1, head: hashText(first) } })),
      valid("unbacked and backed lots at a peg of 3/7", text(MIXED)),
      valid("an electricity floor above the rate", text({ facts: { terms: { ...TEST_TERMS, floor: FLOOR } } })),
      valid("the league's four shares", text({ facts: { lane: "league" } })),
      valid(
        "cancelled by its consumer",
        text({ facts: { outcome: "cancelled" }, usage: { prompt: 100, completion: 7 } }),
      ),
      valid("failed, with a claim but no charge", text({ facts: { outcome: "failed" } })),
      valid("expired", text({ facts: { outcome: "expired" } })),
      valid("a package's job in a reserved slot", text(RESERVED)),
      valid("a package's job beyond its slots", text({ ...RESERVED, facts: { lane: "dedicated" } })),
      valid(
        "a job in a reserved slot that failed",
        text({ ...RESERVED, facts: { ...RESERVED.facts, outcome: "failed" } }),
      ),
      valid("unverified, and which check its claim failed", canonicalText({ ...bodyOf(UNVERIFIED), claim: null })),
    ],
    broken: [
      broken(
        "an unknown key",
        "form",
        lie(() => ({ extra: 1 })),
      ),
      broken(
        "a missing key",
        "form",
        lie(() => ({ seq: undefined })),
      ),
      broken(
        "a key in the place of a job id",
        "form",
        lie(() => ({ job: "8".padEnd(22, "0") })),
      ),
      broken(
        "a reserved slot in another lane",
        "form",
        lie(() => ({ reserved: TEST_TIME })),
      ),
      broken(
        "a slot that is not reserved, and says so",
        "form",
        lie(() => ({ reserved: false }), RESERVED),
      ),
      broken("no JSON", "form", signText("not JSON")),
      broken("white space", "canonical", signText(first.replace(",", ", "))),
      broken(
        "keys out of order",
        "canonical",
        signText(JSON.stringify(Object.fromEntries(Object.entries(bodyOf()).toReversed()))),
      ),
      broken("a number written otherwise", "canonical", signText(first.replace('"n":0,', '"n":0.0,'))),
      broken("a body of another receipt", "network_signature", { ...honest, body: text({ index: 1 }) }),
      broken("another network's key", "network_signature", signText(first, "33".repeat(32))),
      broken("a signature with one bit changed", "network_signature", { ...honest, signature: flip(honest.signature) }),
      broken(
        "a claim for another fence",
        "claim_signature",
        lie(({ fence }) => ({ fence: fence + 1 })),
      ),
      broken(
        "a claim by another daemon",
        "claim_signature",
        lie(() => ({ daemon: keyOf("other").id })),
      ),
      broken(
        "a charge without a claim",
        "claim_signature",
        lie(() => ({ claim: null })),
      ),
      broken(
        "more tokens than were claimed",
        "price",
        lie(({ claim }) => ({ usage: { prompt: 100, completion: 1_001, relayed: 2_000 }, claim })),
      ),
      broken("a charge above the price", "price", signText(overcharged())),
      broken(
        "a charge for a job that failed",
        "price",
        lie(() => ({ outcome: "failed" })),
      ),
      broken(
        "parts that do not cover the charge",
        "parts",
        lie(({ charge }) => ({ charge: { ...charge, parts: [] } })),
      ),
      broken("an unbacked part above the peg", "parts", lie(offPeg, MIXED)),
      broken(
        "a network that takes more than its share",
        "split",
        lie(({ split }) => ({
          split: split.map((line, index) => ({ ...line, nano_usd: line.nano_usd + (index === 0 ? -1 : 1) })),
        })),
      ),
      broken(
        "another account in the provider's place",
        "split",
        lie(() => ({ provider: idOf("other") })),
      ),
      broken("a claim that failed a check", "claim_signature", signText(text(UNVERIFIED))),
    ],
  };
}

/** A body whose parts and shares are right for a hold that charged twice the price. */
function overcharged(): string {
  const body = bodyOf();
  const twice = bodyOf({ usage: { prompt: 200, completion: 2_000 } });
  return canonicalText({
    ...body,
    charge: twice.charge,
    split: twice.split,
    price: { ...body.price, hold: twice.price.hold },
  });
}

function offPeg({ charge }: ReceiptBody): object {
  const parts = charge.parts.map((part) =>
    part.backing === "none" ? { ...part, millicredits: part.millicredits + 1_000 } : part,
  );
  return { charge: { ...charge, parts, millicredits: charge.millicredits + 1_000 } };
}

function flip(signature: string): string {
  return (signature.startsWith("A") ? "B" : "A") + signature.slice(1);
}

export interface SignedVectors {
  readonly daemon: string;
  readonly seed: string;
  readonly claims: readonly { readonly claim: Claim; readonly bytes: string; readonly signature: string }[];
  readonly proofs: readonly {
    readonly challenge: { readonly nonce: string; readonly origin: string; readonly expires: number };
    readonly version: number;
    readonly bytes: string;
    readonly signature: string;
  }[];
}

/** What a daemon signs: claims, and the proof that lets it connect. `bytes` are UTF-8 text. */
export function claimVectors(): SignedVectors {
  const daemon = keyOf("daemon");
  const sign = (bytes: Uint8Array) => ({
    bytes: new TextDecoder().decode(bytes),
    signature: base64url(ed25519.sign(bytes, daemon.secret)),
  });
  const { job, fence, model, digest } = bodyOf();
  const claims: Claim[] = [
    { job, fence, daemon: daemon.id, model, usage: { prompt: 100, completion: 1_000 }, digest },
    { job, fence: 2, daemon: daemon.id, model: "maker/ünï", usage: { prompt: 0, completion: 0 }, digest },
  ];
  const challenge = { nonce: "bm9uY2U", origin: "https://tollmill.test", expires: 1_795_348_830_000 };
  return {
    daemon: daemon.id,
    seed: bytesToHex(daemon.secret),
    claims: claims.map((claim) => ({ claim, ...sign(claimBytes(claim)) })),
    proofs: [{ challenge, version: 1, ...sign(proofBytes(challenge, daemon.id, 1)) }],
  };
}

export type FrameVectors = readonly (
  | {
      readonly name: string;
      readonly hex: string;
      readonly frame: Omit<Frame, "payload"> & { readonly payload: string };
    }
  | { readonly name: string; readonly hex: string; readonly error: string }
)[];

/** Token frames; a payload is UTF-8 text. */
export function frameVectors(): FrameVectors {
  const of = (name: string, stream: number, kind: 0 | 1, choice: number, tokens: number, payload: string) => ({
    name,
    hex: bytesToHex(encodeFrame({ stream, kind, choice, tokens, payload: new TextEncoder().encode(payload) })),
    frame: { stream, kind, choice, tokens, payload },
  });
  return [
    of("text", 1, 0, 0, 3, "Héllo 🦊"),
    of("a structured delta", 258, 1, 2, 1, '{"delta":{"tool_calls":[{"index":0,"id":"a"}]}}'),
    of("an empty payload", 0, 0, 0, 0, ""),
    of("the largest numbers", 0xffffffff, 0, 255, 0xffff, "x"),
    { name: "a head cut short", hex: "00000001000000", error: "a frame has at least 8 bytes, this one has 7" },
    { name: "no bytes", hex: "", error: "a frame has at least 8 bytes, this one has 0" },
    { name: "an unknown kind", hex: "0000000102000001", error: "kind 2 is unknown; 0 is text, 1 a structured delta" },
  ];
}

export interface ApiKeyVectors {
  readonly edge_key: string;
  readonly valid: readonly { readonly key: string; readonly account: string; readonly secret_hash: string }[];
  readonly refused: readonly { readonly name: string; readonly key: string }[];
}

/** API keys under the test network's edge key. */
export function apiKeyVectors(secretHashOf: (secret: Uint8Array) => string): ApiKeyVectors {
  const edgeKey = hexToBytes(testSecrets.EDGE_KEY);
  const of = (name: string) => {
    const [account, secret] = [idOf<AccountId>(name), seedOf(name)];
    return { key: formatApiKey(account, secret, edgeKey), account, secret_hash: secretHashOf(secret) };
  };
  const [first, second] = [of("first"), of("second")];
  const key = first.key;
  return {
    edge_key: testSecrets.EDGE_KEY,
    valid: [first, second],
    refused: [
      { name: "nothing", key: "" },
      { name: "another prefix", key: key.replace("tm_", "sk_") },
      { name: "one character less", key: key.slice(0, -1) },
      { name: "one character more", key: `${key}0` },
      { name: "white space", key: `${key.slice(0, -1)} ` },
      { name: "a checksum of zeros", key: `${key.slice(0, -6)}000000` },
      { name: "the checksum of another key", key: key.slice(0, -6) + second.key.slice(-6) },
      { name: "another account in its place", key: `tm_${second.account}${key.slice(25)}` },
      {
        name: "the checksum of another network",
        key: formatApiKey(first.account, seedOf("first"), seedOf("elsewhere")),
      },
      { name: "an account id that is too large", key: `tm_${"z".repeat(22)}${key.slice(25)}` },
    ],
  };
}
