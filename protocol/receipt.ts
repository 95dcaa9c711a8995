/**
 * A signed receipt as files, queues and the API carry it, with strict schemas and the offline check (interfaces.md §4).
 * An unknown key anywhere makes a receipt invalid: what is signed is exactly what is understood.
 */

import { z } from "zod";
import { LOT_KINDS } from "../core/account/lots.ts";
import { chargeable } from "../core/account/resolve.ts";
import { MOST_SLICES } from "../core/ids.ts";
import { parseBase64url, parseDaemonId, parseSignature, verifyStrict } from "../core/keys.ts";
import { LANES, ROLES } from "../core/lanes.ts";
import { LIMITS } from "../core/limits.ts";
import { OUTCOMES } from "../core/outcome.ts";
import { floorPerThousand, perThousand } from "../core/pricing.ts";
import { RECEIPT_VERSION, type ReceiptBody, receiptBytes } from "../core/receipt/body.ts";
import { canonicalText, hashText } from "../core/receipt/canonical.ts";
import { CLAIM_CHECKS } from "../core/receipt/checks.ts";
import { claimBytes } from "../core/receipt/claim.ts";
import { type Payees, splitCharge } from "../core/split.ts";
import { type Millicredits, type NanoUsd, nanoUsd, type Peg, sum, toMillicreditsCeil } from "../core/units.ts";
import { count, daemonId, hash, jobId, pseudonym, signature } from "./ids.ts";
import { isReceiptBody, isSignedReceipt } from "./receipt-form.ts";

const amount = z.int().min(-9.0e15).max(9.0e15) as unknown as z.ZodType<NanoUsd, number>;
const backing = z.enum(["usdc", "none"]);
const tokens = { prompt: count, completion: count };
const positive = z.int().min(1);

const floor = z.strictObject({
  watts: positive,
  nano_usd_per_kwh: count,
  decode_millitokens_per_second: positive,
  prefill_millitokens_per_second: positive,
});
const terms = z.strictObject({
  rate: z.strictObject({ completion: count, prompt: count, per: positive }),
  floor: floor.nullable(),
});

const receiptFields = z.strictObject({
  v: z.literal(RECEIPT_VERSION),
  network: z.string().min(1).max(64),
  job: jobId,
  n: count,
  outcome: z.enum(OUTCOMES),
  lane: z.enum(LANES),
  model: z.string().min(1).max(128),
  quantization: z.enum(["q4", "q8", "fp16"]),
  consumer: pseudonym,
  provider: z.string().min(1).max(64),
  daemon: daemonId,
  fence: count,
  usage: z.strictObject({ ...tokens, relayed: count }),
  times: z.strictObject({ queued: count, dispatched: count, first_token: count.nullable(), completed: count }),
  price: z.strictObject({
    terms,
    nano_usd_per_1k: amount,
    floor: amount.nullable(),
    hold: amount,
    asks: count,
    winning_ask: amount.nullable(),
    second_ask: amount.nullable(),
  }),
  charge: z.strictObject({
    nano_usd: amount,
    millicredits: amount,
    peg: z.strictObject({ millicredits: positive, nano_usd: positive }),
    peg_epoch: count,
    parts: z.array(z.strictObject({ kind: z.enum(LOT_KINDS), backing, nano_usd: amount, millicredits: amount })),
  }),
  split: z.array(
    z.strictObject({
      to: z.string().min(1).max(64),
      role: z.enum(ROLES),
      backing,
      nano_usd: amount,
      millicredits: amount,
    }),
  ),
  digest: z.strictObject({ request: hash, response: hash, salt: z.string().regex(/^[0-9a-f]{32}$/) }),
  claim: z.strictObject({ usage: z.strictObject(tokens), signature }).nullable(),
  failed_check: z.enum(CLAIM_CHECKS).optional(),
  reserved: count.optional(),
  seq: positive,
  slice: z.int().min(1).max(MOST_SLICES).optional(),
  previous: hash,
  reversal: z
    .strictObject({
      of: hash,
      reason: z.string().min(1).max(LIMITS.reasonCharacters),
      by: z.array(z.string().min(1).max(64)).min(1).max(2),
    })
    .optional(),
});
export const receiptBody = receiptFields.refine(
  ({ reserved, lane, n }) => reserved === undefined || (lane === "dedicated" && n === 0),
  { path: ["reserved"], message: "only a job of `dedicated` has a reserved slot" },
);

/** A receipt with the network's signature. `body` is the canonical text that was signed, to the byte. */
export const signedReceipt = z.strictObject({
  body: z.string().min(2).max(16_384),
  /** The network's public key, base64url. */
  key: z.string().refine((text) => parseBase64url(text, 32) !== null, "must be 32 bytes in base64url"),
  signature,
});
export type SignedReceipt = z.infer<typeof signedReceipt>;

