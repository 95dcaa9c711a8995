/** Shapes of failed checks and of what they take back. */

import { z } from "zod";
import { CLAIM_CHECKS } from "../../core/receipt/checks.ts";
import { daemonId, jobId } from "../ids.ts";
import { credits, queryLimit, time, usd } from "./common.ts";

const receipts = (description: string) => z.int().min(0).meta({ description, example: 0 });

export const failedCheck = z.object({
  job: jobId.meta({ description: "The job whose claim failed the check.", example: "0351lUHhAi6TEjtsE4MAkV" }),
  check: z.enum([...CLAIM_CHECKS, "claim"]).meta({
    description: "The check; `claim` where the receipt does not tell which one it was.",
    example: "digest",
  }),
  daemon: daemonId,
  model: z.string().meta({ example: "qwen3-8b" }),
  provider: z.string().meta({ description: "The account that owns the daemon.", example: "0R7uXmQ2b1vXkYt3Zp9aLc" }),
  failed_at: time,
  state: z.enum(["looking", "reversing", "done"]).meta({
    description:
      "`looking` for the daemon's receipts of that model; `reversing` while some are due; `done`, until such a receipt comes late.",
    example: "done",
  }),
  due: receipts("Receipts that still have to be taken back."),
  reversed: receipts("Receipts that it took back."),
  already_reversed: receipts("Receipts that two operators took back first."),
  refused: receipts("Receipts that their account would not take back; an event `check_reversal_refused` says why."),
  amount: credits.meta({ description: "What consumers got back, in credits.", example: "40.000" }),
  amount_usd: usd.meta({ description: "The same in USD.", example: "0.000040000" }),
});

export const checkQuery = z.object({
  cursor: jobId.optional().meta({ description: "The `next` of the page before." }),
  limit: queryLimit.optional(),
});

export const checkPage = z.object({ data: z.array(failedCheck), next: z.string().nullable() });
