/** Starter balances by code: `POST /starter`, and the operators' codes. */

import { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { time } from "./common.ts";

export const useStarterCode = z.strictObject({
  code: z.string().min(1).max(128).meta({ description: "What an operator gave.", example: "tmc_…" }),
});

export const starterUsed = z.object({
  starter: z.enum(["granted", "granted_before", "budget_spent"]).meta({
    description:
      "`granted_before` where this account has had a starter balance, by this code or in another way; `budget_spent` for " +
      "today: the code counts again tomorrow.",
  }),
});

export const makeStarterCodes = z.strictObject({
  id: z
    .string()
    .min(1)
    .max(128)
    .meta({ description: "The batch's own name: the same one gives the same codes.", example: "meetup" }),
  count: z.int().min(1).max(LIMITS.maxPageRows).meta({ description: "How many, each for one account.", example: 20 }),
  expires_at: z.iso.datetime().meta({ description: "Until when they may be used.", example: "2026-12-24T00:00:00Z" }),
});

export const starterCodeList = z.object({ codes: z.array(z.string()), expires_at: time });
