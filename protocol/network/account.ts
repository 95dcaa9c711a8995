/** Shapes of an account's own pages: balance, ledger and API keys. */

import { z } from "zod";
import { RESETS } from "../../core/account/budget.ts";
import { ENTRY_TYPES } from "../../core/account/entry-types.ts";
import { LOT_KINDS } from "../../core/account/lots.ts";
import { SCOPES } from "../../core/account/scopes.ts";
import { LIMITS } from "../../core/limits.ts";
import { modelId } from "../catalog.ts";
import { accountId, keyId, memberId } from "../ids.ts";
import {
  credits,
  creditsInput,
  idempotencyKey,
  personText,
  queryCount,
  queryLimit,
  time,
  usd,
  usdInput,
} from "./common.ts";

const backing = z.enum(["usdc", "none"]).meta({
  description: "What stands behind it: USDC in the treasury, or nothing.",
  example: "none",
});

export const balanceLot = z.object({
  id: z.string().meta({ example: "starter" }),
  kind: z.enum(LOT_KINDS).meta({ example: "bonus" }),
  backing,
  available: credits,
  held: credits,
  expires_at: time.nullable(),
});

export const balanceAllotment = z
  .object({
    granted: credits.meta({ description: "What the day began with.", example: "5000.000" }),
    left: credits.meta({ description: "What of it can still be spent. It goes at `refresh_at`.", example: "3200.000" }),
    slots: z.int().meta({ description: "Jobs that its stake carries at once. One more is a 429.", example: 2 }),
    in_use: z.int().meta({ description: "How many of them are open in `included`.", example: 1 }),
    refresh_at: time.meta({ description: "When the next one is due.", example: "2026-11-26T00:00:00.000Z" }),
  })
  .nullable()
  .meta({ description: "Today's allotment; null for an account that has none." });

export const balancePackages = z
  .object({
    slots: z
      .int()
      .meta({ description: "Jobs that go ahead of all others, of every live package together.", example: 10 }),
    in_use: z.int().meta({
      description:
        "Open jobs that have one of these slots. What is begun beyond them runs in `dedicated` as well and queues with the " +
        "others. More than `slots` where jobs outlast their package.",
      example: 3,
    }),
  })
  .nullable()
  .meta({ description: "The slots that packages reserve; null while none is live: not over, not used up." });

export const balance = z.object({
  available: credits.meta({ description: "What can be spent now." }),
  held: credits.meta({ description: "What open jobs have reserved.", example: "0.320" }),
  minimum: credits.meta({ description: "Below this balance no remote job is taken.", example: "5.000" }),
  peg: z
    .object({ millicredits: z.int(), nano_usd: z.int() })
    .meta({ description: "Millicredits per nanoUSD, as a fraction.", example: { millicredits: 1, nano_usd: 1 } }),
  lots: z.array(balanceLot),
  open_jobs: z.int().meta({ example: 1 }),
  packages: balancePackages,
  allotment: balanceAllotment,
});

export const LEDGER_FORMATS = ["json", "ndjson", "csv"] as const;

export const ledgerQuery = z.object({
  format: z.enum(LEDGER_FORMATS).optional().meta({
    description: "`json` (the default) comes in pages; `ndjson` and `csv` stream every entry unless `limit` ends them.",
  }),
  from: queryCount.optional().meta({
    description: "The first sequence number wanted (1 unless it says otherwise), or the `next` of the page before.",
  }),
  slice: queryCount.optional().meta({
    description:
      "Only the chain of one slice, or with 0 only the account's own. Very large accounts alone have slices: without this " +
      "parameter their chains follow the account's, one after the other.",
  }),
  limit: queryLimit.optional(),
  type: z.enum(ENTRY_TYPES).optional().meta({ description: "Only entries of this type.", example: "spent" }),
});

