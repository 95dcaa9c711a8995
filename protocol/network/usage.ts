/** Shapes of usage summaries. */

import { z } from "zod";
import { USAGE_BY } from "../../core/account/usage.ts";
import { LIMITS } from "../../core/limits.ts";
import { credits, queryCount, time, usd } from "./common.ts";

const moment = z
  .union([z.iso.date(), z.iso.datetime({ offset: true })], "must be a date or a time as in RFC 3339")
  .transform((text) => Date.parse(text));

export const usageQuery = z.object({
  from: moment.optional().meta({
    type: "string",
    description: "The first moment that counts: a date (00:00 UTC) or a time. 30 days back unless it says otherwise.",
    example: "2026-11-01",
  }),
  to: moment.optional().meta({
    type: "string",
    description: "The moment before which jobs ended; none unless it says otherwise.",
    example: "2026-12-01",
  }),
  by: z.enum(USAGE_BY).optional().meta({ description: "What the summary is split by: `day` (UTC) by default." }),
  format: z.enum(["json", "csv"]).optional(),
  cursor: queryCount.optional().meta({ description: "The `next` of the page before." }),
});

const count = z.int().min(0);

export const usageRow = z.object({
  group: z
    .string()
    .meta({ description: "The day, the model, the key's or member's id, or the lane.", example: "2026-11-22" }),
  name: z
    .string()
    .nullable()
    .meta({ description: "The key's or member's name, where those are the groups.", example: null }),
  jobs: count.meta({ description: "Jobs that have ended, each once: the four next together.", example: 4 }),
  completed: count,
  cancelled: count.meta({ description: "By their consumer." }),
  failed: count.meta({ description: "Failed, timed out, or with a claim that did not match." }),
  unanswered: count.meta({ description: "Given up, refused by every provider, or forgotten: no receipt, no charge." }),
  prompt_tokens: count.meta({ description: "Charged prompt tokens." }),
  completion_tokens: count.meta({ description: "Charged completion tokens." }),
  credits: credits.meta({ description: "What was charged.", example: "82.000" }),
  usd: usd.meta({ description: "The price of that.", example: "0.000082000" }),
});
export type UsageRow = z.infer<typeof usageRow>;

export const usagePage = z.object({
  by: z.enum(USAGE_BY),
  from: time,
  to: time.nullable(),
  data: z.array(usageRow),
  next: z
    .int()
    .nullable()
    .meta({
      description:
        `A page covers ${(LIMITS.usageRows * LIMITS.usageCalls).toLocaleString("en")} entries of the ledger at most. Where ` +
        "there are more this is the `cursor` of the next page, whose rows are to be added to those of the same group.",
      example: null,
    }),
});
