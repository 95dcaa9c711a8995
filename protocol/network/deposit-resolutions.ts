/** Shapes of what operators see of deposits, and decide about those in suspense. */

import { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { accountId, clientId } from "../ids.ts";
import { personText, queryLimit, time } from "./common.ts";
import { decision } from "./decision.ts";
import { PAYMENT_STATES, payment } from "./deposits.ts";

export const RESOLUTION_STATES = ["proposed", "approved", "done", "refused", "declined", "expired"] as const;

/** It stands in paths, where dots alone would mean something else. */
export const resolutionId = clientId
  .refine((id) => /^[A-Za-z0-9]/.test(id), "must begin with a letter or a digit")
  .meta({ description: "The same id never proposes twice.", example: "lost-reference-1" });

export const adminDeposit = payment.extend({
  account: accountId.nullable().meta({ description: "Whose it is, where that is known.", example: null }),
  intent: z.string().nullable().meta({ example: null }),
  seen_at: time,
  resolution: z.string().nullable().meta({ description: "The proposal by which it left suspense.", example: null }),
});

export const adminDepositQuery = z.object({
  state: z.enum(PAYMENT_STATES).optional().meta({ description: "Only those in this state." }),
  cursor: z.string().max(128).optional().meta({ description: "The `next` of the page before." }),
  limit: queryLimit.optional(),
});
export const adminDepositPage = z.object({ data: z.array(adminDeposit), next: z.string().nullable() });

const proposal = {
  id: resolutionId,
  reason: personText(1, LIMITS.reasonCharacters).meta({
    description: "Why; for a return also the transaction that paid it back.",
    example: "the payer's signed message names the account",
  }),
};
export const proposeResolution = z.discriminatedUnion("action", [
  z.strictObject({ action: z.literal("credit"), account: accountId, ...proposal }),
  z.strictObject({ action: z.literal("return"), ...proposal }),
  z.strictObject({ action: z.literal("keep"), ...proposal }),
]);

export const resolution = z.object({
  id: resolutionId,
  deposit: z.string().meta({ example: "1uPYvJZ0zXkq3pYt8mC2Qa" }),
  action: z.enum(["credit", "return", "keep"]).meta({
    description:
      "`credit` an account with it, or note that it was paid back to where it came from (`return`), or that it is the " +
      "network's own (`keep`): paid into the treasury by its founders, and owed to nobody.",
  }),
  account: accountId.nullable(),
  reason: z.string(),
  state: z.enum(RESOLUTION_STATES).meta({
    description:
      "`proposed` until another operator decides, or until `expires_at`, when it is `expired`; then `approved` until it is " +
      "carried out, and `done` or `refused`; or `declined`.",
    example: "proposed",
  }),
  ...decision,
  outcome: z.string().nullable().meta({ description: "The code of what stood against it.", example: null }),
});

export const resolutionQuery = z.object({
  state: z.enum(RESOLUTION_STATES).optional().meta({ description: "Only those in this state." }),
  cursor: z.string().max(128).optional().meta({ description: "The `next` of the page before." }),
  limit: queryLimit.optional(),
});
export const resolutionPage = z.object({ data: z.array(resolution), next: z.string().nullable() });