/** One finding of the check. */
export interface Check {
  readonly name: "form" | "canonical" | "network_signature" | "claim_signature" | "price" | "parts" | "split";
  readonly ok: boolean;
  readonly detail: string;
}

export interface Verification {
  readonly ok: boolean;
  readonly checks: readonly Check[];
  /** The body, when its form is right. */
  readonly body: ReceiptBody | null;
  /** SHA-256 of the body's text: what the account's next receipt names as `previous`. */
  readonly hash: string;
}

/** Reads a signed receipt, strict in its keys; the reason otherwise. Its body is not looked into. */
export function parseSignedReceipt(value: unknown): { receipt: SignedReceipt } | { error: string } {
  if (isSignedReceipt(value)) return { receipt: value as SignedReceipt };
  const parsed = signedReceipt.safeParse(value);
  return parsed.success ? { receipt: parsed.data } : { error: firstIssue(parsed.error) };
}

/** Reads the body of a receipt: strict in its keys, and equal to its own canonical text; the reason otherwise. */
export function parseReceiptBody(text: string): { body: ReceiptBody } | { error: string } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { error: "the body is not JSON" };
  }
  if (isReceiptBody(value, text)) return { body: value as ReceiptBody };
  const parsed = receiptBody.safeParse(value);
  if (!parsed.success) return { error: firstIssue(parsed.error) };
  if (!isCanonical(value, text)) return { error: "the bytes are not in canonical form (RFC 8785)" };
  return { body: parsed.data as unknown as ReceiptBody };
}

function firstIssue({ issues: [issue] }: z.ZodError): string {
  return `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "malformed"}`;
}

function isCanonical(value: unknown, text: string): boolean {
  try {
    return canonicalText(value) === text;
  } catch {
    // JSON can write half a surrogate pair, which has no canonical form.
    return false;
  }
}

/**
 * Checks a receipt offline: form and bytes, both signatures, the price recomputed from its terms, the parts and the split.
 * `networkKey` (base64url) is the key to trust; without it the receipt's own key is used, which proves only consistency.
 */
export function verifyReceipt(receipt: SignedReceipt, networkKey?: string): Verification {
  const checks: Check[] = [];
  const add = (name: Check["name"], ok: boolean, detail: string): void => {
    checks.push({ name, ok, detail });
  };
  const hash = hashText(receipt.body);
  const parsed = parseReceiptBody(receipt.body);
  if ("error" in parsed) {
    const canonical = parsed.error.startsWith("the bytes");
    add(canonical ? "canonical" : "form", false, parsed.error);
    return { ok: false, checks, body: null, hash };
  }
  const { body } = parsed;
  add("form", true, "every key and value is known");
  add("canonical", true, "the bytes are canonical (RFC 8785)");

  const key = networkKey ?? receipt.key;
  add(
    "network_signature",
    receipt.key === key && verifyNetworkSignature(receipt.body, receipt.signature, key),
    receipt.key === key ? `by ${key}` : `by ${receipt.key}, but the network's key is ${key}`,
  );
  checks.push(...checkReceiptBody(body));
  return { ok: checks.every((check) => check.ok), checks, body, hash };
}

/**
 * Checks what a receipt says of itself, whoever signed it: the daemon's claim, the price, the parts and the split. The
 * claim's signature takes milliseconds, the rest microseconds, so who has checked a signature before may leave it out.
 */
export function checkReceiptBody(body: ReceiptBody, { claim = true } = {}): Check[] {
  const checks: Check[] = [];
  const add: Add = (name, ok, detail) => void checks.push({ name, ok, detail });
  if (claim) checkClaim(body, add);
  checkMoney(body, add);
  return checks;
}

function verifyNetworkSignature(text: string, signatureText: string, key: string): boolean {
  const publicKey = parseBase64url(key, 32);
  const bytes = parseSignature(signatureText);
  return publicKey !== null && bytes !== null && verifyStrict(bytes, receiptBytes(text), publicKey);
}

type Add = (name: Check["name"], ok: boolean, detail: string) => void;

