/** Shapes of the operator's calls. */

import { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { accountId, clientId, hash } from "../ids.ts";
import { creditsInput, idempotencyKey, personText, queryLimit, time, usdInput } from "./common.ts";

export const openAccount = z.strictObject({
  id: idempotencyKey.optional(),
  name: z
    .string()
    .min(1)
    .max(LIMITS.keyNameCharacters)
    .meta({ description: "The name of the first key.", example: "dev" }),
  starter: z.boolean().optional().meta({ description: "Whether it gets the starter balance." }),
});

export const openedAccount = z.object({
  account: accountId.meta({ example: "0R7uXmQ2b1vXkYt3Zp9aLc" }),
  api_key: z.string().nullable().meta({
    description: "Its first key. A repeated call gets the very same, or null once that key is refused.",
    example: "tm_…",
  }),
  notice: z.string().nullable().meta({ description: "Why there is no key text, when there is none.", example: null }),
  opened: z.boolean().meta({ description: "False when the account was there already." }),
});

const creditCommon = {
  /** The id of the credit and of the lot that it makes. */
  id: clientId.meta({ description: "The same id never credits twice.", example: "welcome-1" }),
  expires_at: z.iso
    .datetime({ offset: true })
    .nullish()
    .meta({ description: "RFC 3339; absent for a lot that stays." }),
  memo: personText(0, LIMITS.transferMemoCharacters).optional(),
};

export const creditAccount = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("bonus"),
    amount: creditsInput.meta({ type: "string", description: "Credits, a decimal string.", example: "1200.000" }),
    ...creditCommon,
  }),
  z.strictObject({
    kind: z.literal("topup"),
    amount: usdInput.meta({ type: "string", description: "USD, a decimal string.", example: "5.00" }),
    ...creditCommon,
  }),
  z.strictObject({
    kind: z.literal("package"),
    amount: usdInput.meta({ type: "string", description: "Its included usage in USD.", example: "50.00" }),
    concurrency: z
      .int()
      .min(1)
      .max(LIMITS.packageSlots)
      .meta({ description: "The slots that it reserves.", example: 1 }),
    ...creditCommon,
  }),
]);

export const credited = z.object({
  seq: z.int().meta({ description: "The entry in the account's ledger.", example: 2 }),
});

export const deadLetterQuery = z.object({
  cursor: z.string().max(128).optional().meta({ description: "The `next` of the page before." }),
  limit: queryLimit.optional(),
});

export const deadLetter = z.object({
  id: hash.meta({ description: "SHA-256 of the item, hex." }),
  at: time,
  reason: z.string().meta({ example: "the body is not JSON" }),
  item: z.string().meta({ description: "JSON text of what was refused, whole." }),
  resolved_at: time.nullable(),
});

export const deadLetterPage = z.object({ data: z.array(deadLetter), next: z.string().nullable() });
