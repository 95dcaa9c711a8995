/** Shapes of receipts and of the keys that sign them. */

import { z } from "zod";
import { signedReceipt } from "../receipt.ts";
import { queryCount, queryLimit } from "./common.ts";

export const receiptQuery = z.object({
  cursor: queryCount.optional().meta({ description: "The `next` of the page before." }),
  limit: queryLimit.optional(),
});

export const receiptPage = z.object({
  data: z.array(signedReceipt),
  next: z.int().nullable().meta({ description: "The `cursor` of the next page; null at the end.", example: null }),
});

export const receiptNumber = z.object({
  n: queryCount.optional().meta({ description: "0 for the job itself (the default), counted up for reversals." }),
});

export const logKeys = z.object({
  keys: z.array(
    z.object({
      key: z.string().meta({ description: "The public key, base64url." }),
      algorithm: z.literal("ed25519"),
      current: z.boolean().meta({ description: "Whether new receipts are signed with it." }),
    }),
  ),
});