export const ledgerEntry = z.object({
  seq: z.int().meta({ description: "Counts a chain's entries from 1, without a gap.", example: 7 }),
  slice: z.int().min(1).optional().meta({ description: "The slice whose chain it is; absent in the account's own." }),
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

const scopes = z
  .array(z.enum(SCOPES))
  .min(1)
  .max(SCOPES.length)
  .meta({
    description:
      "`inference`: begin jobs, look at them, cancel them. `read`: balance, ledger, receipts. `manage`: keys and settings. " +
      "`transfer`: send credits. `supply`: enrol and steer daemons.",
    example: ["inference", "read"],
  });

const reset = z
  .enum(RESETS)
  .meta({ description: "At 00:00 UTC of each day, each Monday or each first of a month.", example: "monthly" });

export const keyRecord = z.object({
  id: keyId.meta({ example: "0R7uXmQ2b1vXkYt3Zp9aLc" }),
  name: z.string().meta({ example: "laptop" }),
  member: memberId.meta({ description: "The member of the team whose key it is.", example: "0R7uXmQ2b1vXkYt3Zp9aLc" }),
  created_at: time,
  revoked_at: time.nullable(),
  expires_at: time.nullable(),
  rotated_at: time.nullable(),
  old_secret_until: time
    .nullable()
    .meta({ description: "Until when the secret from before the last rotation is still taken." }),
  scopes,
  models: z
    .array(z.string())
    .nullable()
    .meta({ description: "The models that it may use; null for all.", example: null }),
  requests_per_minute: z
    .int()
    .nullable()
    .meta({ description: "Jobs that it may begin in a minute; null for the network's own bound.", example: 60 }),
  budget: z
    .object({ usd, reset, spent_usd: usd, held_usd: usd, reset_at: time.nullable() })
    .nullable()
    .meta({ description: "What its jobs may cost; what open jobs have reserved counts as spent." }),
});

export const keyList = z.object({ data: z.array(keyRecord) });

export const sendCredits = z.strictObject({
  to: accountId.meta({ description: "The account that gets them.", example: "0R7uXmQ2b1vXkYt3Zp9aLc" }),
  amount: creditsInput.meta({ type: "string", description: "Credits, a decimal string.", example: "12.500" }),
  memo: personText(0, LIMITS.transferMemoCharacters).optional(),
  id: idempotencyKey.optional(),
});

export const transfer = z.object({
  id: z.string(),
  to: accountId,
  amount: credits,
  memo: z.string(),
  seq: z.int().meta({ description: "The entry in the sender's ledger.", example: 9 }),
  state: z
    .enum(["sent", "delivered"])
    .meta({ description: "`sent` while the other account could not be reached: the network goes on trying." }),
});

export const keyName = personText(1, LIMITS.keyNameCharacters).meta({ example: "laptop" });

const settings = {
  scopes: scopes.optional(),
  models: z
    .array(modelId)
    .min(1)
    .max(LIMITS.keyModels)
    .nullish()
    .meta({ description: "The models that it may use; null for all.", example: ["tiny-miller"] }),
  expires_at: z.iso
    .datetime({ offset: true })
    .nullish()
    .meta({ description: "From then on it is refused (RFC 3339); null for a key that stays." }),
  budget: z
    .strictObject({
      usd: usdInput.meta({ type: "string", description: "USD, a decimal string.", example: "25.00" }),
      reset: reset.default("never"),
    })
    .nullish(),
  requests_per_minute: z
    .int()
    .min(1)
    .max(LIMITS.requestsPerMinute)
    .nullish()
    .meta({ description: "Jobs that the key may begin in a minute.", example: 60 }),
};

export const createKey = z.strictObject({
  name: keyName,
  id: idempotencyKey.optional(),
  member: memberId.optional().meta({
    description: "Whose key it becomes: the caller's own, unless an owner names another member.",
    example: "0R7uXmQ2b1vXkYt3Zp9aLc",
  }),
  ...settings,
});

/** What is named is changed; null takes a bound away. */
export const changeKey = z.strictObject({ name: keyName.optional(), ...settings });

export const rotateKey = z.strictObject({
  id: idempotencyKey.optional(),
  overlap_seconds: z
    .int()
    .min(0)
    .max(LIMITS.keyOverlapSeconds)
    .optional()
    .meta({ description: "How long the old secret is still taken; a day unless it says otherwise.", example: 86_400 }),
});

export const createdKey = keyRecord.extend({
  key: z.string().nullable().meta({
    description: "The key's text, shown this once: only a hash of it is stored. Null when the call was a repetition.",
    example: "tm_…",
  }),
  notice: z.string().nullable().meta({ description: "Why there is no key text, when there is none." }),
});
