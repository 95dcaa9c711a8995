/**
 * The bodies of ledger entries that are no receipts, with strict schemas, and what every entry moves. An unknown key makes
 * an entry invalid, as in receipts: what is checked is exactly what is understood.
 */

import { z } from "zod";
import { LOT_KINDS } from "../core/account/lots.ts";
import { MOST_SLICES } from "../core/ids.ts";
import type { ReceiptBody } from "../core/receipt/body.ts";
import { canonicalText } from "../core/receipt/canonical.ts";
import { GENESIS_PEG, MAX_AMOUNT, type NanoUsd, type Peg, toMillicreditsFloor } from "../core/units.ts";
import { accountId, count, hash, jobId } from "./ids.ts";
import { parseReceiptBody } from "./receipt.ts";

export const ENTRY_VERSION = "tollmill/entry/v1";

const amount = z.int().min(0).max(MAX_AMOUNT);
const common = {
  v: z.literal(ENTRY_VERSION),
  at: count,
  seq: z.int().min(1),
  previous: hash,
};

/** What of a lot moves. One of the two amounts is 0, by the backing. */
const part = {
  lot: z.string().min(1),
  kind: z.enum(LOT_KINDS),
  backing: z.enum(["usdc", "none"]),
  nano_usd: amount,
  millicredits: amount,
};

/** A lot that came into being, or what of one has expired. */
const lotBody = z.strictObject({
  ...common,
  type: z.enum(["bonus", "topup", "package", "allotment", "earned", "transfer", "expiry"]),
  ...part,
  memo: z.string(),
});

const transferBody = z.strictObject({
  ...common,
  type: z.literal("transfer"),
  direction: z.enum(["out", "in"]),
  transfer: z.string().min(1),
  account: accountId,
  nano_usd: amount,
  millicredits: amount,
  memo: z.string(),
});

const releaseBody = z.strictObject({
  ...common,
  type: z.enum(["void", "hold_expired"]),
  job: jobId,
  reason: z.string(),
  /** As in a receipt: since when the job had a reserved slot. */
  reserved: count.optional(),
});

/** What moved between an account and one of its slices; in the account's chain it goes out, in the slice's it comes in. */
const sliceBody = z.strictObject({
  ...common,
  type: z.literal("slice"),
  slice: z.int().min(1).max(MOST_SLICES),
  moved: z.enum(["out", "in"]),
  parts: z.array(z.strictObject(part)),
});

/**
 * Packages that last a day longer, as their service level was missed on a day, with what of them had expired and comes back;
 * and how that was measured (core/account/service-level.ts): the jobs that counted stand in entries `first` to `last`, and
 * `digest` is over all of those.
 */
const extensionBody = z.strictObject({
  ...common,
  type: z.literal("extension"),
  day: z.iso.date(),
  jobs: z.int().min(1),
  p95_ms: count,
  target_ms: count,
  first: z.int().min(1),
  last: z.int().min(1),
  digest: hash,
  extended: z.array(z.strictObject({ ...part, from: count, until: count })).min(1),
});

const plainBody = z.union([lotBody, transferBody, sliceBody, releaseBody, extensionBody]);
export type PlainBody = z.infer<typeof plainBody>;

/** What an entry says: a receipt, which a reversal is too, or one of the others. */
export type EntryBody =
  | { readonly type: "spent"; readonly receipt: ReceiptBody }
  | { readonly type: "plain"; readonly plain: PlainBody };

/** Reads an entry's body by its type: strict in its keys, and canonical to the byte. */
export function parseEntryBody(type: string, text: string): EntryBody | { readonly error: string } {
  if (type === "spent" || type === "adjustment") {
    const parsed = parseReceiptBody(text);
    if ("error" in parsed) return parsed;
    const isReversal = parsed.body.outcome === "reversed";
    if (isReversal === (type === "spent")) return { error: `a receipt with this outcome is no entry of type ${type}` };
    return { type: "spent", receipt: parsed.body };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
    if (canonicalText(value) !== text) return { error: "the bytes are not in canonical form (RFC 8785)" };
  } catch {
    return { error: "the body is not JSON with a canonical form" };
  }
  const parsed = plainBody.safeParse(value);
  if (!parsed.success) return { error: `this is no entry of type ${type} that is known here` };
  if (parsed.data.type !== type) return { error: `the body is of type ${parsed.data.type}, not ${type}` };
  return { type: "plain", plain: parsed.data };
}

/** By how much an account changes: nanoUSD of its backed lots, millicredits of the others. */
export interface Movement {
  readonly nanoUsd: number;
  readonly millicredits: number;
}

/**
 * What an entry moved, with a transfer's top-ups turned into credits at `peg`. The end of a hold moves nothing: what it had
 * reserved was the account's all the time.
 */
export function movementOf(body: EntryBody, peg: Peg = GENESIS_PEG): Movement {
  if (body.type === "spent") return receiptMovement(body.receipt);
  const { plain } = body;
  if ("reason" in plain) return { nanoUsd: 0, millicredits: 0 };
  if ("direction" in plain) return transferMovement(plain, peg);
  if ("moved" in plain) return partsMovement(plain.parts, plain.moved === "out" ? -1 : 1);
  if ("extended" in plain) return partsMovement(plain.extended, 1);
  const sign = plain.type === "expiry" ? -1 : 1;
  return { nanoUsd: sign * plain.nano_usd, millicredits: sign * plain.millicredits };
}

function receiptMovement({ charge }: ReceiptBody): Movement {
  let [nanoUsd, millicredits] = [0, 0];
  for (const part of charge.parts) {
    // A part's millicredits are 0 where it is backed, and its nanoUSD are only what it covered where it is not.
    if (part.backing === "usdc") nanoUsd -= part.nano_usd;
    else millicredits -= part.millicredits;
  }
  return { nanoUsd, millicredits };
}

type Amounts = Record<"nano_usd" | "millicredits", number>;

function partsMovement(parts: readonly Amounts[], sign: 1 | -1): Movement {
  const total = (name: keyof Amounts) => parts.reduce((sum, each) => sum + each[name], 0);
  return { nanoUsd: sign * total("nano_usd"), millicredits: sign * total("millicredits") };
}

/** What is sent loses its backing: top-ups give nanoUSD for as many millicredits as those are worth, the rest is unbacked. */
function transferMovement({ direction, nano_usd, millicredits }: z.infer<typeof transferBody>, peg: Peg): Movement {
  if (direction === "in") return { nanoUsd: 0, millicredits };
  const stripped = toMillicreditsFloor(nano_usd as NanoUsd, peg);
  return { nanoUsd: -nano_usd, millicredits: stripped - millicredits };
}
