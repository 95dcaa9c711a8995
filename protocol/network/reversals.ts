/** Shapes of reversals, which one operator proposes and another one approves. */

import { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { accountId, clientId, jobId } from "../ids.ts";
import { credits, personText, queryLimit, usd } from "./common.ts";
import { decision } from "./decision.ts";

export const REVERSAL_STATES = ["proposed", "approved", "reversed", "refused", "declined", "expired"] as const;

/** It stands in paths, where dots alone would mean something else. */
export const reversalId = clientId
  .refine((id) => /^[A-Za-z0-9]/.test(id), "must begin with a letter or a digit")
  .meta({ description: "The same id never proposes twice.", example: "empty-answer-1" });

export const proposeReversal = z.strictObject({
  id: reversalId,
  account: accountId.meta({ description: "The account that was charged.", example: "0R7uXmQ2b1vXkYt3Zp9aLc" }),
  job: jobId.meta({ description: "The job whose receipt is taken back.", example: "0351lUHhAi6TEjtsE4MAkV" }),
  reason: personText(1, LIMITS.reasonCharacters).meta({
    description: "Stands in the receipt, for its parties to read.",
    example: "the answer was empty",
  }),
});

export const reversal = z.object({
  id: reversalId,
  account: accountId,
  job: jobId,
  reason: z.string().meta({ example: "the answer was empty" }),
  amount: credits.meta({ description: "The credits that the receipt charged: what is given back.", example: "40.000" }),
  amount_usd: usd.meta({ description: "The same in USD.", example: "0.000040000" }),
  state: z.enum(REVERSAL_STATES).meta({
    description:
      "`proposed` until another operator decides, or until `expires_at`, when it is `expired`; then `approved` until its " +
      "account has answered, and `reversed` or `refused`; or `declined`.",
    example: "proposed",
  }),
  ...decision,
  seq: z.int().nullable().meta({ description: "The reversal's entry in the account's ledger.", example: null }),
  outcome: z
    .string()
    .nullable()
    .meta({
      description:
        "`reversed`; `already_reversed` where another reversal of the job was first, whose entry `seq` is then; or the code " +
        "of the refusal.",
      example: null,
    }),
});

export const reversalQuery = z.object({
  state: z.enum(REVERSAL_STATES).optional().meta({ description: "Only those in this state." }),
  cursor: z.string().max(128).optional().meta({ description: "The `next` of the page before." }),
  limit: queryLimit.optional(),
});

export const reversalPage = z.object({ data: z.array(reversal), next: z.string().nullable() });
