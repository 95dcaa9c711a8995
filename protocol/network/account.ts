/** Shapes of an account's own pages: balance, ledger and API keys. */

import { z } from "zod";
import { ENTRY_TYPES } from "../../core/account/entry-types.ts";
import { LOT_KINDS } from "../../core/account/lots.ts";
import { LIMITS } from "../../core/limits.ts";
import { keyId } from "../ids.ts";
import { credits, idempotencyKey, queryCount, queryLimit, time } from "./common.ts";

const backing = z.enum(["usdc", "none"]).meta({
  description: "What stands behind it: USDC in the treasury, or nothing.",
  example: "none",
});

export const balance = z.object({
  available: credits.meta({ description: "What can be spent now." }),
  held: credits.meta({ description: "What open jobs have reserved.", example: "0.320" }),
  minimum: credits.meta({ description: "Below this balance no remote job is taken.", example: "5.000" }),
  peg: z
    .object({ millicredits: z.int(), nano_usd: z.int() })
    .meta({ description: "Millicredits per nanoUSD, as a fraction.", example: { millicredits: 1, nano_usd: 1 } }),
  lots: z.array(
    z.object({
      id: z.string().meta({ example: "starter" }),
      kind: z.enum(LOT_KINDS).meta({ example: "bonus" }),
      backing,
      available: credits,
      held: credits,
      expires_at: time.nullable(),
    }),
  ),
  open_jobs: z.int().meta({ example: 1 }),
  allotment: z.null().meta({ description: "Today's allotment; null for an account that has none." }),
});

export const LEDGER_FORMATS = ["json", "ndjson", "csv"] as const;

export const ledgerQuery = z.object({
  format: z.enum(LEDGER_FORMATS).optional().meta({
    description: "`json` (the default) comes in pages; `ndjson` and `csv` stream every entry unless `limit` ends them.",
  }),
  from: queryCount.optional().meta({ description: "The first sequence number wanted; 1 unless it says otherwise." }),
  limit: queryLimit.optional(),
  type: z.enum(ENTRY_TYPES).optional().meta({ description: "Only entries of this type.", example: "spent" }),
});

export const ledgerEntry = z.object({
  seq: z.int().meta({ description: "Counts the account's entries from 1, without a gap.", example: 7 }),
  at: time,
  type: z.string().meta({ example: "spent" }),
  body: z.string().meta({
    description:
      "The entry's canonical text (RFC 8785). Its SHA-256 is the `previous` of the next entry, so the chain can be checked.",
    example: '{"seq":7,"previous":"…"}',
  }),
});

export const ledgerPage = z.object({
  data: z.array(ledgerEntry),
  next: z.int().nullable().meta({ description: "The `from` of the next page; null at the end.", example: 101 }),
});

export const keyRecord = z.object({
  id: keyId.meta({ example: "0R7uXmQ2b1vXkYt3Zp9aLc" }),
  name: z.string().meta({ example: "laptop" }),
  created_at: time,
  revoked_at: time.nullable(),
  requests_per_minute: z
    .int()
    .nullable()
    .meta({ description: "Jobs that it may begin in a minute; null for the network's own bound.", example: 60 }),
});

export const keyList = z.object({ data: z.array(keyRecord) });

export const keyName = z.string().min(1).max(LIMITS.keyNameCharacters).meta({ example: "laptop" });

export const createKey = z.strictObject({
  name: keyName,
  id: idempotencyKey.optional(),
  requests_per_minute: z
    .int()
    .min(1)
    .max(LIMITS.requestsPerMinute)
    .optional()
    .meta({ description: "Jobs that the key may begin in a minute.", example: 60 }),
});

export const createdKey = keyRecord.extend({
  key: z.string().nullable().meta({
    description: "The key's text, shown this once: only a hash of it is stored. Null when the call was a repetition.",
    example: "tm_…",
  }),
  notice: z.string().nullable().meta({ description: "Why there is no key text, when there is none." }),
});