function checkClaim(body: ReceiptBody, add: Add): void {
  const { claim, job, fence, daemon, model, digest, outcome, failed_check: failed } = body;
  if (claim === null) {
    const needed = outcome === "completed" || body.charge.nano_usd !== 0;
    const none = failed === undefined ? "no claim, and none is needed" : `the claim failed the ${failed} check`;
    add("claim_signature", !needed, needed ? "a charged job needs its daemon's claim" : none);
    return;
  }
  if (failed !== undefined) {
    add("claim_signature", false, `a claim that failed the ${failed} check is none`);
    return;
  }
  const publicKey = parseDaemonId(daemon);
  const bytes = parseSignature(claim.signature);
  const ok =
    publicKey !== null &&
    bytes !== null &&
    verifyStrict(bytes, claimBytes({ job, fence, daemon, model, usage: claim.usage, digest }), publicKey);
  add("claim_signature", ok, `by daemon ${daemon}`);
}

/** Checks the amounts. Numbers so large that they have no exact sum or price make a check fail, not this function. */
function checkMoney(body: ReceiptBody, add: Add): void {
  for (const [name, check] of Object.entries({ price: checkPrice, parts: checkParts, split: checkSplit })) {
    try {
      check(body, add);
    } catch (error) {
      add(name as Check["name"], false, error instanceof Error ? error.message : "cannot be recomputed");
    }
  }
}

function checkPrice(body: ReceiptBody, add: Add): void {
  const { price, charge, usage, outcome, claim, n, reversal } = body;
  if ((outcome === "reversed") !== n > 0 || (reversal !== undefined) !== n > 0) {
    add("price", false, "only a reversal has a number above 0, and it says what it takes back");
    return;
  }
  // What is taken back was charged by the same terms: either way round, it is the price or less, as the hold bounds it.
  const full = Math.min(price.hold, chargeable(n > 0 ? "completed" : outcome, price.terms, usage));
  const due = n > 0 ? -full : full;
  const rates =
    price.nano_usd_per_1k === perThousand(price.terms.rate) &&
    price.floor === (price.terms.floor === null ? null : floorPerThousand(price.terms.floor));
  const claimed = claim?.usage ?? usage;
  const within =
    usage.prompt <= claimed.prompt && usage.completion <= claimed.completion && usage.completion <= usage.relayed;
  add(
    "price",
    charge.nano_usd === due && rates && within,
    within
      ? `${usage.prompt} + ${usage.completion} tokens come to ${due} nanoUSD, charged ${charge.nano_usd}`
      : "more tokens are billed than were claimed and relayed",
  );
}

/** A part of a reversal as it was in the receipt that is taken back. */
function turnedBack<T extends { nano_usd: NanoUsd; millicredits: Millicredits }>(part: T, n: number): T {
  if (n === 0) return part;
  return { ...part, nano_usd: 0 - part.nano_usd, millicredits: 0 - part.millicredits };
}

function checkParts({ charge, n }: ReceiptBody, add: Add): void {
  const covered = sum(charge.parts.map((part) => part.nano_usd));
  const backed = sum(charge.parts.map((part) => (part.backing === "usdc" ? part.nano_usd : nanoUsd(0))));
  const unbacked = sum(charge.parts.map((part) => part.millicredits));
  const peg = { millicredits: charge.peg.millicredits, nanoUsd: charge.peg.nano_usd };
  const turned = n > 0 ? -1 : 1;
  const credits = unbacked + turned * toMillicreditsCeil((turned * backed) as NanoUsd, peg);
  add(
    "parts",
    covered === charge.nano_usd &&
      credits === charge.millicredits &&
      charge.parts.every((part) => isPriced(turnedBack(part, n), peg)),
    `parts cover ${covered} of ${charge.nano_usd} nanoUSD and come to ${credits} of ${charge.millicredits} millicredits`,
  );
}

/**
 * Whether a part is in its backing's unit and at the peg. Each unbacked lot rounds up by itself, so a part of many lots may
 * come to up to one millicredit for each of them more than its sum at the peg.
 */
function isPriced({ backing, nano_usd, millicredits }: ReceiptBody["charge"]["parts"][number], peg: Peg): boolean {
  if (nano_usd < 0 || backing === "usdc") return nano_usd >= 0 && millicredits === 0;
  const exact = toMillicreditsCeil(nano_usd, peg);
  return millicredits >= exact && millicredits < exact + LIMITS.lots;
}

function checkSplit({ lane, charge, split, provider: account, n }: ReceiptBody, add: Add): void {
  const payees: Payees = Object.fromEntries(split.map((line) => [line.role, line.to]));
  const parts = charge.parts.map((part) => turnedBack(part, n));
  const expected = canonicalText(splitCharge(lane, parts, payees));
  const provider = split.find((line) => line.role === "provider");
  const ok =
    expected === canonicalText(split.map((line) => turnedBack(line, n))) &&
    (provider === undefined || provider.to === account);
  add("split", ok, `${split.length} shares of ${charge.nano_usd} nanoUSD`);
}
